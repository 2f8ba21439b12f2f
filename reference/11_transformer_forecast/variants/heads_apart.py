"""One head at a time by einsum, positions number by number, Adam by hand."""

import math

import torch
from torch import nn


def positional_encoding(steps, width, dtype=torch.float32):
    positions = torch.zeros(steps, width, dtype=dtype)
    for t in range(steps):
        for column in range(width):
            angle = t / 10000 ** ((column - column % 2) / width)
            positions[t, column] = math.cos(angle) if column % 2 else math.sin(angle)
    return positions


class MultiHeadAttention(nn.Module):
    def __init__(self, width, heads, dtype=torch.float32):
        super().__init__()
        self.number = heads
        self.out = nn.Linear(width, width, dtype=dtype)
        self.value = nn.Linear(width, width, dtype=dtype)
        self.key = nn.Linear(width, width, dtype=dtype)
        self.query = nn.Linear(width, width, dtype=dtype)

    def forward(self, x, memory):
        size = x.shape[2] // self.number
        asked, held, given = self.query(x), self.key(memory), self.value(memory)
        found, looks = [], []
        for head in range(self.number):
            part = slice(head * size, (head + 1) * size)
            scores = torch.einsum("nte,nse->nts", asked[..., part] * size**-0.5, held[..., part])
            weights = torch.exp(scores - scores.amax(2, keepdim=True))
            weights = weights / weights.sum(2, keepdim=True)
            found.append(torch.einsum("nts,nse->nte", weights, given[..., part]))
            looks.append(weights)
        return self.out(torch.cat(found, 2)), torch.stack(looks, 1)


class EncoderBlock(nn.Module):
    def __init__(self, width, heads, hidden, dtype=torch.float32):
        super().__init__()
        self.up = nn.Linear(width, hidden, dtype=dtype)
        self.down = nn.Linear(hidden, width, dtype=dtype)
        self.norm2 = nn.LayerNorm(width, dtype=dtype)
        self.norm1 = nn.LayerNorm(width, dtype=dtype)
        self.attention = MultiHeadAttention(width, heads, dtype=dtype)

    def forward(self, x):
        first = self.norm1(self.attention(x, x)[0] + x)
        return self.norm2(self.down(self.up(first).clamp(min=0)) + first)


class Forecaster(nn.Module):
    def __init__(self, features, width, heads, hidden, depth, horizon, dtype=torch.float32):
        super().__init__()
        self.head = nn.Linear(width, horizon, dtype=dtype)
        self.blocks = nn.ModuleList()
        for _ in range(depth):
            self.blocks.append(EncoderBlock(width, heads, hidden, dtype))
        self.embed = nn.Linear(features, width, dtype=dtype)
        self.width = width

    def forward(self, series):
        x = positional_encoding(series.shape[1], self.width, series.dtype) + self.embed(series)
        for number in range(len(self.blocks)):
            x = self.blocks[number](x)
        return self.head(x)[:, -1, :]


def learning_rates(steps, warmup, peak):
    rates = []
    for step in range(1, steps + 1):
        if step <= warmup:
            rates.append(peak * step / warmup)
        else:
            rates.append(rates[warmup - 1] * (steps + 1 - step) / (steps + 1 - warmup))
    return rates


def fit(model, series, targets, batches, rates):
    parameters = list(model.parameters())
    first = [torch.zeros_like(p) for p in parameters]
    second = [torch.zeros_like(p) for p in parameters]
    losses = []
    for step in range(1, len(batches) + 1):
        rows = batches[step - 1]
        error = model(series[rows]) - targets[rows]
        loss = error.square().sum() / error.numel()
        losses.append(loss.item())
        with torch.no_grad():
            for p, g, m, v in zip(parameters, torch.autograd.grad(loss, parameters), first, second, strict=True):
                m.mul_(0.9).add_(g, alpha=0.1)
                v.mul_(0.999).addcmul_(g, g, value=0.001)
                p -= rates[step - 1] * (m / (1 - 0.9**step)) / ((v / (1 - 0.999**step)).sqrt() + 1e-8)
    return losses
