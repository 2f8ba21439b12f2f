"""The same, row by row and patient by patient, with lists, sets and dictionaries; the AUC is the area under the curve."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn import functional as F


def focal_loss(logits, labels, gamma, alpha):
    losses = []
    for kind, weight, sign in ((1, alpha, 1), (0, 1 - alpha, -1)):
        own = sign * logits[labels == kind]
        lost = F.softplus(-own)
        focus = torch.exp(-gamma * F.softplus(own))
        losses.append(weight * (focus * lost).sum())
    return sum(losses) / len(logits)


def focal_gradient(logits, labels, gamma, alpha):
    gradient = torch.zeros_like(logits)
    for kind, weight, sign in ((1, alpha, 1), (0, 1 - alpha, -1)):
        own = sign * logits[labels == kind]
        lost, p = F.softplus(-own), torch.sigmoid(own)
        focus = torch.exp(-gamma * F.softplus(own))
        by_focus, by_loss = gamma * p * lost, torch.sigmoid(-own)
        gradient[labels == kind] = -sign * weight * focus * (by_focus + by_loss)
    return gradient / len(logits)


def _kinds(labels, scores):
    ill = sorted(score for label, score in zip(labels.tolist(), scores.tolist(), strict=True) if label)
    healthy = sorted(score for label, score in zip(labels.tolist(), scores.tolist(), strict=True) if not label)
    return ill, healthy


def roc_curve(labels, scores):
    ill, healthy = _kinds(labels, scores)
    positives, negatives = len(ill), len(healthy)
    false, true = [0.0], [0.0]
    cutoffs = sorted(set(scores.tolist()), reverse=True)
    for cutoff in cutoffs:
        while ill and ill[-1] >= cutoff:
            ill.pop()
        while healthy and healthy[-1] >= cutoff:
            healthy.pop()
        false.append((negatives - len(healthy)) / negatives)
        true.append((positives - len(ill)) / positives)
    return np.array(false), np.array(true), np.array(cutoffs)


def auc(labels, scores):
    false, true, _ = roc_curve(labels, scores)
    area = 0.0
    for place in range(1, len(false)):
        height = (true[place] + true[place - 1]) / 2
        area += (false[place] - false[place - 1]) * height
    return float(area)


def choose_cutoff(labels, scores, specificity):
    _, healthy = _kinds(labels, scores)
    below = 0
    for cutoff in sorted(set(scores.tolist())):
        while below < len(healthy) and healthy[below] < cutoff:
            below += 1
        if below / len(healthy) >= specificity:
            return cutoff
    return math.inf


def rates_at(labels, scores, cutoff):
    ill, healthy = _kinds(labels, scores)
    sensitivity = sum(score >= cutoff for score in ill) / len(ill)
    specificity = sum(score < cutoff for score in healthy) / len(healthy)
    return sensitivity, specificity


def split_patients(labels, patients, uniforms):
    rows, ill = {}, set()
    for row, (label, patient) in enumerate(zip(labels.tolist(), patients.tolist(), strict=True)):
        rows.setdefault(patient, []).append(row)
        if label == 1:
            ill.add(patient)
    uniform = dict(zip(sorted(rows), uniforms.tolist(), strict=True))
    parts = [], [], []
    for group in ([each for each in rows if each in ill], [each for each in rows if each not in ill]):
        group.sort(key=uniform.get)
        for rank, patient in enumerate(group):
            half, quarter = len(group) // 2, len(group) // 4
            part = 0 if rank < half else 1 if rank < half + quarter else 2
            parts[part].extend(rows[patient])
    return [np.array(sorted(part), dtype=np.int64) for part in parts]


def bootstrap_interval(labels, scores, patients, resamples, seed, level):
    rows = {}
    for row, patient in enumerate(patients.tolist()):
        rows.setdefault(patient, []).append(row)
    names = sorted(rows)
    draws = np.random.default_rng(seed).integers(0, len(names), (resamples, len(names)))
    areas = []
    for draw in draws.tolist():
        chosen = [row for each in draw for row in rows[names[each]]]
        if len(set(labels[chosen].tolist())) < 2:
            continue
        ill, healthy = scores[chosen][labels[chosen] == 1], np.sort(scores[chosen][labels[chosen] == 0])
        above = np.searchsorted(healthy, ill, side="left") + np.searchsorted(healthy, ill, side="right")
        areas.append(above.sum() / (2 * len(ill) * len(healthy)))
    if not areas:
        raise ValueError("nothing is left")
    tail = (1 - level) / 2
    return float(np.quantile(areas, tail)), float(np.quantile(areas, 1 - tail))


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
    train, validation, test = (np.asarray(part) for part in parts)
    centre, spread = x[train].mean(0), x[train].std(0)
    scaled = {
        name: torch.tensor((x[rows] - centre) / spread) for name, rows in (("train", train), ("all", slice(None)))
    }
    sick = torch.tensor(labels[train].copy())
    trained, _ = fit(weights, scaled["train"], sick, gamma, alpha, steps, learning_rate)
    scores = network(trained, scaled["all"]).numpy()
    cutoff = choose_cutoff(labels[validation], scores[validation], specificity)
    sensitivity, spared = rates_at(labels[test], scores[test], cutoff)
    return scores, cutoff, sensitivity, spared
