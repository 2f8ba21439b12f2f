"""Batch norm as an autograd function of its own formula, training by hand, error rates by sorting."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F


class Normalise(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias, mean, variance, eps):
        inverse_std = torch.rsqrt(variance + eps)
        normalised = (x - mean.view(1, -1, 1, 1)) * inverse_std.view(1, -1, 1, 1)
        ctx.save_for_backward(normalised, inverse_std, weight)
        return normalised * weight.view(1, -1, 1, 1) + bias.view(1, -1, 1, 1)

    @staticmethod
    def backward(ctx, upstream):
        return (*batch_norm_backward(upstream, *ctx.saved_tensors), None, None, None)


class BatchNorm(nn.Module):
    def __init__(self, channels, momentum=0.1, eps=1e-5, dtype=torch.float32):
        super().__init__()
        self.keep, self.eps = 1 - momentum, eps
        self.weight = nn.Parameter(torch.ones(channels, dtype=dtype))
        self.bias = nn.Parameter(torch.zeros(channels, dtype=dtype))
        self.register_buffer("running_mean", torch.zeros(channels, dtype=dtype))
        self.register_buffer("running_var", torch.ones(channels, dtype=dtype))

    def forward(self, x):
        if not self.training:
            scale = self.weight * torch.rsqrt(self.running_var + self.eps)
            shift = self.bias - self.running_mean * scale
            return x * scale.view(1, -1, 1, 1) + shift.view(1, -1, 1, 1)
        rows = x.detach().transpose(0, 1).flatten(1)
        if rows.shape[1] < 2:
            raise ValueError("a single number per channel has no spread")
        variance, mean = torch.var_mean(rows, 1, correction=0)
        self.running_mean = self.keep * self.running_mean + (1 - self.keep) * mean
        self.running_var = self.keep * self.running_var + (1 - self.keep) * torch.var(rows, 1)
        return Normalise.apply(x, self.weight, self.bias, mean, variance, self.eps)


def batch_norm_backward(upstream, normalised, inverse_std, weight):
    shape = upstream.shape
    up, seen = (each.transpose(0, 1).reshape(shape[1], -1) for each in (upstream, normalised))
    dweight, dbias = torch.einsum("cm,cm->c", up, seen), up.sum(1)
    count = up.shape[1]
    inner = count * up - dbias[:, None] - dweight[:, None] * seen
    dx = (weight * inverse_std / count)[:, None] * inner
    return dx.reshape(shape[1], shape[0], *shape[2:]).transpose(0, 1), dweight, dbias


def draw_filters(module):
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")


class Block(nn.Module):
    def __init__(self, channels, filters, stride=1, dtype=torch.float32):
        super().__init__()
        settings = {"bias": False, "dtype": dtype}
        self.conv1 = nn.Conv2d(channels, filters, 3, stride, 1, **settings)
        self.norm1 = BatchNorm(filters, dtype=dtype)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, **settings)
        self.norm2 = BatchNorm(filters, dtype=dtype)
        self.branch = nn.Sequential(self.conv1, self.norm1, nn.ReLU(), self.conv2, self.norm2)
        self.shortcut = nn.Identity()
        if (channels, stride) != (filters, 1):
            self.project = nn.Conv2d(channels, filters, 1, stride, **settings)
            self.project_norm = BatchNorm(filters, dtype=dtype)
            self.shortcut = nn.Sequential(self.project, self.project_norm)
        draw_filters(self)

    def forward(self, x):
        return (self.branch(x) + self.shortcut(x)).clamp(min=0)


class ResNet(nn.Module):
    def __init__(self, channels, width, classes, depth=20, dtype=torch.float32):
        super().__init__()
        if depth not in range(8, depth + 1, 6):
            raise ValueError(f"no network of depth {depth}")
        self.stem = nn.Conv2d(channels, width, 3, padding=1, bias=False, dtype=dtype)
        self.norm = BatchNorm(width, dtype=dtype)
        blocks = []
        for stage in range(3):
            for place in range(depth // 6):
                old = width * 2 ** max(0, stage - (place == 0))
                blocks.append(Block(old, width * 2**stage, 1 + (place == 0 and stage > 0), dtype))
        self.blocks = nn.ModuleList(blocks)
        self.head = nn.Linear(4 * width, classes, dtype=dtype)
        draw_filters(self.stem)

    def forward(self, images):
        x = self.norm(self.stem(images)).relu()
        for block in self.blocks:
            x = block(x)
        return self.head(F.adaptive_avg_pool2d(x, 1).flatten(1))


def fit(model, images, labels, batches, learning_rates, decay):
    mode = model.training
    model.train()
    parameters = list(model.parameters())
    speeds = [None] * len(parameters)
    losses = []
    for rows, rate in zip(batches, learning_rates, strict=True):
        logits = model(images[rows])
        loss = (logits.logsumexp(1) - logits[range(len(rows)), labels[rows]]).mean()
        losses.append(loss.item())
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for place, (parameter, gradient) in enumerate(zip(parameters, gradients, strict=True)):
                if parameter.dim() > 1:
                    gradient = gradient + decay * parameter
                speed = speeds[place]
                speeds[place] = gradient if speed is None else 0.9 * speed + gradient
                parameter -= rate * speeds[place]
    model.train(mode)
    return losses


@torch.no_grad()
def error_rates(model, images, labels, size, k):
    mode = model.training
    model.eval()
    wrong = [0, 0]
    for start in range(0, len(images), size):
        scores = model(images[start : start + size]).tolist()
        for row, label in zip(scores, labels[start : start + size].tolist(), strict=True):
            own = row.pop(label)
            lost = any(math.isnan(score) for score in [own, *row])
            place = len([score for score in row if score >= own])
            wrong[0] += lost or place >= 1
            wrong[1] += lost or place >= k
    model.train(mode)
    return wrong[0] / len(images), wrong[1] / len(images)
