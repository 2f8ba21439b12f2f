"""A recursion over levels, one table of sums for all images, norms as groups, exact distances by cdist."""

import math
from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


def soft_dice(logits, truth, smooth=1.0):
    p = 1 / (1 + torch.exp(-logits.clamp(-700 if logits.dtype == torch.float64 else -80)))
    sums = torch.einsum("nhw,nhw->n", p, truth), torch.einsum("nhw->n", p + truth)
    return (sums[0] + smooth / 2) / (sums[1] / 2 + smooth / 2)


def segmentation_loss(logits, truth, smooth=1.0):
    entropy = -truth * F.logsigmoid(logits) - (1 - truth) * F.logsigmoid(-logits)
    return torch.mean(1 - soft_dice(logits, truth, smooth=smooth)) + torch.mean(entropy)


class DoubleConv(nn.Module):
    def __init__(self, channels, filters, dtype=torch.float32):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, filters, (3, 3), padding=(1, 1), bias=False)
        self.norm1 = nn.GroupNorm(filters, filters)
        self.conv2 = nn.Conv2d(filters, filters, (3, 3), padding=(1, 1), bias=False)
        self.norm2 = nn.GroupNorm(filters, filters)
        self.to(dtype)

    def forward(self, x):
        first = self.norm1(self.conv1(x))
        second = self.norm2(self.conv2(torch.maximum(first, first * 0.01)))
        return torch.maximum(second, second * 0.01)


def join(below, skip):
    rows, columns = skip.size(2) - below.size(2), skip.size(3) - below.size(3)
    if rows not in (0, 1) or columns not in (0, 1):
        raise ValueError("sizes do not belong to each other")
    below = torch.cat([below, below.new_zeros(*below.shape[:2], rows, below.size(3))], 2)
    below = torch.cat([below, below.new_zeros(*below.shape[:3], columns)], 3)
    return torch.cat([skip, below], 1)


class UNet(nn.Module):
    def __init__(self, channels, width, depth, skips=True, dtype=torch.float32):
        super().__init__()
        sizes = [width * 2**level for level in range(depth + 1)]
        self.down = nn.ModuleList([DoubleConv(a, b, dtype) for a, b in pairwise([channels, *sizes])])
        self.up = nn.ModuleList([nn.ConvTranspose2d(b, a, 2, stride=2, dtype=dtype) for a, b in pairwise(sizes)])
        self.merge = nn.ModuleList([DoubleConv(2 * a, a, dtype) for a in sizes[:-1]])
        self.head = nn.Conv2d(width, 1, 1, dtype=dtype)
        self.carried = 1.0 if skips else 0.0

    def forward(self, images):
        return self.head(self.at(0, images))[:, 0, :, :]

    def at(self, level, x):
        if level == len(self.up) and x.shape[2] * x.shape[3] < 2:
            raise ValueError("nothing to normalise by at the deepest level")
        seen = self.down[level](x)
        if level == len(self.up):
            return seen
        if min(seen.shape[2:]) < 2:
            raise ValueError("nothing to halve")
        risen = self.up[level](self.at(level + 1, F.max_pool2d(seen, 2)))
        return self.merge[level](join(risen, self.carried * seen))


def iou(prediction, truth):
    a, b = prediction.flatten(1).double(), truth.flatten(1).double()
    common = (a * b).sum(1)
    return torch.nan_to_num(common / (a.sum(1) + b.sum(1) - common), nan=1.0)


def surface(mask):
    outside = F.pad((~mask).float()[None, None], (1, 1, 1, 1), value=1.0)
    cross = torch.tensor([[[[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]]])
    return mask & (F.conv2d(outside, cross)[0, 0] > 0.5)


def surface_scores(prediction, truth, spacing, tolerance):
    places = [
        torch.nonzero(surface(mask)).double() * torch.tensor(spacing, dtype=torch.float64)
        for mask in (prediction, truth)
    ]
    if not len(places[0]) or not len(places[1]):
        far = math.sqrt(sum((size * step) ** 2 for size, step in zip(truth.shape, spacing, strict=True)))
        return (1.0, 0.0) if len(places[0]) + len(places[1]) == 0 else (0.0, far)
    table = torch.cdist(*places, compute_mode="donot_use_mm_for_euclid_dist").numpy()
    ways = [table.min(axis) for axis in (1, 0)]
    near = sum((way <= tolerance).sum() for way in ways) / sum(len(way) for way in ways)
    return float(near), max(float(np.percentile(way, 95)) for way in ways)


def fit(model, images, truth, batches, learning_rate, smooth=1.0):
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate)
    losses = []
    for rows in batches:
        loss = segmentation_loss(model(images[rows]), truth[rows], smooth)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses
