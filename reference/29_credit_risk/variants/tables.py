"""Tables of ones and zeros for bins, every pair and every cut-off at once, and odds in place of logits."""

import numpy as np

SMOOTHING = 10.0
QUARTERS = (0.25, 0.5, 0.75)
MISSED, REFUSED = 5.0, 1.0


def weight_of_evidence(bins, bad, count, smoothing):
    labels = np.stack([bad == 0, bad == 1], axis=1).astype(float)
    table = (bins[:, None] == np.arange(count)).T @ labels + smoothing * labels.mean(axis=0)
    shares = np.log(table) - np.log(table.sum(axis=0))
    return shares[:, 0] - shares[:, 1]


def encode(applicants, counts, bad, training):
    parts = []
    for column, count in enumerate(counts):
        values = applicants[:, column]
        if count == 0:
            edges = np.quantile(values[training], QUARTERS)
            table = np.stack([values >= edge for edge in edges], axis=1).sum(axis=1)[:, None] == np.arange(4)
        else:
            table = values[:, None] == np.arange(count)
        bins = table.argmax(axis=1)
        parts.append(table @ weight_of_evidence(bins[training], bad[training], table.shape[1], SMOOTHING))
    return np.array(parts).T


def neuron_loss(x, coef, bias, bad, weight):
    score = np.append(x, np.ones((len(x), 1)), axis=1) @ np.append(coef, bias)
    with np.errstate(over="ignore"):
        probability = 1 / (1 + np.exp(-score))
    each = np.logaddexp(0, score) - bad * score
    total = np.sum(weight)
    push = (probability - bad) * weight / total
    return float(np.dot(weight, each) / total), push[:, None] @ coef[None], x.T @ push, float(push.sum())


def ks_and_gini(score, bad):
    goods, bads = score[bad == 0], score[bad == 1]
    levels, place = np.unique(score, return_inverse=True)
    counts = np.zeros((2, len(levels)))
    np.add.at(counts, (bad, place), 1)
    shares = np.cumsum(counts, axis=1) / counts.sum(axis=1, keepdims=True)
    wins = (bads[:, None] > goods).mean() - (bads[:, None] < goods).mean()
    return float(np.max(np.abs(shares[0] - shares[1]))), float(wins)


def calibration_error(probability, bad, bins):
    place = np.floor(probability * bins)
    place[place == bins] -= 1
    table = (place[:, None] == np.unique(place)).astype(float)
    held = table.sum(axis=0)
    gaps = np.abs(probability @ table / held - bad @ table / held)
    return float(np.average(gaps, weights=held))


def correct_prior(probability, trained, true):
    up, down = true / trained, (1 - true) / (1 - trained)
    return up * probability / (down + (up - down) * probability)


def best_cutoff(probability, bad, missed, refused):
    cutoffs = np.unique(np.append(probability, 2.0))
    each = np.where(bad == 1, missed, 0.0), np.where(bad == 1, 0.0, refused)
    costs = np.array([np.where(probability < cutoff, *each).sum() for cutoff in cutoffs])
    best = np.flatnonzero(costs == costs.min())[-1]
    return float(cutoffs[best]), float(costs[best] / len(probability))


def predict(x, params):
    units = np.tanh(x @ params["inner"] + params["offset"]) if "inner" in params else x
    return 0.5 * (1.0 + np.tanh(0.5 * (units @ params["coef"] + params["bias"])))


def train(x, bad, weight, *, hidden=0, steps=400, seed=0):
    rng = np.random.default_rng(seed)
    params = {"coef": np.zeros(x.shape[1]), "bias": np.zeros(())}
    if hidden:
        params["inner"], params["offset"] = rng.normal(size=(x.shape[1], hidden)) / x.shape[1] ** 0.5, np.zeros(hidden)
        params["coef"] = rng.normal(size=hidden) / hidden**0.5
    speed, losses = {name: np.zeros_like(value) for name, value in params.items()}, []
    for _ in range(steps):
        units = np.tanh(x @ params["inner"] + params["offset"]) if hidden else x
        loss, by_units, by_coef, by_bias = neuron_loss(units, params["coef"], float(params["bias"]), bad, weight)
        slopes = {"coef": by_coef + 0.01 * params["coef"], "bias": by_bias}
        if hidden:
            by_inner = by_units * (1.0 - units**2)
            slopes |= {"inner": x.T @ by_inner + 0.01 * params["inner"], "offset": by_inner.sum(axis=0)}
        speed = {name: 0.9 * speed[name] - slopes[name] for name in params}
        params = {name: params[name] + speed[name] for name in params}
        losses.append(loss)
    return params, losses


def scorecard(applicants, counts, bad, training, validation, hidden=0):
    inputs = encode(applicants, counts, bad, training)
    good, evil = np.bincount(bad[training], minlength=2)
    weight = np.array([1.0, good / evil])[bad[training]]
    params = train(inputs[training], bad[training], weight, hidden=hidden)[0]
    corrected = correct_prior(predict(inputs, params), 0.5, evil / (good + evil)).round(9)
    return corrected, best_cutoff(corrected[validation], bad[validation], MISSED, REFUSED)[0]
