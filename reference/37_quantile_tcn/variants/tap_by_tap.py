"""Sums over taps written out, months counted one by one, and every forecast made from a prefix of the series."""

from __future__ import annotations

import math
from copy import deepcopy

import torch
from torch import nn
from torch.nn import functional as F


def levels(count, dtype=torch.float32):
    return (torch.arange(count, dtype=dtype) + 0.5) / count


def costs(quantiles, targets, taus):
    errors = targets.unsqueeze(-1) - quantiles
    return torch.where(errors > 0, taus * errors, (taus - 1) * errors)


def pinball(quantiles, targets, taus):
    return costs(quantiles, targets, taus).mean()


def crps(quantiles, targets):
    count = quantiles.shape[-1]
    return costs(quantiles, targets, levels(count, quantiles.dtype)).sum(-1) * 2 / count


def uncrossed(raw):
    found = [raw[..., 0]]
    for place in range(1, raw.shape[-1]):
        step = torch.logaddexp(raw[..., place], torch.zeros_like(raw[..., place]))
        found.append(found[-1] + step)
    return torch.stack(found, dim=-1)


class CausalConv(nn.Conv1d):
    def __init__(self, channels, filters, taps, dilation, dtype=torch.float32):
        super().__init__(channels, filters, taps, dilation=dilation, dtype=dtype)

    def forward(self, x):
        months, taps, gap = x.shape[-1], self.weight.shape[-1], self.dilation[0]
        y = self.bias.view(1, -1, 1).repeat(len(x), 1, months)
        for tap in range(taps):
            back = (taps - 1 - tap) * gap
            if back < months:
                heard = self.weight[:, :, tap] @ x[:, :, : months - back]
                y = y + F.pad(heard, (back, 0))
        return y


class Block(nn.Module):
    def __init__(self, channels, filters, taps, dilation, dtype=torch.float32):
        super().__init__()
        self.first = CausalConv(channels, filters, taps, dilation, dtype)
        self.second = CausalConv(filters, filters, taps, dilation, dtype)
        self.across = nn.Identity() if channels == filters else nn.Conv1d(channels, filters, 1, dtype=dtype)

    def forward(self, x):
        inner = self.first(x).relu()
        inner = self.second(inner).relu()
        return torch.relu(inner + self.across(x))


class TCN(nn.Module):
    def __init__(self, channels, filters, taps, depth, horizons, count, dtype=torch.float32):
        super().__init__()
        self.horizons, self.count = horizons, count
        self.blocks = nn.ModuleList()
        dilation = 1
        for _ in range(depth):
            self.blocks.append(Block(channels, filters, taps, dilation, dtype))
            channels, dilation = filters, dilation + dilation
        self.head = nn.Conv1d(channels, horizons * count, 1, dtype=dtype)

    def receptive_field(self):
        heard = 1
        for block in self.blocks:
            for each in (block.first, block.second):
                heard += (each.weight.shape[-1] - 1) * each.dilation[0]
        return heard

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        raw = self.head(x).transpose(1, 2)
        return uncrossed(raw.reshape(len(x), -1, self.horizons, self.count))


def anomalies(series, origin, period):
    usual = series.new_zeros(period)
    for month in range(period):
        usual[month] = series[month:origin:period].sum() / len(range(month, origin, period))
    departures = series.clone()
    for month in range(period):
        departures[month::period] -= usual[month]
    unit = ((departures[:origin] ** 2).sum() / origin) ** 0.5
    return departures / unit, usual, unit


def ahead(series, horizons):
    rows = len(series) - horizons
    return torch.stack([series[1 + step : 1 + step + rows] for step in range(horizons)], dim=1)


def folds(months, first, step, horizons):
    found, origin = [], first
    while origin + horizons <= months:
        stop = origin + step
        while stop - 1 + horizons > months:
            stop -= 1
        found.append((origin, stop))
        origin += step
    return found


def inputs(scaled, period):
    angles = torch.arange(len(scaled), dtype=scaled.dtype) * (2 * math.pi / period)
    return torch.stack([scaled, angles.sin(), angles.cos()])[None]


def fit(model, series, origin, noise, rate, period):
    scaled, _, _ = anomalies(series[:origin], origin, period)
    x, targets = inputs(scaled, period)[..., : origin - model.horizons], ahead(scaled, model.horizons)
    taus = levels(model.count, series.dtype)
    adam = torch.optim.Adam(model.parameters(), lr=rate)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(adam, len(noise))
    losses = []
    for drawn in noise:
        heard = x.clone()
        heard[0, 0] += drawn[: x.shape[-1]]
        loss = pinball(model(heard)[0], targets, taus)
        adam.zero_grad()
        loss.backward()
        adam.step()
        falling.step()
        losses.append(loss.item())
    return losses


@torch.no_grad()
def forecast(model, series, origin, stop, period):
    scaled, usual, unit = anomalies(series[: max(origin, stop - 1)], origin, period)
    heard, rows = inputs(scaled, period), []
    for known in range(origin, stop):
        quantiles = model(heard[:, :, :known])[0, -1]
        months = [usual[(known + step) % period] for step in range(model.horizons)]
        rows.append(quantiles * unit + torch.stack(months).unsqueeze(1))
    return torch.stack(rows)


def backtest(model, series, first, step, noise, rate, period):
    quantiles, targets = [], []
    for origin, stop in folds(len(series), first, step, model.horizons):
        fitted = deepcopy(model)
        fit(fitted, series[:origin], origin, noise, rate, period)
        quantiles.append(forecast(fitted, series, origin, stop, period))
        targets += [series[known : known + model.horizons] for known in range(origin, stop)]
    return torch.cat(quantiles), torch.stack(targets)


def calibration(quantiles, targets):
    hits = torch.zeros_like(quantiles[0])
    for step in range(hits.shape[0]):
        for level in range(hits.shape[1]):
            hits[step, level] = (targets[:, step] <= quantiles[:, step, level]).sum()
    return hits / len(targets)


def coverage(low, high, targets, z=1.96):
    count = len(targets)
    hits = int(torch.logical_and(targets >= low, targets <= high).sum())
    share = hits / count
    middle = (hits + z**2 / 2) / (count + z**2)
    half = z / (count + z**2) * math.sqrt(hits * (count - hits) / count + z**2 / 4)
    return share, middle - half, middle + half
