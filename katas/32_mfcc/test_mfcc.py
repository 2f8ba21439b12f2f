"""The suite of kata 32: features of speech beside scipy and scikit-learn, and vowels of voices that training never heard."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.fft import dct
from scipy.signal import lfilter, periodogram, savgol_filter
from scipy.spatial.distance import cdist
from sklearn.preprocessing import StandardScaler

from grader.checks import (
    assert_beats,
    assert_close,
    assert_parts,
    assert_raises,
    assert_shape,
    assert_that,
    assert_unchanged,
    normal_array,
    text,
)

# Frames, samples of one, points, and how loud.
SPECTRA = [(3, 8, 8, 1), (1, 2, 2, 1), (4, 9, 16, 1), (5, 10, 11, 1e4), (2, 7, 7, 1e-3), (1, 3, 12, 100)]
SPECTRA += [(1203, 4, 5, 1), (1, 1205, 1301, 50), (5003, 2, 3, 1), (2, 2003, 2048, 1)]
# Filters, points, sample rate, and the band: with triangles between two bins, and bins on corners.
BANKS = [(3, 16, 8000, 0.0, 4e3), (1, 33, 16000, 100.0, 7e3), (12, 31, 8000, 300.0, 3400.0), (5, 64, 8000, 0.0, 4e3)]
BANKS += [(7, 100, 22050, 50.5, 9e3), (5003, 16, 8000, 0.0, 4e3), (3, 5003, 44100, 0.0, 22050.0), (2, 8, 1, 0.0, 0.5)]
# Frames, bins, filters, coefficients, how loud, and the floor.
CEPSTRA = [(3, 9, 5, 4, 1, 1e-10), (1, 7, 3, 3, 1, 1e-3), (4, 6, 6, 1, 1e8, 0.5), (2, 1, 1, 1, 1, 1e-10)]
CEPSTRA += [(5, 8, 7, 5, 1e-9, 1e-10), (5003, 4, 3, 2, 1, 2.0), (2, 1103, 5, 3, 1, 1e-10), (2, 4, 1103, 7, 1, 1e-10)]
# Frames, columns, frames to each side, and how large.
SLOPES = [(7, 3, 2, 1), (1, 2, 3, 1), (4, 1, 1, 1e5), (3, 5, 9, 1), (6, 4, 4, 1e-3), (5003, 2, 2, 1), (2, 1103, 1, 50)]
# Frames of each recording, columns, and the rows to train on.
SETS = [((3, 5, 2, 7), 4, (2, 0)), ((4,), 3, (0,)), ((1, 1, 6), 2, (1,)), ((6, 2, 3), 5, (0, 1, 2))]
SETS += [((5, 1, 9, 1, 2), 3, (4, 3, 0)), ((1203, 2, 4001), 3, (0, 2)), ((2, 3, 2), 1103, (2, 1))]
SETS += [(1203 * (1,), 2, tuple(range(2, 1203)))]
TOL, SAME = 1e-9, 1e-12

# The first three formants of a, e, i, o, u in hertz, how wide they are, and voices by their pitch: see kata.toml.
VOWELS = (730, 1090, 2440), (530, 1840, 2480), (270, 2290, 3010), (570, 840, 2410), (300, 870, 2240)
WIDTHS, RATE, HIGH, LOW = (80, 100, 140), 8000, (180, 260), (100, 140)
SPEAKERS = [HIGH] * 5 + [LOW] * 4
BAR = 0.9  # mid-way between features without the log, 0.81 at best, and the worst of 50 right runs, 0.985


def _signal(rng, length, far=1.0):
    """Samples, back to front in memory with gaps; some come twice."""
    signal = far * normal_array(rng, 2 * length)[::-2]
    signal[-1], signal[length // 2] = signal[0], signal[0]
    return signal


def _rows(rng, count, width, far=1.0):
    """Numbers with the axes in reverse; of several rows the last is the first again."""
    rows = far * normal_array(rng, count, width)
    rows[-1] = rows[0]
    return rows


def _power(rng, count, bins, far=1.0):
    """Numbers that are not negative; of several rows one is silence."""
    power = _rows(rng, count, bins, np.sqrt(far)) ** 2
    power[1:2] = 0.0
    return power


def _set(rng, lengths, columns, train):
    """Recordings with means of their own, in large and small columns; the last has one value in training and others elsewhere."""
    size = 10.0 ** rng.integers(-3, 4, columns)
    recordings = [size * (_rows(rng, count, columns) + 3 * rng.normal(size=columns)) for count in lengths]
    for row in train:
        recordings[row][:, -1] = 0.1
    return recordings, np.array(train)


def _standardised(recordings, train):
    scaler = StandardScaler().fit(np.concatenate([recordings[row] for row in train]))
    ends = np.cumsum([len(each) for each in recordings])
    return np.split(scaler.transform(np.concatenate(recordings)), ends[:-1])


def _calls(rng, count, call):
    """A call of every function with results of `count` rows; the last two return several."""
    recordings, train = _set(rng, (3, 4, 2), 3, (2, 0))
    return {
        "pre_emphasis": (_signal(rng, 2 * count + 2), 0.5),
        "frames": (_signal(rng, 2 * count + 2), 4, 2),
        "power_spectrum": (_rows(rng, count, 6), 8),
        "mel_filters": (count, 32, 8000, 0.0, 3000.0 + 50.0 * call),
        "cepstrum": (_rows(rng, count, 6) ** 2, _power(rng, 4, 6), 3, 1e-10),
        "deltas": (np.cumsum(_rows(rng, count + 1, 3), axis=0), 1),
        "split": (rng.permutation([4, 2, 4, 7]), [[4, 7], [2, 4]][call % 2]),
        "standardise": (recordings, train),
    }


@pytest.mark.shape
def test_shapes(solution, reference, rng):
    """Every result has the stated shape and is float64, for one row and for several, and depends on what it is made of"""
    for call, count in enumerate((3, 1, 2, 7)):
        for name, arguments in list(_calls(rng, count, call).items())[:6]:
            wanted, found = (getattr(module, name)(*arguments) for module in (reference, solution))
            said = text("the result of {function}", function=name)
            assert_shape(found, wanted.shape, dtype=np.float64, name=said)
            assert_that(np.ptp(found) > 0, "all the entries of {name} are equal", name=said)


@pytest.mark.value
def test_pre_emphasis(solution, rng):
    """From each sample a part of the one before it is taken; the first stays"""
    help = "signal[t] - coefficient * signal[t - 1], and signal[0]"
    for length, far in ((7, 1), (1, 1), (2, 3e4), (30, 1e-3), (5003, 50)):
        for coefficient in (0.97, 0.5, 0.0, 1.0):
            signal = _signal(rng, length, far)
            wanted = lfilter([1.0, -coefficient], [1.0], signal)
            assert_close(solution.pre_emphasis(signal, coefficient), wanted, tol=TOL, name="samples", help=help)


@pytest.mark.value
def test_frames(solution, rng):
    """All whole frames and no other, at every length; a signal shorter than a frame is refused"""
    help = "frame f holds samples f * hop to f * hop + L - 1, as long as all of them exist"
    for length, hop in ((5, 2), (4, 4), (3, 7), (1, 1), (6, 1), (1203, 5)):
        for count in sorted({0, length // 2, length - 1}):
            assert_raises(ValueError, solution.frames, _signal(rng, count) if count else np.zeros(0), length, hop)
        for count in [*range(length, length + 2 * hop + 3), 1207, 5003]:
            signal = _signal(rng, count, 50.0)
            wanted = np.array([signal[begin : begin + length] for begin in range(0, count - length + 1, hop)])
            assert_close(solution.frames(signal, length, hop), wanted, tol=SAME, name="pieces", help=help)


@pytest.mark.value
def test_power_spectrum(solution, rng):
    """The power is scipy's, and that of sums written out; a sine on a bin has a quarter of its squared amplitude there"""
    help = "a periodic window over L samples, zeros up to N, |X|^2 and not |X|, over the squared sum of the window"
    for count, length, points, far in SPECTRA:
        pieces, bins = _rows(rng, count, length, far), points // 2 + 1
        scale = {"window": "hann", "nfft": points, "detrend": False, "return_onesided": False, "scaling": "spectrum"}
        wanted = periodogram(pieces, **scale)[1][:, :bins]
        found = solution.power_spectrum(pieces, points)
        assert_close(found, wanted, tol=TOL, name="power", help=help)
        if length < 20:
            turns, window = np.arange(length), 1 - np.cos(2 * np.pi * np.arange(length) / length)
            waves = np.exp(-2j * np.pi * np.outer(np.arange(bins), turns) / points)
            sums = abs(np.sum(waves * (pieces[:9, None] * window), axis=2)) ** 2 / length**2
            assert_close(found[:9], sums, tol=TOL, name=text("power, by sums"), help=help)
    for length, k, amplitude in ((16, 3, 2.0), (200, 20, 0.5), (64, 29, 30.0)):
        sine = amplitude * np.sin(2 * np.pi * k * np.arange(length) / length + rng.uniform(0, 6))
        wanted = np.zeros((1, length // 2 + 1))
        wanted[0, k - 1 : k + 2] = amplitude**2 / 4 * np.array([0.25, 1, 0.25])
        found = solution.power_spectrum(sine[None], length)
        assert_close(found, wanted, tol=TOL, name=text("the power of a sine"), help=help)


@pytest.mark.value
def test_mel_filters(solution, reference):
    """Triangles between corners equally far apart in HTK's mel, straight in hertz, 1 at their top, none rounded to bins"""
    help = "M + 2 corners from low to high in mel; back to hertz; both slopes over the bins' own frequencies"
    for bank in BANKS:
        assert_close(solution.mel_filters(*bank), reference.mel_filters(*bank), tol=TOL, name="filters", help=help)


@pytest.mark.value
def test_cepstrum(solution, rng):
    """Energies of the filters, the floor, the log, then scipy's orthonormal DCT-II; silence gives numbers"""
    help = "filters first, then max(energy, floor), then ln; s[0] = sqrt(1 / M), the others sqrt(2 / M)"
    for count, bins, bands, kept, far, floor in CEPSTRA:
        power, filters = _power(rng, count, bins, far), _power(rng, bands, bins)
        for given in (power, np.zeros((1, bins))):
            wanted = dct(np.log(np.maximum(given @ filters.T, floor)), type=2, norm="ortho", axis=1)[:, :kept]
            name = "coefficients" if given is power else text("the coefficients of silence")
            assert_close(solution.cepstrum(given, filters, kept, floor), wanted, tol=TOL, name=name, help=help)


@pytest.mark.value
def test_deltas(solution, rng):
    """The slope of a straight line through the neighbours of each frame, as scipy fits it; both ends are repeated"""
    help = "n times the difference n frames apart to both sides, over 2 * sum of n^2; the end frames are repeated"
    for count, columns, width, far in SLOPES:
        features = _rows(rng, count, columns, far) + far * rng.integers(0, 10)
        wanted = savgol_filter(features, 2 * width + 1, 1, deriv=1, axis=0, mode="nearest")
        assert_close(solution.deltas(features, width), wanted, tol=TOL, name="slopes", help=help)


@pytest.mark.behaviour
def test_split(solution, rng):
    """Every recording is on one side, and nobody is on both; a speaker without a recording is refused"""
    help = "all recordings of a speaker go together; row numbers of recordings ascend"
    for count, people in ((9, 4), (1, 1), (30, 7), (5003, 50), (6, 6)):
        names = rng.choice(10**6, people, replace=False) - 1000
        speakers = names[rng.permutation(np.arange(count) % people)][::-1]
        for asked in (0, 1, people // 2, people):
            held_out = [int(each) for each in rng.permutation(names)[:asked]]
            sides = assert_parts(solution.split(speakers, held_out + held_out[1:2]), ("train", "test"), name="split")
            for name, found, side in zip(("train", "test"), sides, (False, True), strict=True):
                wanted = np.flatnonzero([(who in held_out) == side for who in speakers.tolist()])
                assert_close(found, wanted, name=name, help=help)
            assert_raises(ValueError, solution.split, speakers, [*held_out, 10**7])


@pytest.mark.value
def test_standardise(solution, rng):
    """Columns get mean 0 and variance 1 over all training frames, as in scikit-learn; one of equal values is not divided"""
    help = (
        "all training frames together; divided by F, not F - 1; a column that is constant in training is divided by 1"
    )
    for case in SETS + SETS[:5]:
        recordings, train = _set(rng, *case)
        wanted = _standardised(recordings, train)
        found = assert_parts(solution.standardise(recordings, train), range(len(wanted)), name="standardise")
        for row, (one, other) in enumerate(zip(found, wanted, strict=True)):
            assert_close(one, other, tol=TOL, name=text("recording {row}", row=row), help=help)


@pytest.mark.behaviour
def test_new_recordings_teach_nothing(solution, rng):
    """Whatever is said in a recording to test on, training is the same, and so is every other test"""
    help = "mean and deviation are of the training recordings, and of nothing else"
    for lengths, columns, train in (SETS[0], SETS[2], SETS[4], SETS[5]):
        recordings, rows = _set(rng, lengths, columns, train)
        wanted = _standardised(recordings, train)
        for altered in set(range(len(lengths))) - set(train):
            changed = list(recordings)
            changed[altered] = 1000 * rng.normal(size=(lengths[altered] + 2, columns)) + 77
            found = solution.standardise(changed, rows)
            for row in set(range(len(lengths))) - {altered}:
                name = text("recording {row} after recording {altered} was altered", row=row, altered=altered)
                assert_close(found[row], wanted[row], tol=TOL, name=name, help=help)


@pytest.mark.behaviour
def test_calls_leave_no_trace(solution, reference, rng, mutated):
    """Arguments stay as they were, and every call is answered by itself, whatever was asked before"""
    for call in range(12):
        for name, arguments in _calls(rng, 3, call).items():
            wanted, found = (getattr(module, name)(*arguments) for module in (reference, solution))
            several = name in ("split", "standardise")
            said = text("{function}, asked again and again", function=name)
            for one, other in zip(found, wanted, strict=True) if several else [(found, wanted)]:
                assert_close(one, other, tol=TOL, name=said, help="state outlives a call")
    assert_unchanged(mutated)


def _vowel(rng, formants, pitch, seconds):
    """Pulses of the voice, which tilt towards low frequencies, through a resonator for each formant, and a little noise."""
    time = np.arange(int(seconds * RATE)) / RATE
    vibrato = 1 + 0.03 * np.sin(2 * np.pi * rng.uniform(2, 6) * time + rng.uniform(0, 6))
    beats = np.floor(np.cumsum(pitch * vibrato) / RATE + rng.random())
    sound = lfilter([1], [1, -0.95], np.diff(beats, prepend=beats[0]))
    for formant, width in zip(formants, WIDTHS, strict=True):
        radius, angle = np.exp(-np.pi * width / RATE), 2 * np.pi * formant * rng.normal(1, 0.02) / RATE
        poles = [1, -2 * radius * np.cos(angle), radius**2]
        sound = lfilter([sum(poles)], poles, sound)
    return rng.uniform(0.05, 0.5) * sound / sound.std() + rng.normal(0, 0.002, len(time))


def _voices(rng):
    """Two recordings of each vowel by each speaker: (sounds, which vowel, who speaks)."""
    said = []
    for speaker, pitches in enumerate(SPEAKERS):
        pitch, tract = rng.uniform(*pitches), rng.uniform(0.96, 1.04)
        for vowel, formants in enumerate(VOWELS):
            for _ in range(2):
                how = tract * np.array(formants), pitch * rng.uniform(0.95, 1.05), rng.uniform(0.15, 0.25)
                said.append((_vowel(rng, *how), vowel, speaker))
    sounds, vowels, speakers = zip(*said, strict=True)
    return sounds, np.array(vowels), np.array(speakers)


def _right(x, y, known):
    """Right answers on the unknown frames: of the nearest centroid, and of a softmax layer after 100 steps down its slope."""
    centroids = np.array([x[known & (y == vowel)].mean(axis=0) for vowel in range(len(VOWELS))])
    inputs, weight = np.column_stack([x, np.ones(len(x))]), np.zeros((x.shape[1] + 1, len(VOWELS)))
    taught, targets = inputs[known], np.eye(len(VOWELS))[y[known]]
    for _ in range(100):
        odds = taught @ weight
        odds = np.exp(odds - odds.max(axis=1, keepdims=True))
        weight -= 0.5 / len(taught) * taught.T @ (odds / odds.sum(axis=1, keepdims=True) - targets)
    answers = cdist(x, centroids).argmin(axis=1), (inputs @ weight).argmax(axis=1)
    return [float(np.mean((each == y)[~known])) for each in answers]


@pytest.mark.convergence
def test_vowels_of_new_voices(solution, rng, record):
    """Taught by high voices, the nearest centroid of your features knows the vowels of low ones, and a softmax layer does"""
    sounds, vowels, speakers = _voices(rng)
    filters = solution.mel_filters(24, 256, RATE, 0.0, 4000.0)
    pieces = [solution.frames(solution.pre_emphasis(each, 0.97), 200, 80) for each in sounds]
    power = [solution.power_spectrum(each, 256) for each in pieces]
    shapes = [solution.cepstrum(each, filters, 13, 1e-10)[:, 1:] for each in power]  # the first number is the loudness
    features = [np.hstack([each, solution.deltas(each, 2)]) for each in shapes]
    train, _ = solution.split(speakers, [speaker for speaker, pitches in enumerate(SPEAKERS) if pitches == LOW])

    everyone, counts = np.arange(len(sounds)), [len(each) for each in power]
    y, known = np.repeat(vowels, counts), np.repeat(np.isin(everyone, train), counts)
    sets = (power, everyone), (power, train), (features, train)
    leaked, raw, ours = (np.concatenate(solution.standardise(*each)) for each in sets)
    frames = rng.random(len(y)) < 0.5
    scores = [_right(*each) for each in ((leaked, y, frames), (leaked, y, known), (raw, y, known), (ours, y, known))]
    shown = (
        "right answers of nearest centroid and softmax layer (columns): power split by frame, with everyone's statistics, "
        "split by speaker, and your features split by speaker"
    )
    record.matrix(shown, np.array(scores))
    record.matrix("spectrogram of an a: ln of the power, high frequencies on top", np.log(power[0] + 1e-10).T[::-1])
    record.matrix("mel filters (rows) over frequency", filters)
    record.matrix("coefficients 1 to 12 of an a, then of an i (columns: frames)", np.vstack([shapes[0], shapes[4]]).T)
    help = "what is left of the pitch in your features?"
    assert_beats(scores[3][0], BAR, name=text("right answers of the nearest centroid on new voices"), help=help)
    assert_beats(scores[3][1], BAR, name=text("right answers of a softmax layer on new voices"), help=help)
