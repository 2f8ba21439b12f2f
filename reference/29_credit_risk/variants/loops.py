"""Plain loops over bins, columns, levels and candidates, and logits for probabilities."""

import math

import numpy as np

SMOOTHING = 10.0
QUARTERS = (0.25, 0.5, 0.75)
MISSED, REFUSED = 5.0, 1.0


def weight_of_evidence(bins, bad, count, smoothing):
    goods, bads = [0.0] * count, [0.0] * count
    for place, label in zip(bins.tolist(), bad.tolist(), strict=True):
        if label:
            bads[place] += 1
        else:
            goods[place] += 1
    good_all, bad_all, everyone = sum(goods), sum(bads), len(bins)
    goods = [number + smoothing * good_all / everyone for number in goods]
    bads = [number + smoothing * bad_all / everyone for number in bads]
    good_sum, bad_sum = sum(goods), sum(bads)
    return np.array([math.log((g / good_sum) / (b / bad_sum)) for g, b in zip(goods, bads, strict=True)])


def encode(applicants, counts, bad, training):
    seen, labels = applicants[training], bad[training]
    x = np.empty(applicants.shape)
    for c, count in enumerate(counts):
        if count:
            known, bins = seen[:, c].astype(int), applicants[:, c].astype(int)
        else:
            edges, count = np.quantile(seen[:, c], QUARTERS), 4
            known = np.digitize(seen[:, c], edges)
            bins = np.digitize(applicants[:, c], edges)
        woe = weight_of_evidence(known, labels, count, SMOOTHING)
        for row in range(len(x)):
            x[row, c] = woe[bins[row]]
    return x


def neuron_loss(x, coef, bias, bad, weight):
    share = weight / np.sum(weight)
    margins = (2 * bad - 1) * (np.sum(x * coef, axis=1) + bias)
    small = np.exp(-np.abs(margins))
    loss = np.sum(share * (np.maximum(-margins, 0.0) + np.log1p(small)))
    missed = np.where(margins > 0, small, 1.0) / (1.0 + small)
    push = share * missed * (1 - 2 * bad)
    return float(loss), push[:, None] * coef, np.sum(push[:, None] * x, axis=0), float(np.sum(push))


def ks_and_gini(score, bad):
    goods = bads = 0
    good_all, bad_all = int(np.sum(bad == 0)), int(np.sum(bad == 1))
    ks = ordered = 0.0
    levels = {}
    for value, label in zip(score.tolist(), bad.tolist(), strict=True):
        levels.setdefault(value, [0, 0])[label] += 1
    for level in sorted(levels):
        here = levels[level]
        ordered += here[1] * goods - here[0] * bads
        goods, bads = goods + here[0], bads + here[1]
        ks = max(ks, abs(goods / good_all - bads / bad_all))
    return ks, ordered / (good_all * bad_all)


def calibration_error(probability, bad, bins):
    error = 0.0
    places = [min(int(p * bins), bins - 1) for p in probability.tolist()]
    for place in set(places):
        rows = np.array(places) == place
        error += rows.mean() * abs(probability[rows].mean() - bad[rows].mean())
    return float(error)


def correct_prior(probability, trained, true):
    shift = math.log(true / (1 - true)) - math.log(trained / (1 - trained))
    corrected = []
    for p in probability.tolist():
        inside = 0 < p < 1
        corrected.append(1 / (1 + math.exp(-math.log(p) + math.log1p(-p) - shift)) if inside else p)
    return np.array(corrected)


def best_cutoff(probability, bad, missed, refused):
    rows = sorted(zip(probability.tolist(), bad.tolist(), strict=True), reverse=True)
    cost = missed * float(np.sum(bad))
    cutoff, least = 2.0, cost
    for place, (p, label) in enumerate(rows):
        cost += -missed if label else refused
        last = place + 1 == len(rows) or rows[place + 1][0] != p
        if last and cost < least:
            cutoff, least = p, cost
    return cutoff, least / len(rows)


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
    x = encode(applicants, counts, bad, training)
    bads = int(np.sum(bad[training]))
    goods = len(training) - bads
    weight = np.ones(len(training))
    for place, row in enumerate(training):
        if bad[row]:
            weight[place] = goods / bads
    params, _ = train(x[training], bad[training], weight, hidden=hidden)
    probability = correct_prior(predict(x, params), 0.5, bads / len(training))
    probability = np.round(probability, 9)
    cutoff, _ = best_cutoff(probability[validation], bad[validation], MISSED, REFUSED)
    return probability, cutoff
