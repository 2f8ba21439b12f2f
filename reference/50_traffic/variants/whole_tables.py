"""The same in whole tables: powers of a walk in one product, a mask that multiplies, a window that is cut from a series."""

import torch
from torch import nn


def kernel_adjacency(distances, threshold):
    roads = torch.isfinite(distances)
    lengths = torch.masked_select(distances, roads)
    variance = (lengths * lengths).mean() - lengths.mean() ** 2
    near = (-distances.square() / variance).exp()
    return near * (near >= threshold)


def _walks(adjacency, hops):
    """ahead, ..., ahead^K, behind, ..., behind^K (2 K, N, N)."""
    both = torch.stack([adjacency, adjacency.transpose(0, 1)])
    both = torch.nan_to_num(both / both.sum(2, keepdim=True))
    powers = [both]
    for _ in range(hops - 1):
        powers.append(powers[-1] @ both)
    return torch.stack(powers[:hops], 1).flatten(0, 1) if hops else adjacency[None][:0]


class DiffusionConvolution(nn.Module):
    def __init__(self, features, outputs, hops, dtype=torch.float32):
        super().__init__()
        self.mix = nn.Linear((hops + hops + 1) * features, outputs, dtype=dtype)
        self.steps = hops

    def forward(self, x, adjacency):
        far = torch.einsum("kij,btjf->btikf", _walks(adjacency, self.steps), x)
        return self.mix(torch.cat((x[:, :, :, None], far), 3).flatten(3))


class GatedBlock(nn.Module):
    def __init__(self, hidden_size, hops, dilation, dtype=torch.float32):
        super().__init__()
        self.gate = nn.Linear(2 * hidden_size, 2 * hidden_size, dtype=dtype)
        self.diffusion = DiffusionConvolution(hidden_size, hidden_size, hops, dtype)
        self.dilation = dilation

    def forward(self, x, adjacency):
        ago, now = x[:, : x.shape[1] - self.dilation], x.narrow(1, self.dilation, x.shape[1] - self.dilation)
        passed = nn.functional.glu(self.gate(torch.cat((ago, now), 3)), dim=3)
        return now + self.diffusion(passed, adjacency).clamp(min=0)


def average_day(readings, slots, train):
    known = readings[:train]
    said = (known != 0).to(readings.dtype)
    member = (torch.arange(train)[None] % slots == torch.arange(slots)[:, None]).to(readings.dtype)[:, : len(known)]
    often = member @ said
    usual = (member @ known) / often
    return torch.where(often == 0, (known.sum(0) / said.sum(0)).expand(slots, -1), usual)


def masked_errors(forecast, truth):
    there = (truth != 0).to(forecast.dtype)
    count = torch.clamp(there.sum(dim=(0, 2)), min=1)
    miss = (forecast * there - truth).abs()
    harmless = truth + (1 - there)
    return miss.sum(dim=(0, 2)) / count, 100 * (miss / harmless).sum(dim=(0, 2)) / count


def route(scores, capacity):
    left = torch.full((scores.shape[1],), capacity)
    masks = []
    for row in scores.detach():
        wish = row.where(left > 0, row.new_tensor(-torch.inf))
        best = wish.topk(2).indices
        best = best[left[best] > 0]
        left[best] -= 1
        masks.append(nn.functional.one_hot(best, len(left)).sum(0))
    taken = torch.stack(masks).bool()
    high = scores.where(taken, scores.new_tensor(-torch.inf)).amax(1, keepdim=True).detach()
    loud = torch.where(taken, scores - high, 0.0).exp() * taken
    chance = torch.softmax(scores, dim=1)
    first = torch.zeros(len(left), dtype=scores.dtype).index_add(0, scores.argmax(1), scores.new_ones(len(scores)))
    return loud / loud.sum(1, keepdim=True), torch.dot(first / len(scores), chance.mean(0)) * len(left)


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
    length, total = window.size(1), usual.size(1)
    series, balance = window, 0
    while series.size(1) < total:
        end = series.size(1)
        after, one = model(series[:, end - length :], usual[:, end - length : end + 1], clock[:, end], adjacency)
        series, balance = torch.hstack((series, after.unsqueeze(1))), balance + one
    return series[:, length:], balance / (total - length)


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
