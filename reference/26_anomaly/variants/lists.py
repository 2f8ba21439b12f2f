"""Plain lists and loops wherever rows are counted, and a mask of coins in place of torch's layer."""

import math
from itertools import groupby

import torch
from torch import nn


def row_errors(output, x):
    difference = output - x
    return torch.einsum("nd,nd->n", difference, difference) / x.shape[1]


def split_rows(anomalous, order, train, held):
    strange = anomalous.tolist()
    training, held_out, judged = [], [], []
    for row in order.tolist():
        if strange[row]:
            judged.append(row)
        elif len(training) < train:
            training.append(row)
        elif len(held_out) < held:
            held_out.append(row)
        else:
            judged.append(row)
    if len(training) + len(held_out) < train + held:
        raise ValueError("too few normal rows")
    return tuple(torch.tensor(part, dtype=torch.int64) for part in (training, held_out, judged))


def pca_errors(normal, x, rank):
    left, right = normal - normal.mean(0), x - normal.mean(0)
    _, _, components = torch.linalg.svd(left)
    for direction in components[:rank]:
        right = right - torch.outer(right @ direction, direction)
    return row_errors(right, torch.zeros_like(right))


def alarm_level(held, rate):
    climbing = [-math.inf, *sorted(held.tolist()), math.inf]
    return climbing[math.ceil((1 - rate) * (len(climbing) - 1))]


def precision_recall(scores, anomalous, level):
    said = [score > level for score in scores.tolist()]
    true = anomalous.tolist()
    found = sum(a and b for a, b in zip(said, true, strict=True))
    precision = found / sum(said) if any(said) else 0.0
    recall = found / sum(true) if any(true) else 0.0
    return precision, recall


def average_precision(scores, anomalous):
    ranked = sorted(zip(scores.tolist(), anomalous.tolist(), strict=True), reverse=True)
    alarms = found = 0
    total = 0.0
    for _, rows in groupby(ranked, key=lambda pair: pair[0]):
        together = [strange for _, strange in rows]
        alarms += len(together)
        found += sum(together)
        total += sum(together) * found / alarms
    return total / found


class Denoiser(nn.Module):
    def __init__(self, columns, hidden, code, blank=0.2, dtype=torch.float32):
        super().__init__()
        self.chance = blank
        widths = [columns, hidden, code, hidden, columns]
        for place, name in enumerate(["enter", "code", "open", "leave"]):
            self.add_module(name, nn.Linear(widths[place], widths[place + 1], dtype=dtype))

    def forward(self, x):
        if self.training and self.chance > 0:
            kept = torch.rand(x.shape) >= self.chance
            x = torch.where(kept, x / (1 - self.chance or 1), torch.zeros_like(x))
        hidden = torch.clamp(self.enter(x), min=0)
        hidden = torch.clamp(self.open(self.code(hidden)), min=0)
        return self.leave(hidden)


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


def detect(model, normal, held, x, batches, learning_rate, rate):
    mean = normal.mean(0)
    size = float((normal - mean).pow(2).mean()) ** 0.5
    if size == 0:
        size = 1.0
    fit(model, (normal - mean) / size, batches, learning_rate)
    model.train(False)

    def judge(rows):
        ready = (rows - mean) / size
        return row_errors(model(ready), ready).detach()

    return judge(x), alarm_level(judge(held), rate)
