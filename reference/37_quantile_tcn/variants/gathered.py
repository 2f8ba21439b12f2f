"""Convolutions as one product of gathered months, losses by two ramps, usual months by a table, folds cut from a list."""

from __future__ import annotations

import copy
import math

import torch
from torch import nn


def levels(count, dtype=torch.float32):
    return (torch.arange(count, dtype=dtype) + 0.5) / count


def ramps(quantiles, targets, taus):
    short = (targets[..., None] - quantiles).clamp(min=0)
    over = (quantiles - targets[..., None]).clamp(min=0)
    return taus * short + (1 - taus) * over


def pinball(quantiles, targets, taus):
    costs = ramps(quantiles, targets, taus)
    return costs.sum() / costs.numel()


def crps(quantiles, targets):
    taus = levels(quantiles.shape[-1], quantiles.dtype)
    return 2 * ramps(quantiles, targets, taus).mean(-1)


def uncrossed(raw):
    first, rest = raw[..., :1], raw[..., 1:]
    steps = rest.clamp(min=0) + torch.log1p(torch.exp(-rest.abs()))
    return torch.cat([first, first + steps.cumsum(-1)], dim=-1)


class CausalConv(nn.Conv1d):
    def __init__(self, channels, filters, taps, dilation, dtype=torch.float32):
        super().__init__(channels, filters, taps, dilation=dilation, dtype=dtype)

    def forward(self, x):
        reach = (self.kernel_size[0] - 1) * self.dilation[0]
        padded = torch.cat([x.new_zeros(x.shape[0], x.shape[1], reach), x], dim=2)
        places = torch.arange(x.shape[2])[:, None] + torch.arange(0, reach + 1, self.dilation[0])
        heard = padded[:, :, places]
        return torch.einsum("nctk,fck->nft", heard, self.weight) + self.bias[:, None]


class Block(nn.Module):
    def __init__(self, channels, filters, taps, dilation, dtype=torch.float32):
        super().__init__()
        self.first = CausalConv(channels, filters, taps, dilation, dtype)
        self.second = CausalConv(filters, filters, taps, dilation, dtype)
        self.across = nn.Identity() if channels == filters else nn.Conv1d(channels, filters, 1, dtype=dtype)

    def forward(self, x):
        return (self.across(x) + self.second(self.first(x).clamp(min=0)).clamp(min=0)).clamp(min=0)


class TCN(nn.Module):
    def __init__(self, channels, filters, taps, depth, horizons, count, dtype=torch.float32):
        super().__init__()
        self.horizons, self.count, self.reach = horizons, count, taps - 1
        widths = [channels] + depth * [filters]
        parts = [Block(widths[i], widths[i + 1], taps, 1 << i, dtype) for i in range(depth)]
        self.blocks = nn.ModuleList(parts)
        self.head = nn.Conv1d(filters, horizons * count, 1, dtype=dtype)

    def receptive_field(self):
        return sum(2 * self.reach * (1 << i) for i in range(len(self.blocks))) + 1

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        weight = self.head.weight[:, :, 0].unflatten(0, (self.horizons, self.count))
        raw = torch.einsum("nft,hqf->nthq", x, weight) + self.head.bias.unflatten(0, (self.horizons, self.count))
        return uncrossed(raw)


def anomalies(series, origin, period):
    months = torch.arange(len(series)) % period
    past = months[:origin]
    sums = series.new_zeros(period).index_add(0, past, series[:origin])
    usual = sums / torch.bincount(past, minlength=period)
    departures = series - usual.gather(0, months)
    unit = torch.linalg.vector_norm(departures[:origin]) / math.sqrt(origin)
    return departures / unit, usual, unit


def ahead(series, horizons):
    places = torch.arange(len(series) - horizons)[:, None] + torch.arange(1, horizons + 1)
    return series[places]


def folds(months, first, step, horizons):
    known = list(range(first, months - horizons + 1))
    return [(known[i], known[i : i + step][-1] + 1) for i in range(0, len(known), step)]


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


def forecast(model, series, origin, stop, period):
    scaled, usual, unit = anomalies(series, origin, period)
    quantiles = model(inputs(scaled, period)).detach()[0, origin - 1 : stop - 1]
    year = usual.repeat(2 + (stop + model.horizons) // period)
    months = year[origin : stop + model.horizons - 1].unfold(0, model.horizons, 1)
    return torch.addcmul(months[..., None], quantiles, unit)


def backtest(model, series, first, step, noise, rate, period):
    weights = copy.deepcopy(model.state_dict())
    worker, rows = copy.deepcopy(model), []
    for origin, stop in folds(len(series), first, step, model.horizons):
        worker.load_state_dict(weights)
        fit(worker, series, origin, noise, rate, period)
        rows.append(forecast(worker, series, origin, stop, period))
    return torch.vstack(rows), series[first:].unfold(0, model.horizons, 1).clone()


def calibration(quantiles, targets):
    below = targets.unsqueeze(2).le(quantiles)
    return below.sum(0).to(quantiles.dtype) / below.shape[0]


def coverage(low, high, targets, z=1.96):
    outside = (targets < low) | (targets > high)
    share = 1 - outside.sum().item() / outside.numel()
    shrink = 1 / (1 + z**2 / len(targets))
    spread = math.sqrt(share * (1 - share) / len(targets) + z**2 / (4 * len(targets) ** 2))
    middle = (share + z**2 / (2 * len(targets))) * shrink
    return share, middle - z * spread * shrink, middle + z * spread * shrink
