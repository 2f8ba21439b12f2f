"""Loops, sums written out, and lists."""

import math

import numpy as np


def pre_emphasis(signal, coefficient):
    samples = [float(signal[0])]
    for t in range(1, len(signal)):
        samples.append(float(signal[t]) - coefficient * float(signal[t - 1]))
    return np.array(samples)


def frames(signal, length, hop):
    pieces = []
    begin = 0
    while begin + length <= len(signal):
        pieces.append(signal[begin : begin + length])
        begin += hop
    if not pieces:
        raise ValueError(f"{len(signal)} samples hold no frame of {length}")
    return np.stack(pieces)


def power_spectrum(pieces, points):
    length = pieces.shape[1]
    window = np.array([math.sin(math.pi * n / length) ** 2 for n in range(length)])
    bins, places = np.arange(points // 2 + 1), np.arange(length)
    angles = 2.0 * math.pi * (np.outer(places, bins) % points) / points
    power = np.empty((len(pieces), len(bins)))
    cosines, sines = np.cos(angles), np.sin(angles)
    for f, piece in enumerate(pieces):
        windowed = window * piece
        power[f] = (windowed @ cosines) ** 2 + (windowed @ sines) ** 2
    return power / sum(window) ** 2


def mel_filters(count, points, sample_rate, low, high):
    first = 2595.0 * math.log10(1.0 + low / 700.0)
    last = 2595.0 * math.log10(1.0 + high / 700.0)
    corners = []
    for i in range(count + 2):
        mel = first + (last - first) * i / (count + 1)
        corners.append(700.0 * (10.0 ** (mel / 2595.0) - 1.0))
    filters = np.zeros((count, points // 2 + 1))
    for m in range(count):
        left, top, right = corners[m : m + 3]
        for k in range(points // 2 + 1):
            f = k * sample_rate / points
            if left < f <= top:
                filters[m, k] = (f - left) / (top - left)
            elif top < f < right:
                filters[m, k] = (right - f) / (right - top)
    return filters


def cepstrum(power, filters, count, floor):
    energies = np.stack([power @ each for each in filters], axis=1)
    energies[energies < floor] = floor
    levels = np.log(energies)
    bands = len(filters)
    columns = []
    for k in range(count):
        wave = [math.cos(math.pi * k * (m + 0.5) / bands) for m in range(bands)]
        scale = math.sqrt((2 if k else 1) / bands)
        columns.append(scale * (levels @ np.array(wave)))
    return np.stack(columns, axis=1)


def deltas(features, width):
    last = len(features) - 1
    slopes = np.zeros(features.shape)
    for f in range(last + 1):
        for n in range(1, width + 1):
            slopes[f] += n * (features[min(f + n, last)] - features[max(f - n, 0)])
    return slopes / (2 * sum(n * n for n in range(1, width + 1)))


def split(speakers, held_out):
    people = speakers.tolist()
    for speaker in held_out:
        if speaker not in people:
            raise ValueError(f"no recording of speaker {speaker}")
    sides = [], []
    for row, speaker in enumerate(people):
        sides[speaker in held_out].append(row)
    return tuple(np.array(rows, dtype=np.int64) for rows in sides)


def standardise(recordings, train):
    columns = recordings[0].shape[1]
    count, total, squares = 0, np.zeros(columns), np.zeros(columns)
    for row in train:
        count += len(recordings[row])
        total += recordings[row].sum(axis=0)
    mean = total / count
    for row in train:
        squares += ((recordings[row] - mean) ** 2).sum(axis=0)
    deviation = np.sqrt(squares / count)
    for column in range(columns):
        if len({value for row in train for value in recordings[row][:, column].tolist()}) == 1:
            deviation[column] = 1.0
    return [(each - mean) / deviation for each in recordings]
