"""Float64 inside, whatever is given, and cast back; heads as a batch, norms written out, waves as complex numbers."""

import torch
from torch import nn


def positional_encoding(steps, width, dtype=torch.float32):
    speed = torch.pow(torch.tensor(10000.0, dtype=torch.float64), -torch.arange(width // 2).double() * 2 / width)
    angles = torch.outer(torch.arange(steps).double(), speed)
    turning = torch.view_as_real(torch.polar(torch.ones_like(angles), angles))
    return turning.flip(2).reshape(steps, width).to(dtype)


def exact(layer, x):
    return x @ layer.weight.double().T + layer.bias.double()


def normal(layer, x):
    centred = x - x.mean(-1, keepdim=True)
    spread = (centred.square().mean(-1, keepdim=True) + layer.eps).sqrt()
    return centred / spread * layer.weight.double() + layer.bias.double()


class MultiHeadAttention(nn.Module):
    def __init__(self, width, heads, dtype=torch.float32):
        super().__init__()
        self.query, self.key = nn.Linear(width, width, dtype=dtype), nn.Linear(width, width, dtype=dtype)
        self.value, self.out = nn.Linear(width, width, dtype=dtype), nn.Linear(width, width, dtype=dtype)
        self.heads = heads

    def forward(self, x, memory):
        count, steps, width = x.shape
        given = memory.double()
        parts = exact(self.query, x.double()), exact(self.key, given), exact(self.value, given)
        q, k, v = (torch.cat(part.chunk(self.heads, 2)) for part in parts)  # head by head, along the batch
        logs = torch.baddbmm(torch.zeros(1, 1, 1).double(), q, k.mT, alpha=(width // self.heads) ** -0.5)
        weights = (logs - logs.logsumexp(2, keepdim=True)).exp()
        mixed = torch.cat(torch.bmm(weights, v).split(count), 2)
        looks = weights.reshape(self.heads, count, steps, -1).transpose(0, 1)
        return exact(self.out, mixed).to(x.dtype), looks.to(x.dtype)


class EncoderBlock(nn.Module):
    def __init__(self, width, heads, hidden, dtype=torch.float32):
        super().__init__()
        self.attention = MultiHeadAttention(width, heads, dtype)
        self.up, self.down = nn.Linear(width, hidden, dtype=dtype), nn.Linear(hidden, width, dtype=dtype)
        self.norm1, self.norm2 = nn.LayerNorm(width, dtype=dtype), nn.LayerNorm(width, dtype=dtype)

    def forward(self, x):
        given = x.double()
        first = normal(self.norm1, given + self.attention(given, given)[0])
        thought = exact(self.down, torch.relu(exact(self.up, first)))
        return normal(self.norm2, first + thought).to(x.dtype)


class Forecaster(nn.Module):
    def __init__(self, features, width, heads, hidden, depth, horizon, dtype=torch.float32):
        super().__init__()
        self.embed = nn.Linear(features, width, dtype=dtype)
        self.blocks = nn.Sequential(*(EncoderBlock(width, heads, hidden, dtype) for _ in range(depth)))
        self.head = nn.Linear(width, horizon, dtype=dtype)

    def forward(self, series):
        x = exact(self.embed, series.double())
        x = self.blocks(x + positional_encoding(x.shape[1], x.shape[2], torch.float64))
        return exact(self.head, x[:, x.shape[1] - 1]).to(series.dtype)


def learning_rates(steps, warmup, peak):
    up = [peak * (step + 1) / warmup for step in range(warmup)]
    return up + [peak * left / (steps - warmup + 1) for left in range(steps - warmup, 0, -1)]


def fit(model, series, targets, batches, rates):
    optimiser = None
    losses = []
    for rate, rows in zip(rates, batches.unbind(), strict=True):
        optimiser = optimiser or torch.optim.Adam(model.parameters(), lr=rate)
        optimiser.param_groups[0]["lr"] = rate
        optimiser.zero_grad(set_to_none=False)
        loss = (targets[rows] - model(series[rows])).pow(2).mean(0).mean()
        loss.backward()
        losses.append(loss.detach().item())
        optimiser.step()
    return losses
