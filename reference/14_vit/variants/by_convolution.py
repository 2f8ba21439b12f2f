"""The same network that embeds its patches by a strided convolution and attends by torch's functional form."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


def patchify(images, size):
    return F.unfold(images, size, stride=size).mT


class Block(nn.Module):
    def __init__(self, width, heads, dtype=torch.float32):
        super().__init__()
        self.n = heads
        make = {"dtype": dtype}
        self.qkv, self.out = nn.Linear(width, 3 * width, **make), nn.Linear(width, width, **make)
        self.up, self.down = nn.Linear(width, 4 * width, **make), nn.Linear(4 * width, width, **make)
        self.norm1, self.norm2 = nn.LayerNorm(width, **make), nn.LayerNorm(width, **make)

    def forward(self, x):
        y = self.norm1(x).transpose(0, 1)
        y, _ = F.multi_head_attention_forward(
            y, y, y, y.shape[2], self.n, self.qkv.weight, self.qkv.bias, None, None, False, 0.0,
            self.out.weight, self.out.bias, need_weights=False,
        )  # fmt: skip
        x = y.transpose(0, 1) + x
        return self.down(F.gelu(self.up(self.norm2(x)))) + x


class ViT(nn.Module):
    def __init__(self, image, size, width, heads, depth, classes, dtype=torch.float32):
        super().__init__()
        self.patch = size
        self.positions = nn.Parameter(torch.empty(1, 1 + image[1] * image[2] // size**2, width, dtype=dtype))
        self.class_token = nn.Parameter(torch.empty(1, 1, width, dtype=dtype))
        for token in (self.positions, self.class_token):
            nn.init.normal_(token, std=0.02)
        self.embed = nn.Linear(image[0] * size**2, width, dtype=dtype)
        self.blocks = nn.Sequential(*(Block(width, heads, dtype=dtype) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(width, dtype=dtype), nn.Linear(width, classes, dtype=dtype)

    def tokens(self, images):
        filters = self.embed.weight.unflatten(1, (images.shape[1], self.patch, self.patch))
        found = F.conv2d(images, filters, self.embed.bias, stride=self.patch).flatten(2).mT
        first = self.class_token + self.positions[:, :1]
        return torch.cat([first.repeat(len(images), 1, 1), found + self.positions[:, 1:]], 1)

    def forward(self, images):
        return self.head(self.norm(self.blocks(self.tokens(images)).select(1, 0)))


def resize_positions(positions, grid, new_grid):
    table = positions[0, 1:].T.reshape(1, positions.shape[2], grid[0], grid[1])
    table = nn.Upsample(size=new_grid, mode="bilinear")(table)
    return torch.cat([positions[:, :1], table.reshape(1, positions.shape[2], -1).mT], 1)


def fit(model, images, labels, batches, learning_rates):
    optimiser = torch.optim.Adam(model.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: [*learning_rates, 0.0][step])
    losses = []
    for rows in batches:
        optimiser.zero_grad()
        loss = nn.CrossEntropyLoss()(model(images[rows]), labels[rows])
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(float(loss))
    return losses
