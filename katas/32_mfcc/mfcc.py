"""Features of speech: what the mouth does, kept; how high the voice is, thrown away.

    sound -> frames -> power spectrum -> mel filters -> log -> cosine transform -> deltas -> standardise -> a network

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    pre_emphasis, frames   lift what is high; cut the sound into overlapping pieces
    power_spectrum         how much of each frequency is in a frame
    mel_filters            two dozen triangles, narrow where the ear hears finely
    cepstrum               log, then a cosine transform: the smooth shape of the spectrum in a few numbers
    deltas                 how each number moves from frame to frame
    split, standardise     new speakers are new: nothing of them is known in training

Letters in shapes: T samples of a signal, F frames of L samples, N points of a transform, B = N // 2 + 1 bins, M filters,
C coefficients, D columns of features, R recordings. All numbers are float64, row numbers int64. NumPy is all you need,
its `np.fft` too. Return new arrays, and leave the ones that you were given as they are.
"""

import numpy as np


def pre_emphasis(signal: np.ndarray, coefficient: float) -> np.ndarray:
    """Take from each sample a part of the one before it: what changes slowly is weakened.

    signal (T,)      samples, at least one
    coefficient      from 0 to 1; 0 leaves the signal as it is

    Returns samples: sample t is signal[t] - coefficient * signal[t - 1], and the first one is signal[0].
    samples (T,)     as many as before
    """
    raise NotImplementedError("pre_emphasis: nothing comes before the first sample")


def frames(signal: np.ndarray, length: int, hop: int) -> np.ndarray:
    """Cut a signal into frames, each `hop` samples after the one before it: frame f begins at sample f * hop.

    signal (T,)      samples
    length           L, samples of a frame, at least 1
    hop              samples from one beginning to the next, at least 1; it may be more than `length`

    Returns all whole frames, F = 1 + (T - L) // hop. Samples after the last whole frame are in none: nothing is padded.
    Raises ValueError if T < L, for there is no whole frame.
    pieces (F, L)
    """
    raise NotImplementedError("frames: the last frame must end inside the signal, and may end with it")


def power_spectrum(pieces: np.ndarray, points: int) -> np.ndarray:
    """The power of each frame at each frequency, under a periodic Hann window.

    pieces (F, L)    frames, L at least 2
    points           N, at least L: after the window, frames are filled up to N samples with zeros at their end

    Returns |X[k]|^2 / (sum of the window)^2, X[k] = sum over n of window[n] * frame[n] * exp(-2 pi i k n / N), where
    window[n] = 0.5 - 0.5 cos(2 pi n / L). Nothing is doubled: a sine of amplitude A on bin k has A^2 / 4 there.
    power (F, B)     bin k is of frequency k * sample rate / N, from 0 to half of the sample rate
    """
    raise NotImplementedError("power_spectrum: the window belongs to the L samples, the bins to the N points")


def mel_filters(count: int, points: int, sample_rate: float, low: float, high: float) -> np.ndarray:
    """Triangles that overlap by half, whose corners are equally far apart in HTK's mel: 2595 log10(1 + f / 700).

    count            M, at least 1
    points           N of the power spectrum
    sample_rate      in hertz
    low, high        in hertz, 0 <= low < high <= sample_rate / 2: the first triangle begins at low, the last ends at high

    Returns the weight of each bin in each filter. M + 2 corners lie between low and high, both included. Filter m rises from
    0 at corner m to 1 at corner m + 1 and falls to 0 at corner m + 2, in straight lines over frequencies in hertz. Corners
    are not rounded to bins; a triangle that lies between two bins weighs nothing.
    filters (M, B)
    """
    raise NotImplementedError(
        "mel_filters: corners in mel, back to hertz; each bin's place on both slopes, and the lower of the two"
    )


def cepstrum(power: np.ndarray, filters: np.ndarray, count: int, floor: float) -> np.ndarray:
    """The log of what each filter lets through, as an orthonormal cosine transform (DCT-II), and its first numbers.

    power (F, B)      power spectra; silence is all zeros
    filters (M, B)    of mel_filters
    count             C, from 1 to M
    floor             a positive number: an energy below it counts as floor

    With level[m] = ln(max(energy of filter m, floor)), coefficient k is s[k] * sum over m of level[m] cos(pi k (m + 0.5) / M),
    s[0] = sqrt(1 / M), all other s[k] = sqrt(2 / M). Returns coefficients 0 to C - 1.
    coefficients (F, C)
    """
    raise NotImplementedError(
        "cepstrum: energies first, then the floor, then the log; the cosines are a table of C rows"
    )


def deltas(features: np.ndarray, width: int) -> np.ndarray:
    """The slope of each column around each frame: of the straight line that fits 2 * width + 1 frames best.

    features (F, D)    of one recording, at least one frame
    width              frames to each side, at least 1; there may be fewer in the recording

    Returns sum over n = 1 ... width of n * (features[f + n] - features[f - n]), divided by 2 * sum over n of n^2. Before the
    first frame stands the first one again, after the last frame the last one.
    slopes (F, D)
    """
    raise NotImplementedError("deltas: repeat both ends, and every frame has all its neighbours")


def split(speakers: np.ndarray, held_out: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Recordings to train on and recordings to test on, without a speaker who is in both.

    speakers (R,)    int64, who speaks in each recording: any numbers, in any order
    held_out         whose recordings, all of them, are tested on; it may be empty, and may name a speaker twice

    Returns (train, test): int64, row numbers of recordings in ascending order. Raises ValueError if someone in held_out has
    no recording: a slip in a list of names would put them into training.
    """
    raise NotImplementedError("split: whoever is asked for must be there")


def standardise(recordings: list[np.ndarray], train: np.ndarray) -> list[np.ndarray]:
    """Make every column's mean 0 and variance 1 in training; the other recordings are moved and scaled by the same numbers.

    recordings    R arrays (F, D), each with its own F, at least 1, and the same D
    train (K,)    int64, row numbers of the recordings to train on, at least one

    Returns R new arrays: (x - mean) / deviation, both of all frames of all training recordings together, whatever the length
    of each. deviation is the square root of the mean squared distance from the mean (not F - 1). A column that has one and
    the same value in all of training has no deviation: it is divided by 1.
    """
    raise NotImplementedError(
        "standardise: join the training recordings first; rounding can give a constant column a tiny deviation"
    )
