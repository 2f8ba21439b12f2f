"""One product for queries, keys and values of all heads, positions kept in a table that grows, a scheduler in fit."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


def positional_encoding(steps, width, dtype=torch.float32):
    angles = np.outer(np.arange(steps), np.exp(-np.log(10000.0) * np.arange(width // 2) * 2 / width))
    table = np.empty((steps, width))
    table[:, 0::2], table[:, 1::2] = np.sin(angles), np.cos(angles)
    return torch.from_numpy(table).to(dtype)


class MultiHeadAttention(nn.Module):
    def __init__(self, width, heads, dtype=torch.float32):
        super().__init__()
        self.h, self.e = heads, width
        for name in ("query", "key", "value", "out"):
            setattr(self, name, nn.Linear(width, width, dtype=dtype))

    def forward(self, x, memory):
        layers = self.query, self.key, self.value
        weight = torch.cat([layer.weight for layer in layers])
        bias = torch.cat([layer.bias for layer in layers])
        both = F.linear(torch.cat([x, memory], 1), weight, bias)
        both = both.reshape(len(x), -1, 3, self.h, self.e // self.h).permute(2, 0, 3, 1, 4)
        q, k, v = both[0, :, :, : x.shape[1]], both[1, :, :, x.shape[1] :], both[2, :, :, x.shape[1] :]
        scores = torch.matmul(q, k.mT) * (self.h / self.e) ** 0.5
        weights = F.softmax(scores, dim=-1)
        y = torch.einsum("nhts,nhsd->nthd", weights, v).reshape(x.shape)
        return self.out(y), weights


class EncoderBlock(nn.Module):
    def __init__(self, width, heads, hidden, dtype=torch.float32):
        super().__init__()
        self.attention = MultiHeadAttention(width, heads, dtype)
        self.norm1, self.up, self.down, self.norm2 = (
            made.to(dtype)
            for made in (nn.LayerNorm(width), nn.Linear(width, hidden), nn.Linear(hidden, width), nn.LayerNorm(width))
        )

    def forward(self, x):
        x = torch.add(x, self.attention(x, x)[0])
        x = self.norm1(x)
        thought = torch.where(self.up(x) > 0, self.up(x), 0.0)
        return self.norm2(torch.add(x, self.down(thought)))


class Forecaster(nn.Module):
    def __init__(self, features, width, heads, hidden, depth, horizon, dtype=torch.float32):
        super().__init__()
        self.embed, self.head = nn.Linear(features, width, dtype=dtype), nn.Linear(width, horizon, dtype=dtype)
        self.blocks = nn.ModuleList([EncoderBlock(width, heads, hidden, dtype) for _ in range(depth)])
        self.register_buffer("table", positional_encoding(4, width, dtype), persistent=False)

    def forward(self, series):
        if series.shape[1] > len(self.table):
            self.table = positional_encoding(2 * series.shape[1], self.table.shape[1], self.table.dtype)
        x = self.embed(series) + self.table[: series.shape[1]].unsqueeze(0)
        for block in self.blocks:
            x = block(x)
        return self.head(x.select(1, x.shape[1] - 1))


def learning_rates(steps, warmup, peak):
    up = np.arange(1, steps + 1) / warmup
    down = np.arange(steps, 0, -1) / (steps + 1 - warmup)
    return (peak * np.where(up < 1, up, down)).tolist()


def fit(model, series, targets, batches, rates):
    optimiser = torch.optim.Adam(model.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: [*rates, 0.0][step])
    losses = []
    for rows in batches:
        optimiser.zero_grad()
        loss = nn.MSELoss()(model(series[rows]), targets[rows])
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
    return losses
