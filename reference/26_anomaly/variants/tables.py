"""No sort and no loop over rows: counts in tables of levels, eigenvectors of a covariance, one class that scales."""

import math

import torch
from torch import nn
from torch.nn import functional as F


def row_errors(output, x):
    return F.mse_loss(output, x, reduction="none").sum(-1) / x.size(-1)


def split_rows(anomalous, order, train, held):
    normal_so_far = (~anomalous)[order].cumsum(0)
    strange = anomalous[order]
    if train + held > int((~strange).sum()):
        raise ValueError("not enough rows are normal")
    first = (normal_so_far <= train) & ~strange
    second = (normal_so_far > train) & (normal_so_far <= train + held) & ~strange
    return order[first], order[second], order[~(first | second)]


def pca_errors(normal, x, rank):
    centre = normal.mean(0, keepdim=True)
    centred = normal - centre
    _, directions = torch.linalg.eigh(centred.T @ centred)
    dropped = directions[:, : x.shape[1] - rank]
    left = (x - centre) @ dropped @ dropped.T
    return row_errors(left, torch.zeros_like(left))


def alarm_level(held, rate):
    count = held.numel()
    place = count + 1 - math.floor((count + 1) * rate)
    if place == 0:
        return float("-inf")
    return held.kthvalue(place).values.item() if place <= count else float("inf")


def precision_recall(scores, anomalous, level):
    alarms = torch.gt(scores, level)
    table = torch.bincount(2 * anomalous.long() + alarms.long(), minlength=4).tolist()
    _, false, missed, found = table
    return found / (found + false) if found else 0.0, found / (found + missed) if found else 0.0


def average_precision(scores, anomalous):
    levels, level_of = scores.unique(return_inverse=True)
    alarms = torch.bincount(level_of, minlength=len(levels)).flip(0).cumsum(0)
    gained = torch.bincount(level_of[anomalous], minlength=len(levels)).flip(0)
    precision = gained.cumsum(0).double() / alarms
    return torch.dot(precision, gained.double()).item() / gained.sum().item()


class Denoiser(nn.Module):
    def __init__(self, columns, hidden, code, blank=0.2, dtype=torch.float32):
        super().__init__()
        self.blank = blank
        self.enter, self.leave = nn.Linear(columns, hidden, dtype=dtype), nn.Linear(hidden, columns, dtype=dtype)
        self.code, self.open = nn.Linear(hidden, code, dtype=dtype), nn.Linear(code, hidden, dtype=dtype)

    def forward(self, x):
        seen = F.dropout(x, self.blank, training=self.training)
        down = F.linear(F.relu(F.linear(seen, self.enter.weight, self.enter.bias)), self.code.weight, self.code.bias)
        up = F.relu(F.linear(down, self.open.weight, self.open.bias))
        return F.linear(up, self.leave.weight, self.leave.bias)


def fit(model, x, batches, learning_rate):
    model.train()
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate)
    losses = []
    for rows in batches:
        loss = row_errors(model(x[rows]), x[rows]).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


class Scale:
    def __init__(self, rows):
        self.mean = rows.mean(0, keepdim=True)
        variance = rows.var(0, unbiased=False).mean() if len(rows) > 1 else rows.new_zeros(())
        self.root = variance.sqrt() if variance > 0 else torch.ones_like(variance)

    def __call__(self, rows):
        return (rows - self.mean).div(self.root)


@torch.no_grad()
def judged(model, rows):
    return row_errors(model(rows), rows)


def detect(model, normal, held, x, batches, learning_rate, rate):
    scaled = Scale(normal)
    fit(model, scaled(normal), batches, learning_rate)
    model.eval()
    level = alarm_level(judged(model, scaled(held)), rate)
    return judged(model, scaled(x)), level
