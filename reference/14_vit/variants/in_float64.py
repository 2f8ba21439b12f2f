"""The same network that computes in float64 whatever it is given, with patches cut in loops and attention written out."""

from __future__ import annotations

import torch
from torch import nn


def patchify(images, size):
    rows, columns = images.shape[2] // size, images.shape[3] // size
    found = []
    for row in range(rows):
        for column in range(columns):
            top, left = row * size, column * size
            found.append(images[:, :, top : top + size, left : left + size].flatten(1))
    return torch.stack(found, 1)


def exact(layer, x):
    x = x @ layer.weight.double().T
    return x + layer.bias.double()


def normal(layer, x):
    centred = x - x.mean(-1, keepdim=True)
    spread = (centred.square().mean(-1, keepdim=True) + layer.eps).sqrt()
    return centred / spread * layer.weight.double() + layer.bias.double()


class Block(nn.Module):
    def __init__(self, width, heads, dtype=torch.float32):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, dtype=dtype)
        self.qkv = nn.Linear(width, 3 * width, dtype=dtype)
        self.out = nn.Linear(width, width, dtype=dtype)
        self.norm2 = nn.LayerNorm(width, dtype=dtype)
        self.up = nn.Linear(width, 4 * width, dtype=dtype)
        self.down = nn.Linear(4 * width, width, dtype=dtype)
        self.head_width = width // heads

    def forward(self, x):
        kept = x.dtype
        x = x.double()
        found = []
        for each in exact(self.qkv, normal(self.norm1, x)).chunk(3, -1):
            found.append(each.split(self.head_width, -1))
        heads = []
        for query, key, value in zip(*found, strict=True):
            scores = torch.einsum("nte,nse->nts", query, key) / self.head_width**0.5
            heads.append(torch.softmax(scores, -1) @ value)
        x = x + exact(self.out, torch.cat(heads, -1))
        hidden = exact(self.up, normal(self.norm2, x))
        hidden = hidden * 0.5 * (1 + torch.erf(hidden / 2**0.5))
        return (x + exact(self.down, hidden)).to(kept)


class ViT(nn.Module):
    def __init__(self, image, size, width, heads, depth, classes, dtype=torch.float32):
        super().__init__()
        patches = len(patchify(torch.zeros(1, *image), size)[0])
        self.size = size
        self.embed = nn.Linear(image[0] * size * size, width, dtype=dtype)
        self.class_token = nn.Parameter(torch.randn(1, 1, width).to(dtype) / 50)
        self.positions = nn.Parameter(torch.randn(1, 1 + patches, width, dtype=torch.float64).to(dtype) / 50)
        self.blocks = nn.ModuleList()
        for _ in range(depth):
            self.blocks.append(Block(width, heads, dtype))
        self.norm = nn.LayerNorm(width, dtype=dtype)
        self.head = nn.Linear(width, classes, dtype=dtype)

    def tokens(self, images):
        found = exact(self.embed, patchify(images, self.size).double())
        first = self.class_token.double().expand(len(images), 1, -1)
        return (torch.cat((first, found), 1) + self.positions.double()).to(images.dtype)

    def forward(self, images):
        x = self.tokens(images).double()
        for block in self.blocks:
            x = block(x)
        return exact(self.head, normal(self.norm, x[:, 0])).to(images.dtype)


def resize_positions(positions, grid, new_grid):
    first, rest = positions.double().split([1, positions.shape[1] - 1], 1)
    for axis, (old, new) in enumerate(zip(grid, new_grid, strict=True)):
        centres = ((torch.arange(new, dtype=torch.float64) + 0.5) * old / new - 0.5).clamp(0, old - 1)
        ways = (1 - (centres[:, None] - torch.arange(old)).abs()).clamp(min=0)
        rest = rest.reshape(*(grid if axis == 0 else (new_grid[0], grid[1])), -1)
        rest = torch.einsum("ab,bje->aje" if axis == 0 else "ab,gbe->gae", ways, rest)
    return torch.cat([first, rest.reshape(1, -1, positions.shape[2])], 1).to(positions.dtype)


def fit(model, images, labels, batches, learning_rates):
    parameters = list(model.parameters())
    first = [torch.zeros_like(p) for p in parameters]
    second = [torch.zeros_like(p) for p in parameters]
    losses = []
    for step in range(1, len(batches) + 1):
        rows = batches[step - 1]
        logits = model(images[rows])
        loss = (logits.logsumexp(1) - logits[range(len(rows)), labels[rows]]).mean()
        losses.append(loss.item())
        with torch.no_grad():
            for p, g, m, v in zip(parameters, torch.autograd.grad(loss, parameters), first, second, strict=True):
                m.mul_(0.9).add_(g, alpha=0.1)
                v.mul_(0.999).addcmul_(g, g, value=0.001)
                p -= learning_rates[step - 1] * (m / (1 - 0.9**step)) / ((v / (1 - 0.999**step)).sqrt() + 1e-8)
    return losses
