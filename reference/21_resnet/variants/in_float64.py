"""The same network that computes in float64 whatever it is given, channel by channel, with ranks from a sort."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class BatchNorm(nn.Module):
    def __init__(self, channels, momentum=0.1, eps=1e-5, dtype=torch.float32):
        super().__init__()
        self.momentum = momentum
        self.eps = eps
        self.weight = nn.Parameter(torch.full((channels,), 1.0, dtype=dtype))
        self.bias = nn.Parameter(torch.full((channels,), 0.0, dtype=dtype))
        self.register_buffer("running_mean", torch.full((channels,), 0.0, dtype=dtype))
        self.register_buffer("running_var", torch.full((channels,), 1.0, dtype=dtype))

    def forward(self, x):
        if self.training and x[:, 0].numel() == 1:
            raise ValueError("one number")
        results = []
        for c, numbers in enumerate(x.double().unbind(1)):
            if self.training:
                mean = numbers.mean()
                centred = numbers - mean
                spread = (centred**2).mean()
                unbiased = (centred.detach() ** 2).sum() / (numbers.numel() - 1)
                for record, new in ((self.running_mean, mean.detach()), (self.running_var, unbiased)):
                    record[c] += self.momentum * (new - record[c])
            else:
                centred = numbers - self.running_mean[c]
                spread = self.running_var[c].double()
            results.append(centred / torch.sqrt(spread + self.eps) * self.weight[c] + self.bias[c])
        return torch.stack(results, 1).to(x.dtype)


def batch_norm_backward(upstream, normalised, inverse_std, weight):
    dx, dweight, dbias = torch.empty_like(upstream), torch.empty_like(weight), torch.empty_like(weight)
    for c in range(len(weight)):
        up, seen = upstream[:, c].double(), normalised[:, c].double()
        dweight[c], dbias[c] = torch.sum(up * seen), torch.sum(up)
        by_normalised = weight[c] * up
        rest = by_normalised.mean() + seen * (by_normalised * seen).mean()
        dx[:, c] = inverse_std[c] * (by_normalised - rest)
    return dx, dweight, dbias


def conv(layer, x):
    return F.conv2d(x.double(), layer.weight.double(), None, layer.stride, layer.padding).to(x.dtype)


class Block(nn.Module):
    def __init__(self, channels, filters, stride=1, dtype=torch.float32):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, filters, 3, stride=stride, padding=1, bias=False, dtype=dtype)
        self.conv2 = nn.Conv2d(filters, filters, 3, stride=1, padding=1, bias=False, dtype=dtype)
        self.norm1 = BatchNorm(filters, dtype=dtype)
        self.norm2 = BatchNorm(filters, dtype=dtype)
        self.changes = stride > 1 or channels != filters
        if self.changes:
            self.project = nn.Conv2d(channels, filters, 1, stride=stride, bias=False, dtype=dtype)
            self.project_norm = BatchNorm(filters, dtype=dtype)
        draw_filters(self)

    def forward(self, x):
        y = conv(self.conv1, x)
        y = torch.relu(self.norm1(y))
        y = self.norm2(conv(self.conv2, y))
        if self.changes:
            x = self.project_norm(conv(self.project, x))
        return torch.relu(x + y)


def draw_filters(module):
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            with torch.no_grad():
                layer.weight.copy_(torch.randn(layer.weight.shape) * (2 / layer.weight[0].numel()) ** 0.5)


class ResNet(nn.Module):
    def __init__(self, channels, width, classes, depth=20, dtype=torch.float32):
        super().__init__()
        each = (depth - 2) // 6
        if each < 1 or 6 * each + 2 != depth:
            raise ValueError("depth is 6n + 2")
        self.stem = nn.Conv2d(channels, width, 3, stride=1, padding=1, bias=False, dtype=dtype)
        self.norm = BatchNorm(width, dtype=dtype)
        self.blocks = nn.ModuleList()
        for place in range(3 * each):
            shrinks = place in (each, 2 * each)
            wide = width * 2 ** (place // each)
            self.blocks.append(Block(wide // 2 if shrinks else wide, wide, 2 if shrinks else 1, dtype))
        self.head = nn.Linear(width * 4, classes, dtype=dtype)
        draw_filters(self)

    def forward(self, images):
        x = torch.relu(self.norm(conv(self.stem, images)))
        for block in self.blocks:
            x = block(x)
        seen = x.double().sum((2, 3)) / (x.shape[2] * x.shape[3])
        return (seen @ self.head.weight.double().T + self.head.bias.double()).to(images.dtype)


def fit(model, images, labels, batches, learning_rates, decay):
    before = model.training
    model.train(True)
    groups = []
    for name, parameter in model.named_parameters():
        bare = "norm" in name or name.endswith("bias")
        groups.append({"params": [parameter], "weight_decay": 0.0 if bare else decay})
    optimiser = torch.optim.SGD(groups, lr=1.0, momentum=0.9)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: [*learning_rates, 0.0][step])
    losses = []
    for step in range(len(batches)):
        optimiser.zero_grad()
        loss = F.nll_loss(F.log_softmax(model(images[batches[step]]), 1), labels[batches[step]])
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
    model.train(before)
    return losses


def error_rates(model, images, labels, size, k):
    before = model.training
    model.train(False)
    places = []
    for start in range(0, len(images), size):
        scores = model(images[start : start + size]).detach()
        own = scores.gather(1, labels[start : start + size, None])
        place = (scores >= own).sum(1) - 1
        place[scores.isnan().any(1)] = max(k, scores.shape[1])
        places.append(place)
    model.train(before)
    places = torch.cat(places)
    return float((places >= 1).double().mean()), float((places >= k).double().mean())
