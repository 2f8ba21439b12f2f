"""The same with everything at once: sums over indices, densities as explicit inverses, windows as one matrix product."""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import nn

NOBODY = -1
MOTION = torch.tensor([[1, 0, 1, 0], [0, 1, 0, 1], [0, 0, 1, 0], [0, 0, 0, 1]]).double()
WANDER = torch.tensor([0, 0, 0.01, 0.01]).double().diag()
SENSOR = torch.tensor([[1, 0, 0, 0], [0, 1, 0, 0]]).double()


def predict(mean, covariance, motion, wander):
    moved = torch.einsum("ij,nj->ni", motion, mean)
    doubt = torch.einsum("ij,njk,lk->nil", motion, covariance, motion)
    return moved, doubt + wander


def update(mean, covariance, seen, sensor, blur):
    total = torch.einsum("ij,njk,lk->nil", sensor, covariance, sensor) + blur
    gain = torch.einsum("nij,kj,nkl->nil", covariance, sensor, total.inverse())
    surprise = seen - torch.einsum("ij,nj->ni", sensor, mean)
    moved = mean + torch.einsum("nij,nj->ni", gain, surprise)
    shrunk = covariance - torch.einsum("nij,njk,nlk->nil", gain, total, gain)
    return moved, shrunk


def costs(mean, covariance, detections, sensor, blur):
    total = torch.einsum("ij,njk,lk->nil", sensor, covariance, sensor) + blur
    apart = detections.unsqueeze(0) - torch.einsum("ij,nj->ni", sensor, mean).unsqueeze(1)
    distance = torch.einsum("ndi,nij,ndj->nd", apart, total.inverse(), apart)
    volume = total.det().log() + len(sensor) * np.log(2 * np.pi)
    return 0.5 * distance + 0.5 * volume.unsqueeze(1)


def match(table, limit):
    n, d = table.shape
    cost = table.detach().numpy()
    wide = np.full((n, d + n), float(limit))
    wide[:, :d] = np.where(cost < limit, cost, np.abs(cost).max(initial=0) + abs(limit) * (n + 1) + 1e6)
    columns = linear_sum_assignment(wide)[1]
    return torch.from_numpy(np.where(columns < d, columns, NOBODY).astype(np.int64))


def track(frames, limit, max_age, min_hits):
    blur, start = torch.eye(2).double(), torch.eye(4).double()
    state, doubt = torch.zeros(0, 4).double(), torch.zeros(0, 4, 4).double()
    records, born, answers = np.zeros((0, 3), dtype=np.int64), 0, []  # number, last frame seen, hits
    for now, points in enumerate(frames):
        state, doubt = predict(state, doubt, MOTION, WANDER)
        matches = match(costs(state, doubt, points, SENSOR, blur), limit).numpy()
        rows = np.flatnonzero(matches >= 0)
        new_state, new_doubt = update(state[rows], doubt[rows], points[matches[rows]], SENSOR, blur)
        state = state.index_copy(0, torch.from_numpy(rows), new_state)
        doubt = doubt.index_copy(0, torch.from_numpy(rows), new_doubt)
        records[rows, 1] = now
        records[rows, 2] += 1
        free = np.setdiff1d(np.arange(len(points)), matches[rows])
        births = np.stack([born + np.arange(len(free)), np.full(len(free), now), np.ones(len(free), dtype=np.int64)], 1)
        names = np.full(len(points), NOBODY)
        names[matches[rows]] = np.where(records[rows, 2] < min_hits, NOBODY, records[rows, 0])
        names[free] = np.where(births[:, 2] < min_hits, NOBODY, births[:, 0])
        answers.append(torch.from_numpy(names))
        stays = np.flatnonzero(now - records[:, 1] <= max_age)
        begun = nn.functional.pad(points[free], (0, 2))
        state = torch.cat([state[stays], begun])
        doubt = torch.cat([doubt[stays], start.expand(len(free), 4, 4)])
        records = np.concatenate([records[stays], births])
        born += len(free)
    return tuple(answers)


def idf1(people, names):
    people, names = people.numpy(), names.numpy()
    true, named = people != NOBODY, names != NOBODY
    who, what = np.unique(people[true]), np.unique(names[named])
    same = [(people[None] == who[:, None]).astype(float), (names[None] == what[:, None]).astype(float)]
    table = same[0] @ same[1].T
    right = table[linear_sum_assignment(-table)].sum()
    precision, recall = right / max(named.sum(), 1), right / max(true.sum(), 1)
    return 0.0 if right == 0 else float(2 * precision * recall / (precision + recall))


def conv3d(x, weight, bias):
    windows = x.unfold(4, weight.shape[4], 1).unfold(3, weight.shape[3], 1).unfold(2, weight.shape[2], 1)
    windows = windows.permute(0, 2, 3, 4, 1, 7, 6, 5)
    y = windows.flatten(4) @ weight.flatten(1).T + bias
    return y.movedim(4, 1)


class ClipNet(nn.Module):
    def __init__(self, channels, filters, size, classes, dtype=torch.float32):
        super().__init__()
        self.conv = nn.Conv3d(channels, filters, size, dtype=dtype)
        self.head = nn.Linear(filters, classes, dtype=dtype)

    def forward(self, clips):
        y = conv3d(torch.stack(clips.unbind(1), 2), self.conv.weight, self.conv.bias).clamp(min=0)
        return self.head(y.flatten(2).sum(2) / y[0, 0].numel())
