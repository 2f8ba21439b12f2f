"""The same, by whole arrays: ranks instead of pairs, one sort instead of a search, chances instead of logarithms where they hold."""

from __future__ import annotations

import numpy as np
import torch


def _terms(logits, labels, alpha):
    """Minus log p, and p and 1 - p of the label that is true; the weights; +1 and -1."""
    sign = labels.to(logits.dtype).mul(2).sub(1)
    margin = logits * sign
    lost = torch.logaddexp(torch.zeros_like(margin), -margin)
    weights = (1 + sign) / 2 * alpha + (1 - sign) / 2 * (1 - alpha)
    return lost, margin.sigmoid(), (-margin).sigmoid(), weights, sign


def focal_loss(logits, labels, gamma, alpha):
    lost, _, wrong, weights, _ = _terms(logits, labels, alpha)
    return torch.dot(weights, wrong**gamma * lost) / logits.numel()


def focal_gradient(logits, labels, gamma, alpha):
    lost, right, wrong, weights, sign = _terms(logits, labels, alpha)
    slope = -(wrong ** (gamma + 1)) - gamma * right * lost * wrong**gamma
    return weights * slope * sign / logits.numel()


def _counts(labels, scores):
    """The distinct scores, smallest first; of each, how many are healthy and how many ill."""
    values, place = np.unique(scores, return_inverse=True)
    healthy = np.bincount(place, 1.0 - labels, minlength=len(values))
    ill = np.bincount(place, labels, minlength=len(values))
    return values, healthy, ill


def roc_curve(labels, scores):
    values, healthy, ill = _counts(labels, scores)
    curve = []
    for each in (healthy, ill):
        steps = np.concatenate([[0.0], each[::-1]])
        curve.append(steps.cumsum() / each.sum())
    return *curve, values[::-1].copy()


def auc(labels, scores):
    _, healthy, ill = _counts(labels, scores)
    every = healthy + ill
    rank = every.cumsum() - (every - 1) / 2
    positives, negatives = ill.sum(), healthy.sum()
    return float((ill @ rank - positives * (positives + 1) / 2) / (positives * negatives))


def choose_cutoff(labels, scores, specificity):
    values, healthy, _ = _counts(labels, scores)
    below = healthy.cumsum() - healthy
    good = np.flatnonzero(below / healthy.sum() >= specificity)
    return float(values[good.min()]) if good.size else np.inf


def rates_at(labels, scores, cutoff):
    said, ill = scores >= cutoff, labels.astype(bool)
    return float((said & ill).sum() / ill.sum()), float((~said & ~ill).sum() / (~ill).sum())


def split_patients(labels, patients, uniforms):
    names, place = np.unique(patients, return_inverse=True)
    ill = np.zeros(len(names), dtype=np.int64)
    np.maximum.at(ill, place, labels)
    order = np.lexsort((uniforms, ill))
    size = np.bincount(ill, minlength=2)[ill[order]]
    rank = np.arange(len(names)) - np.where(ill[order] == 1, (ill == 0).sum(), 0)
    part = np.empty(len(names), dtype=np.int64)
    part[order] = (rank >= size // 2).astype(np.int64) + (rank >= size // 2 + size // 4)
    return tuple((part[place] == each).nonzero()[0] for each in (0, 1, 2))


def bootstrap_interval(labels, scores, patients, resamples, seed, level):
    names, place = np.unique(patients, return_inverse=True)
    rng, areas = np.random.default_rng(seed), []
    for draw in rng.integers(0, len(names), (resamples, len(names))):
        times = np.bincount(draw, minlength=len(names))[place]
        rows = np.repeat(np.arange(len(labels)), times)
        if np.ptp(labels[rows]) == 1:
            areas.append(auc(labels[rows], scores[rows]))
    if len(areas) == 0:
        raise ValueError("every resample was of one kind")
    ends = np.percentile(areas, [50 - 50 * level, 50 + 50 * level])
    return float(ends[0]), float(ends[1])


def network(weights, x):
    into, bias, out, offset = weights
    return torch.tanh(x @ into + bias) @ out + offset


def fit(weights, x, labels, gamma, alpha, steps, learning_rate):
    trained = [weight.clone().requires_grad_() for weight in weights]
    optimiser = torch.optim.Adam(trained, lr=learning_rate)
    losses = []
    for _ in range(steps):
        logits = network(trained, x)
        optimiser.zero_grad()
        logits.backward(focal_gradient(logits.detach(), labels, gamma, alpha))
        optimiser.step()
        losses.append(focal_loss(logits.detach(), labels, gamma, alpha).item())
    return [weight.detach() for weight in trained], losses


def screen(weights, x, labels, parts, specificity, gamma, alpha, steps, learning_rate):
    fitted_on, chosen_on, told_on = parts
    x, truth = torch.tensor(x.copy()), torch.tensor(labels.copy())
    seen = x[fitted_on]
    spread, mean = torch.std_mean(seen, 0, correction=0)
    trained = fit(weights, (seen - mean) / spread, truth[fitted_on], gamma, alpha, steps, learning_rate)[0]
    scores = network(trained, (x - mean) / spread).numpy()
    cutoff = choose_cutoff(labels[chosen_on], scores[chosen_on], specificity)
    return [scores, cutoff, *rates_at(labels[told_on], scores[told_on], cutoff)]
