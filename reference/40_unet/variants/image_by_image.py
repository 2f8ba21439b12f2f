"""Each image and each surface on its own, in loops; norms written out; scipy's erosion and distance transforms."""

import numpy as np
import torch
from scipy import ndimage
from torch import nn
from torch.nn import functional as F


def soft_dice(logits, truth, smooth=1.0):
    shares = []
    for scores, wanted in zip(logits, truth, strict=True):
        found = torch.special.expit(scores)
        shares.append((2 * torch.sum(found * wanted) + smooth) / (torch.sum(found) + torch.sum(wanted) + smooth))
    return torch.stack(shares)


def segmentation_loss(logits, truth, smooth=1.0):
    surprise = F.softplus(-logits) * truth + F.softplus(logits) * (1 - truth)
    return 1 - soft_dice(logits, truth, smooth).mean() + surprise.sum() / surprise.numel()


class Norm(nn.Module):
    def __init__(self, filters, dtype):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(filters, dtype=dtype))
        self.bias = nn.Parameter(torch.zeros(filters, dtype=dtype))

    def forward(self, x):
        mean = x.mean(dim=(2, 3), keepdim=True)
        variance = ((x - mean) ** 2).mean(dim=(2, 3), keepdim=True)
        normal = (x - mean) / torch.sqrt(variance + 1e-5)
        return normal * self.weight[:, None, None] + self.bias[:, None, None]


class DoubleConv(nn.Module):
    def __init__(self, channels, filters, dtype=torch.float32):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, filters, 3, padding="same", bias=False, dtype=dtype)
        self.norm1 = Norm(filters, dtype)
        self.conv2 = nn.Conv2d(filters, filters, 3, padding="same", bias=False, dtype=dtype)
        self.norm2 = Norm(filters, dtype)
        self.activation = nn.LeakyReLU(0.01)

    def forward(self, x):
        for conv, norm in ((self.conv1, self.norm1), (self.conv2, self.norm2)):
            x = self.activation(norm(conv(x)))
        return x


def join(below, skip):
    short = [skip.shape[axis] - below.shape[axis] for axis in (2, 3)]
    if min(short) < 0 or max(short) > 1:
        raise ValueError(f"what comes up is {short} short")
    room = skip.new_zeros(len(skip), below.shape[1], skip.shape[2], skip.shape[3])
    room[:, :, : below.shape[2], : below.shape[3]] = below
    return torch.cat((skip, room), 1)


class UNet(nn.Module):
    def __init__(self, channels, width, depth, skips=True, dtype=torch.float32):
        super().__init__()
        self.depth, self.skips = depth, skips
        self.down, self.up, self.merge = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        self.down.append(DoubleConv(channels, width, dtype))
        for level in range(depth):
            filters = width * 2**level
            self.down.append(DoubleConv(filters, 2 * filters, dtype))
            self.up.append(nn.ConvTranspose2d(2 * filters, filters, kernel_size=2, stride=2, dtype=dtype))
            self.merge.append(DoubleConv(2 * filters, filters, dtype))
        self.head = nn.Conv2d(width, 1, kernel_size=1, dtype=dtype)

    def forward(self, images):
        rows, columns = images.shape[2:]
        for _ in range(self.depth):
            rows, columns = rows // 2, columns // 2
        if rows * columns <= 1:
            raise ValueError("too small")
        stack, x = [], images
        for level in range(self.depth):
            x = self.down[level](x)
            stack.append(x if self.skips else 0 * x.detach())
            x = nn.functional.max_pool2d(x, kernel_size=2, stride=2)
        x = self.down[self.depth](x)
        for level in range(self.depth - 1, -1, -1):
            x = join(self.up[level](x), stack.pop())
            x = self.merge[level](x)
        return self.head(x).squeeze(dim=1)


def iou(prediction, truth):
    shares = torch.ones(len(truth), dtype=torch.float64)
    for number in range(len(truth)):
        common = int((prediction[number] & truth[number]).sum())
        total = int(prediction[number].sum()) + int(truth[number].sum()) - common
        if total > 0:
            shares[number] = common / total
    return shares


def surface(mask):
    inner = ndimage.binary_erosion(mask.numpy())
    return mask & ~torch.from_numpy(inner)


def surface_scores(prediction, truth, spacing, tolerance):
    outlines = [surface(mask).numpy() for mask in (prediction, truth)]
    counts = [outline.sum() for outline in outlines]
    if not all(counts):
        diagonal = float(np.linalg.norm(np.array(truth.shape) * np.array(spacing)))
        return (0.0, diagonal) if any(counts) else (1.0, 0.0)
    near, percentiles = 0, []
    for one, other in (outlines, outlines[::-1]):
        distances = ndimage.distance_transform_edt(~other, sampling=spacing)[one]
        near += int((distances <= tolerance).sum())
        percentiles.append(float(np.percentile(distances, 95)))
    return near / int(sum(counts)), max(percentiles)


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
