"""The same, a sensor, a slot and a step at a time: lists, loops and plain numbers wherever no gradient has to pass."""

import math

import torch
from torch import nn


def kernel_adjacency(distances, threshold):
    known = [d for row in distances.tolist() for d in row if d != math.inf]
    middle = sum(known) / len(known)
    variance = sum((d - middle) ** 2 for d in known) / len(known)
    near = torch.zeros(distances.shape, dtype=distances.dtype)
    for start, row in enumerate(distances.tolist()):
        for end, d in enumerate(row):
            weight = math.exp(-d * d / variance)
            if weight >= threshold:
                near[start, end] = weight
    return near


def _averages(roads):
    rows = []
    for row in roads:
        total = float(row.sum())
        rows.append(row / total if total > 0 else row)
    return torch.stack(rows)


class DiffusionConvolution(nn.Module):
    def __init__(self, features, outputs, hops, dtype=torch.float32):
        super().__init__()
        self.mix, self.K = nn.Linear(features * (1 + hops + hops), outputs, dtype=dtype), hops

    def forward(self, x, adjacency):
        ahead, behind = _averages(adjacency), _averages(adjacency.t())
        width = x.shape[3]
        answer = x @ self.mix.weight[:, :width].T + self.mix.bias
        there = back = x
        for hop in range(1, self.K + 1):
            there = torch.einsum("ij,btjf->btif", ahead, there)
            back = torch.einsum("ij,btjf->btif", behind, back)
            near, far = hop * width, (self.K + hop) * width
            answer = answer + there @ self.mix.weight[:, near : near + width].T
            answer = answer + back @ self.mix.weight[:, far : far + width].T
        return answer


class GatedBlock(nn.Module):
    def __init__(self, hidden_size, hops, dilation, dtype=torch.float32):
        super().__init__()
        self.diffusion = DiffusionConvolution(hidden_size, hidden_size, hops, dtype=dtype)
        self.gate = nn.Linear(hidden_size * 2, hidden_size * 2, dtype=dtype)
        self.lag, self.hidden = dilation, hidden_size

    def forward(self, x, adjacency):
        moments = []
        for t in range(self.lag, x.shape[1]):
            both = torch.cat((x[:, t - self.lag], x[:, t]), 2)
            answer = self.gate(both)
            passed = answer[..., : self.hidden] * torch.sigmoid(answer[..., self.hidden :])
            spread = self.diffusion(passed.unsqueeze(1), adjacency)[:, 0]
            moments.append(torch.relu(spread) + x[:, t])
        return torch.stack(moments, 1)


def average_day(readings, slots, train):
    table = readings[:train].tolist()
    columns = []
    for sensor in range(readings.shape[1]):
        said = [(step % slots, row[sensor]) for step, row in enumerate(table) if row[sensor] != 0]
        overall = sum(value for _, value in said) / len(said)
        column = []
        for slot in range(slots):
            here = [value for at, value in said if at == slot]
            column.append(sum(here) / len(here) if here else overall)
        columns.append(column)
    return torch.tensor(columns, dtype=readings.dtype).T


def masked_errors(forecast, truth):
    off, share = [], []
    for step in range(truth.shape[1]):
        there = truth[:, step].nonzero(as_tuple=True)
        real = truth[:, step][there]
        miss = (forecast[:, step][there] - real).abs()
        count = max(1, len(real))
        off.append(miss.sum() / count)
        share.append((miss / real).sum() / count * 100)
    return torch.stack(off), torch.stack(share)


def route(scores, capacity):
    rows, experts = scores.shape
    places = dict.fromkeys(range(experts), capacity)
    weights = []
    for row, plain in zip(scores, scores.tolist(), strict=True):
        wished = sorted((e for e in places if places[e] > 0), key=lambda e: -plain[e])[:2]
        for expert in wished:
            places[expert] -= 1
        share = torch.softmax(row[wished], 0)
        spread = torch.zeros(len(wished), experts, dtype=scores.dtype)
        spread[range(len(wished)), wished] = 1
        weights.append(share @ spread)
    favourites = [int(row.argmax()) for row in scores]
    counts = torch.tensor([favourites.count(e) / rows for e in range(experts)], dtype=scores.dtype)
    return torch.stack(weights), (counts * torch.softmax(scores, 1).sum(0) / rows).sum() * experts


class Forecaster(nn.Module):
    def __init__(self, hidden_size, hops, experts, clock, dtype=torch.float32):
        super().__init__()
        self.lift = nn.Linear(2, hidden_size, dtype=dtype)
        self.near = GatedBlock(hidden_size, hops, 1, dtype)
        self.far = GatedBlock(hidden_size, hops, 2, dtype)
        self.router = nn.Linear(clock, experts, dtype=dtype)
        self.experts = nn.Linear(hidden_size, experts, dtype=dtype)

    def forward(self, window, usual, clock, adjacency):
        read = window != 0
        unusual = torch.where(read, window - usual[:, :-1], 0.0) / 10
        x = self.lift(torch.stack([unusual, read.to(unusual.dtype)], dim=-1))
        x = self.far(self.near(x, adjacency), adjacency)[:, -1]
        batch, experts = len(window), self.experts.out_features
        weights, balance = route(self.router(clock), -(-5 * batch // (2 * experts)) if self.training else batch)
        return usual[:, -1] + 10 * (self.experts(x) * weights[:, None]).sum(-1), balance


def roll_out(model, window, usual, clock, adjacency):
    known = list(window.unbind(1))
    steps, balances = usual.shape[1], []
    first = len(known)
    for now in range(first, steps):
        answer, balance = model(
            torch.stack(known[-first:], 1), usual[:, now - first : now + 1], clock[:, now], adjacency
        )
        known.append(answer)
        balances.append(balance)
    return torch.stack(known[first:], 1), sum(balances) / (steps - first)


def fit(model, readings, usual, clock, adjacency, starts, length, ahead, learning_rate):
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate)
    losses = []
    for batch in starts:
        at = batch[:, None] + torch.arange(length + ahead)
        slots = at % len(usual)
        forecasts, balance = roll_out(model, readings[at[:, :length]], usual[slots], clock[slots], adjacency)
        loss = masked_errors(forecasts, readings[at[:, length:]])[0].mean() + 0.1 * balance
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses
