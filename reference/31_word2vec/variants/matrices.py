"""Whole matrices: words as rows of ones and zeros, pairs as offsets of a text, and no loop over either."""

import numpy as np


def pair_loss(centers, contexts, negatives, counted):
    # The true word stands first, with the sign +1; random ones follow with -1, or with no weight at all.
    others = np.concatenate([contexts[:, None], negatives], axis=1)
    signs, weight = np.full(others.shape[:2], -1.0), np.ones(others.shape[:2])
    signs[:, 0], weight[:, 1:] = 1.0, counted
    margins = signs * (others @ centers[:, :, None])[:, :, 0]
    slopes = -weight * signs * 0.5 * (1.0 - np.tanh(0.5 * margins))
    by_others = slopes[:, :, None] * centers[:, None]
    loss = np.sum(weight * (np.maximum(-margins, 0.0) + np.log1p(np.exp(-np.abs(margins)))))
    return loss, (slopes[:, None] @ others)[:, 0], by_others[:, 0], by_others[:, 1:]


def one_hot(ids, words):
    return (ids.reshape(-1, 1) == np.arange(words)).astype(float)


def train_step(inputs, outputs, centers, contexts, negatives, learning_rate):
    words, width = inputs.shape
    counted = ~(negatives == contexts.reshape(-1, 1))
    loss, by_centers, *by_others = pair_loss(inputs[centers], outputs[contexts], outputs[negatives], counted)
    near = one_hot(contexts, words).T @ by_others[0]
    random = one_hot(negatives, words).T @ by_others[1].reshape(-1, width)
    new_inputs = inputs - learning_rate * (one_hot(centers, words).T @ by_centers)
    return new_inputs, outputs - learning_rate * (near + random), loss


def skip_gram_pairs(sentences, window):
    if not sentences:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    text = np.concatenate(sentences).astype(np.int64)
    sentence = np.repeat(np.arange(len(sentences)), [len(each) for each in sentences])
    places, offsets = [], []
    for offset in range(1, min(window, len(text) - 1) + 1):
        (left,) = np.nonzero(sentence[offset:] == sentence[:-offset])
        if not len(left):
            break
        places += [left, left + offset]
        offsets += [np.full(len(left), offset), np.full(len(left), -offset)]
    if not places:
        return text[:0], text[:0]
    place, offset = np.concatenate(places), np.concatenate(offsets)
    order = np.lexsort((offset, place))
    return text[place[order]], text[(place + offset)[order]]


def subsample(sentences, counts, threshold, uniforms):
    with np.errstate(divide="ignore", invalid="ignore"):
        dropped = 1.0 - np.sqrt(threshold / (counts / np.sum(counts)))
    return [each[1.0 - chance > dropped[each]] for each, chance in zip(sentences, uniforms, strict=True)]


def draw_negatives(counts, uniforms):
    present = np.flatnonzero(counts)
    ends = np.sqrt(np.sqrt(counts[present].astype(float))) ** 3
    ends = np.cumsum(ends) / np.sum(ends)
    return present[np.minimum(np.digitize(uniforms, ends), len(present) - 1)]


def analogies(vectors, questions, k):
    squares = np.sum(vectors**2, axis=1)
    units = vectors * np.where(squares > 0, 1 / np.sqrt(np.where(squares > 0, squares, 1.0)), 0.0)[:, None]
    signs = np.array([-1.0, 1.0, 1.0])
    closeness = np.einsum("qjd,j,vd->qv", units[questions], signs, units, optimize=True)
    closeness[(questions[:, :, None] == np.arange(len(vectors))).any(axis=1)] = -4.0
    return np.flip(np.argsort(closeness, axis=1), axis=1)[:, :k]


def train(sentences, counts, size, *, window=3, negatives=3, threshold=0.005, epochs=4, batch=128, seed=0):
    rng = np.random.default_rng(seed)
    inputs, outputs = rng.normal(size=(len(counts), size)) / size, np.zeros((len(counts), size))
    losses = []
    for rate in np.linspace(0.1, 0.02, epochs):
        chances = np.split(rng.random(sum(map(len, sentences))), np.cumsum([len(each) for each in sentences])[:-1])
        pairs = np.stack(skip_gram_pairs(subsample(sentences, counts, threshold, chances), window))
        for rows in np.array_split(rng.permuted(np.arange(pairs.shape[1])), 1 + pairs.shape[1] // batch):
            noise = draw_negatives(counts, rng.random((len(rows), negatives)))
            inputs, outputs, loss = train_step(inputs, outputs, *pairs[:, rows], noise, rate)
            losses.append(loss / len(rows))
    return inputs, losses
