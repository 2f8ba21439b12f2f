"""The same with an object for each track, loops over tracks, detections and offsets, and scipy's solver."""

from __future__ import annotations

import math
from collections import Counter
from itertools import product

import torch
from scipy.optimize import linear_sum_assignment
from torch import nn

NOBODY = -1
EYE = torch.eye(4, dtype=torch.float64)
MOTION = EYE + torch.eye(4, dtype=torch.float64).roll(2, 1).triu()
WANDER = 0.01 * torch.block_diag(torch.zeros(2, 2), torch.eye(2)).double()
SENSOR, BLUR = EYE[:2], EYE[:2, :2]


def predict(mean, covariance, motion, wander):
    means, covariances = [], []
    for m, c in zip(mean, covariance, strict=True):
        means.append(motion @ m)
        covariances.append(motion @ c @ motion.T + wander)
    return _stack(means, mean), _stack(covariances, covariance)


def _stack(parts, like):
    return torch.stack(parts) if parts else like.clone()


def update(mean, covariance, seen, sensor, blur):
    means, covariances = [], []
    for m, c, z in zip(mean, covariance, seen, strict=True):
        total = sensor @ c @ sensor.T + blur
        gain = c @ sensor.T @ torch.linalg.inv(total)
        error = z - sensor @ m
        means.append(m + gain @ error)
        kept = torch.eye(len(m), dtype=m.dtype) - gain @ sensor
        covariances.append(kept @ c @ kept.T + gain @ blur @ gain.T)  # Joseph's form
    return _stack(means, mean), _stack(covariances, covariance)


def costs(mean, covariance, detections, sensor, blur):
    rows = []
    for m, c in zip(mean, covariance, strict=True):
        total = sensor @ c @ sensor.T + blur
        root = torch.linalg.cholesky(total)
        error = detections - sensor @ m
        scaled = torch.linalg.solve_triangular(root, error.T, upper=False)
        constant = root.diagonal().log().sum() + len(sensor) * math.log(2 * math.pi) / 2
        rows.append((scaled**2).sum(0) / 2 + constant)
    return torch.stack(rows) if rows else detections.new_zeros(0, len(detections))


def match(table, limit):
    answers = [NOBODY] * len(table)
    saved = table.detach().numpy() - limit
    rows, columns = linear_sum_assignment(saved.clip(max=0))
    for row, column in zip(rows, columns, strict=True):
        if saved[row, column] < 0:
            answers[row] = int(column)
    return torch.tensor(answers, dtype=torch.int64)


class _Track:
    def __init__(self, number, point):
        self.number, self.hits, self.missed = number, 1, 0
        self.mean = torch.cat([point, torch.zeros(2, dtype=torch.float64)])[None]
        self.covariance = EYE.clone()[None]

    def move(self):
        self.mean, self.covariance = predict(self.mean, self.covariance, MOTION, WANDER)

    def see(self, point):
        self.mean, self.covariance = update(self.mean, self.covariance, point[None], SENSOR, BLUR)
        self.hits += 1
        self.missed = 0


def track(frames, limit, max_age, min_hits):
    living, born, answers = [], 0, []
    for points in frames:
        for one in living:
            one.move()
        names = [None] * len(points)
        rows = [costs(one.mean, one.covariance, points, SENSOR, BLUR) for one in living]
        if rows:
            for one, row in zip(living, match(torch.cat(rows), limit).tolist(), strict=True):
                if row == NOBODY:
                    one.missed += 1
                else:
                    one.see(points[row])
                    names[row] = one.number if one.hits >= min_hits else NOBODY
        living = [one for one in living if one.missed <= max_age]
        for row, point in enumerate(points):
            if names[row] is None:
                one = _Track(born, point)
                born += 1
                living.append(one)
                names[row] = one.number if one.hits >= min_hits else NOBODY
        answers.append(torch.tensor(names, dtype=torch.int64))
    return answers


def idf1(people, names):
    people, names = people.tolist(), names.tolist()
    true = len([p for p in people if p != NOBODY])
    named = len([n for n in names if n != NOBODY])
    pairs = Counter((p, n) for p, n in zip(people, names, strict=True) if p != NOBODY and n != NOBODY)
    rows, columns = sorted({p for p, _ in pairs}), sorted({n for _, n in pairs})
    table = [[pairs[p, n] for n in columns] for p in rows]
    right = 0
    if table:
        chosen = linear_sum_assignment(table, maximize=True)
        right = sum(table[i][j] for i, j in zip(*chosen, strict=True))
    missed, false = true - right, named - right
    return 2 * right / (2 * right + missed + false)


def conv3d(x, weight, bias):
    size = weight.shape[2:]
    t, h, w = (x.shape[2 + axis] - size[axis] + 1 for axis in range(3))
    y = bias.reshape(1, -1, 1, 1, 1)
    for i, j, k in product(*map(range, size)):
        y = y + torch.einsum("bcthw,fc->bfthw", x[:, :, i : i + t, j : j + h, k : k + w], weight[:, :, i, j, k])
    return y


class ClipNet(nn.Module):
    def __init__(self, channels, filters, size, classes, dtype=torch.float32):
        super().__init__()
        self.head = nn.Linear(filters, classes).to(dtype)
        self.conv = nn.Conv3d(channels, filters, size).to(dtype)

    def forward(self, clips):
        x = clips.permute(0, 2, 1, 3, 4)
        y = torch.relu(conv3d(x, self.conv.weight, self.conv.bias))
        pooled = y.mean(4).mean(3).mean(2)
        return pooled @ self.head.weight.T + self.head.bias
