"""As word2vec itself works: one pair after another, one vector after another, nothing but loops."""

import math
from bisect import bisect_right
from itertools import accumulate

import numpy as np


def pair_loss(centers, contexts, negatives, counted):
    loss = 0.0
    by_centers, by_contexts, by_negatives = np.zeros_like(centers), np.zeros_like(contexts), np.zeros_like(negatives)
    for n, center in enumerate(centers):
        score = float(center @ contexts[n])
        loss += minus_log_sigma(score)
        pull = sigma(score) - 1.0
        by_centers[n] += pull * contexts[n]
        by_contexts[n] += pull * center
        for k in np.flatnonzero(counted[n]):
            score = float(center @ negatives[n, k])
            loss += minus_log_sigma(-score)
            push = sigma(score)
            by_centers[n] += push * negatives[n, k]
            by_negatives[n, k] += push * center
    return loss, by_centers, by_contexts, by_negatives


def minus_log_sigma(score):
    return math.log1p(math.exp(-score)) if score > 0 else math.log1p(math.exp(score)) - score


def sigma(score):
    return 1.0 / (1.0 + math.exp(-score)) if score > 0 else math.exp(score) / (1.0 + math.exp(score))


def train_step(inputs, outputs, centers, contexts, negatives, learning_rate):
    counted = np.array([[word != context for word in row] for row, context in zip(negatives, contexts, strict=True)])
    vectors = inputs[centers], outputs[contexts], outputs[negatives]
    loss, by_centers, by_contexts, by_negatives = pair_loss(*vectors, counted)
    new_inputs, new_outputs = np.array(inputs), np.array(outputs)
    for n in range(len(centers)):
        new_inputs[centers[n]] -= learning_rate * by_centers[n]
        new_outputs[contexts[n]] -= learning_rate * by_contexts[n]
        for k, word in enumerate(negatives[n]):
            new_outputs[word] -= learning_rate * by_negatives[n, k]
    return new_inputs, new_outputs, loss


def skip_gram_pairs(sentences, window):
    pairs = []
    for sentence in sentences:
        words = sentence.tolist()
        for place, center in enumerate(words):
            near = words[max(place - window, 0) : place] + words[place + 1 : place + 1 + window]
            pairs += [(center, context) for context in near]
    both = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def subsample(sentences, counts, threshold, uniforms):
    total, shorter = sum(counts.tolist()), []
    for sentence, chances in zip(sentences, uniforms, strict=True):
        kept = []
        for word, chance in zip(sentence.tolist(), chances, strict=True):
            if chance < math.sqrt(threshold * total / counts[word]):
                kept.append(word)
        shorter.append(np.array(kept, dtype=np.int64))
    return shorter


def draw_negatives(counts, uniforms):
    words = [word for word, count in enumerate(counts) if count > 0]
    ends = list(accumulate(float(counts[word]) ** 0.75 for word in words))
    shares = [end / ends[-1] for end in ends]
    drawn = [words[bisect_right(shares, chance)] for chance in uniforms.ravel()]
    return np.array(drawn, dtype=np.int64).reshape(uniforms.shape)


def analogies(vectors, questions, k):
    units = [vector / (np.sqrt(vector @ vector) or 1.0) for vector in vectors]
    answers = []
    for a, b, c in questions:
        goal = units[b] - units[a] + units[c]
        others = [word for word in range(len(units)) if word not in (a, b, c)]
        answers.append(sorted(others, key=lambda word, goal=goal: -(goal @ units[word]))[:k])
    return np.array(answers)


def train(
    sentences,
    counts,
    size,
    *,
    window=3,
    negatives=3,
    threshold=0.005,
    epochs=4,
    batch=128,
    learning_rate=0.1,
    seed=0,
):
    rng = np.random.default_rng(seed)
    inputs, outputs = rng.uniform(-0.5, 0.5, (len(counts), size)) / size, np.zeros((len(counts), size))
    losses = []
    for epoch in range(epochs):
        uniforms = [rng.random(len(sentence)) for sentence in sentences]
        centers, contexts = skip_gram_pairs(subsample(sentences, counts, threshold, uniforms), window)
        noise = draw_negatives(counts, rng.random((len(centers), negatives)))
        for rows in np.split(rng.permutation(len(centers)), range(batch, len(centers), batch)):
            rate = learning_rate * (1 - epoch / epochs)
            inputs, outputs, loss = train_step(inputs, outputs, centers[rows], contexts[rows], noise[rows], rate)
            losses.append(loss / len(rows))
    return inputs, losses
