"""torch's own batch norm in evaluation, a network built anew and loaded, parameters told apart by their names."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class FixedNorm(nn.Module):
    def __init__(self, channels, eps=1e-5, dtype=torch.float32):
        super().__init__()
        self.eps = eps
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.to(dtype)

    def forward(self, x):
        return F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, training=False, eps=self.eps
        )


class Stage(nn.Module):
    def __init__(self, channels, filters, kernel=3, stride=1, bias=False, dtype=torch.float32):
        super().__init__()
        self.conv = nn.Conv2d(channels, filters, kernel, stride, kernel // 2, bias=bias, dtype=dtype)
        self.norm = FixedNorm(filters, dtype=dtype)

    def forward(self, x):
        return F.relu(self.norm(self.conv(x)))


class Network(nn.Module):
    def __init__(self, channels, widths, classes, dtype=torch.float32):
        super().__init__()
        self.form = channels, widths, dtype
        self.register_buffer("mean", torch.zeros(channels, dtype=dtype))
        self.register_buffer("std", torch.ones(channels, dtype=dtype))
        sizes = [channels, *widths]
        self.stages = nn.ModuleList(
            Stage(sizes[place], sizes[place + 1], stride=1 + (place == 1), dtype=dtype) for place in range(len(widths))
        )
        self.head = nn.Linear(widths[-1], classes, dtype=dtype)

    def forward(self, images):
        x = (images - self.mean.view(1, -1, 1, 1)) / self.std.view(1, -1, 1, 1)
        for stage in self.stages:
            x = stage(x)
        return self.head(F.adaptive_avg_pool2d(x, 1).flatten(1))


def like(conv):
    new = nn.Conv2d(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,
        conv.stride,
        conv.padding,
        bias=conv.bias is not None,
        dtype=conv.weight.dtype,
    )
    new.load_state_dict(conv.state_dict())
    return new


class Adapter(nn.Module):
    def __init__(self, conv, rank, alpha):
        super().__init__()
        dtype = conv.weight.dtype
        self.rank, self.alpha = rank, alpha
        self.base = like(conv)
        for parameter in self.base.parameters():
            parameter.requires_grad = False
        self.down = nn.Conv2d(
            conv.in_channels, rank, conv.kernel_size, conv.stride, conv.padding, bias=False, dtype=dtype
        )
        self.up = nn.Conv2d(rank, conv.out_channels, 1, bias=False, dtype=dtype)
        self.up.weight.data.zero_()

    def forward(self, x):
        change = self.up(self.down(x))
        return self.base(x) + change * (self.alpha / self.rank)

    def merged(self):
        conv = like(self.base)
        change = F.conv2d(self.down.weight.transpose(0, 1), self.up.weight).transpose(0, 1)
        conv.weight.data += change.detach() * (self.alpha / self.rank)
        return conv


def transfer(source, classes, rank=0, alpha=1.0):
    channels, widths, dtype = source.form
    network = Network(channels, widths, classes, dtype)
    numbers = {name: value for name, value in source.state_dict().items() if not name.startswith("head.")}
    network.load_state_dict(numbers, strict=False)
    if rank:
        for stage in network.stages:
            stage.conv = Adapter(stage.conv, rank, alpha)
    return network


def depth_of(name, stages):
    if name.startswith("head."):
        return 0
    return stages - int(name.split(".")[1])


def thaw(model, count):
    for name, parameter in model.named_parameters():
        parameter.requires_grad = depth_of(name, len(model.stages)) <= count and ".base." not in name


def parameter_groups(model, rate, falloff, decay):
    groups = []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        own_decay = 0.0 if ".norm." in name or name.endswith("bias") else decay
        own_rate = rate * falloff ** depth_of(name, len(model.stages))
        groups.append({"params": [parameter], "lr": own_rate, "weight_decay": own_decay})
    return groups


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
    channels, widths, dtype = model.form
    network = Network(channels, widths, model.head.out_features, dtype)
    network.load_state_dict(model.state_dict(), strict=False)
    for new, old in zip(network.stages, model.stages, strict=True):
        if isinstance(old.conv, Adapter):
            new.conv = old.conv.merged()
    return network


def macro_f1(answers, labels, classes):
    scores = []
    for kind in range(classes):
        said, true = answers == kind, labels == kind
        hits = int((said & true).sum())
        met = int(said.sum()) + int(true.sum())
        if met:
            scores.append(2 * hits / met)
    return sum(scores) / len(scores)
