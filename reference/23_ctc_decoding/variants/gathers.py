"""Each prefix gathers what can have come to it, whole rows of the table of edits at once, rates in an array."""

import math
from heapq import nlargest
from itertools import groupby

import numpy as np

BLANK, SPACE = 0, 1
GAP = -1
TRAIN, DEV, TEST = 0, 1, 2


def words_of(text):
    words, word = [], []
    for label in (*text, SPACE):
        if label != SPACE:
            word.append(int(label))
        elif word:
            words.append(tuple(word))
            word = []
    return words


def bigram_model(texts, classes, smoothing):
    counts = np.full((classes, classes), float(smoothing))
    for text in texts:
        for before, label in zip((BLANK, *text), (*text, BLANK), strict=True):
            counts[before, label] += 1
    return np.log(counts / counts.sum(axis=1, keepdims=True))


NOTHING = (-math.inf, -math.inf)


def best_path(log_probs):
    path = np.argmax(log_probs, axis=1)
    return tuple(int(label) for label, _ in groupby(path) if label != BLANK), np.max(log_probs, axis=1).sum()


def add(*logs):
    top = max(logs)
    return top if top == -math.inf else top + math.log(sum(math.exp(each - top) for each in logs))


def beam_step(beam, log_probs):
    frame = [float(each) for each in log_probs]
    after = {}
    for prefix in set(beam) | {(*prefix, c) for prefix in beam for c in range(1, len(frame))}:
        old = beam.get(prefix, NOTHING)
        if not prefix:
            after[prefix] = (add(*old) + frame[BLANK], -math.inf)
            continue
        last, shorter = prefix[-1], beam.get(prefix[:-1], NOTHING)
        grown = shorter[0] if prefix[-2:-1] == (last,) else add(*shorter)
        after[prefix] = (add(*old) + frame[BLANK], add(old[1], grown) + frame[last])
    return after


def prefix_beam_search(log_probs, width, bigram, alpha, beta):
    beam, told = {(): (0.0, -math.inf)}, {(): 0.0}
    for frame in log_probs:
        beam = {prefix: pair for prefix, pair in beam_step(beam, frame).items() if max(pair) > -math.inf}
        for prefix in beam:
            if prefix not in told:
                told[prefix] = told[prefix[:-1]] + alpha * bigram[(BLANK, *prefix)[-2], prefix[-1]] + beta
        beam = dict(nlargest(width, beam.items(), key=lambda item: add(*item[1]) + told[item[0]]))
    ends = {
        prefix: add(*pair) + told[prefix] + alpha * bigram[(BLANK, *prefix)[-1], BLANK] for prefix, pair in beam.items()
    }
    return nlargest(len(ends), ends.items(), key=lambda item: item[1])


def align(reference, hypothesis):
    steps = np.arange(len(hypothesis) + 1)
    rows = [steps]
    for word in reference:
        above, other = rows[-1], np.array([word != each for each in hypothesis], dtype=np.int64)
        row = above + 1
        row[1:] = np.minimum(row[1:], above[:-1] + other)
        rows.append(np.minimum.accumulate(row - steps) + steps)
    i, j, pairs = len(reference), len(hypothesis), []
    while (i, j) != (0, 0):
        here = rows[i][j]
        if i > 0 and j > 0 and here == rows[i - 1][j - 1] + (reference[i - 1] != hypothesis[j - 1]):
            pairs.append((i - 1, j - 1))
            i, j = i - 1, j - 1
        elif i > 0 and here == rows[i - 1][j] + 1:
            pairs.append((i - 1, GAP))
            i = i - 1
        else:
            pairs.append((GAP, j - 1))
            j = j - 1
    return np.array(pairs, dtype=np.int64).reshape(len(pairs), 2)[::-1]


def corpus_wer(references, hypotheses):
    counts = np.zeros((len(references), 4), dtype=np.int64)
    for row, said, heard in zip(counts, references, hypotheses, strict=True):
        pairs = align(said, heard)
        deleted, inserted = pairs[:, 1] == GAP, pairs[:, 0] == GAP
        both = pairs[~deleted & ~inserted]
        row[:] = sum(said[i] != heard[j] for i, j in both), deleted.sum(), inserted.sum(), len(said)
    total = counts.sum(axis=0)
    edits = total[:3].sum()
    if total[3] == 0:
        return (np.inf if edits > 0 else 0.0), total
    return float(edits / total[3]), total


def tune(log_probs, texts, part, grid, width, smoothing):
    train, dev, test = ([n for n in range(len(texts)) if part[n] == each] for each in (TRAIN, DEV, TEST))
    bigram = bigram_model([texts[n] for n in train], log_probs[0].shape[1], smoothing)

    def beams(chosen, alpha, beta):
        return [prefix_beam_search(log_probs[n], width, bigram, alpha, beta)[0][0] for n in chosen]

    def rate(chosen, found):
        return corpus_wer([words_of(texts[n]) for n in chosen], [words_of(each) for each in found])[0]

    rates = np.array([rate(dev, beams(dev, alpha, beta)) for alpha, beta in grid])
    alpha, beta = grid[int(rates.argmin())]
    greedy = rate(test, [best_path(log_probs[n])[0] for n in test])
    return bigram, alpha, beta, greedy, rate(test, beams(test, alpha, beta))
