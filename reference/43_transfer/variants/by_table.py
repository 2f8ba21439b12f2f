"""Norms as one multiplication and one sum, a convolution of two, groups by rate, and a confusion matrix."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import nn
from torch.nn import functional as F


class FixedNorm(nn.Module):
    def __init__(self, channels, eps=1e-5, dtype=torch.float32):
        super().__init__()
        self.small = eps
        self.weight = nn.Parameter(torch.full((channels,), 1.0, dtype=dtype))
        self.bias = nn.Parameter(torch.full((channels,), 0.0, dtype=dtype))
        self.register_buffer("running_mean", self.bias.detach().clone())
        self.register_buffer("running_var", self.weight.detach().clone())

    def forward(self, x):
        factor = torch.rsqrt(self.running_var + self.small) * self.weight
        shift = self.bias - self.running_mean * factor
        return torch.einsum("nchw,c->nchw", x, factor) + shift.reshape(-1, 1, 1)


class Stage(nn.Module):
    def __init__(self, channels, filters, kernel=3, stride=1, bias=False, dtype=torch.float32):
        super().__init__()
        self.conv = nn.Conv2d(channels, filters, kernel, stride, kernel // 2, bias=bias, dtype=dtype)
        self.norm = FixedNorm(filters, dtype=dtype)

    def forward(self, x):
        return self.norm(self.conv(x)).clamp(min=0)


class Network(nn.Module):
    def __init__(self, channels, widths, classes, dtype=torch.float32):
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels, dtype=dtype))
        self.register_buffer("std", torch.ones(channels, dtype=dtype))
        self.stages = nn.ModuleList()
        for place, after in enumerate(widths):
            before = widths[place - 1] if place else channels
            self.stages.append(Stage(before, after, stride=2 if place == 1 else 1, dtype=dtype))
        self.head = nn.Linear(widths[-1], classes, dtype=dtype)

    def forward(self, images):
        rows = images.movedim(1, -1)
        x = rows.sub(self.mean).div(self.std).movedim(-1, 1)
        for stage in self.stages:
            x = stage(x)
        features = torch.einsum("nfyx->nf", x) / x[0, 0].numel()
        return features @ self.head.weight.T + self.head.bias


class Adapter(nn.Module):
    def __init__(self, conv, rank, alpha):
        super().__init__()
        self.register_buffer("share", torch.tensor(alpha / rank, dtype=conv.weight.dtype))
        self.base = deepcopy(conv)
        self.base.weight.requires_grad = False
        if self.base.bias is not None:
            self.base.bias.requires_grad = False
        self.down = nn.Conv2d(conv.in_channels, rank, conv.kernel_size, conv.stride, conv.padding, bias=False)
        self.up = nn.Conv2d(rank, conv.out_channels, 1, bias=False)
        self.up.weight = nn.Parameter(torch.zeros_like(self.up.weight))
        self.to(conv.weight.dtype)

    def change(self):
        up, down = self.up.weight.flatten(1), self.down.weight.flatten(1)
        return self.share * (up @ down).reshape(self.base.weight.shape)

    def forward(self, x):
        conv = self.base
        return F.conv2d(x, conv.weight + self.change(), conv.bias, conv.stride, conv.padding)

    def merged(self):
        conv = deepcopy(self.base)
        conv.weight = nn.Parameter(self.base.weight + self.change().detach())
        return conv


def transfer(source, classes, rank=0, alpha=1.0):
    network = deepcopy(source)
    features = source.head.weight.shape[1]
    network.head = nn.Linear(features, classes).to(source.head.weight.dtype)
    for stage in network.stages if rank else ():
        stage.conv = Adapter(stage.conv, rank, alpha)
    return network


def thaw(model, count):
    parts = [model.head, *list(model.stages)[::-1]]
    for place, part in enumerate(parts):
        part.requires_grad_(place <= count)
    for part in model.modules():
        if isinstance(part, Adapter):
            part.base.requires_grad_(False)


def parameter_groups(model, rate, falloff, decay):
    table = {}
    pace = rate
    for part in (model.head, *list(model.stages)[::-1]):
        for parameter in part.parameters():
            if parameter.requires_grad:
                key = pace, decay if parameter.dim() > 1 else 0.0
                table.setdefault(key, []).append(parameter)
        pace = pace * falloff
    return [{"params": params, "lr": pace, "weight_decay": shrink} for (pace, shrink), params in table.items()]


def fit(model, images, labels, batches, count, rate, falloff, decay):
    thaw(model, count)
    optimiser = torch.optim.SGD(parameter_groups(model, rate, falloff, decay), momentum=0.9)
    mode, losses = model.training, []
    model.train()
    for rows in batches:
        loss = F.cross_entropy(model(images[rows]), labels[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    model.train(mode)
    return losses


def merge(model):
    network = deepcopy(model)
    for stage in network.stages:
        stage.conv = stage.conv.merged() if isinstance(stage.conv, Adapter) else stage.conv
    return network


def macro_f1(answers, labels, classes):
    table = torch.bincount(labels * classes + answers, minlength=classes * classes).reshape(classes, classes)
    table = table.double()
    met = table.sum(0) + table.sum(1)
    scores = 2 * table.diagonal() / met
    return scores.nanmean().item()
