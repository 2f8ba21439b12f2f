"""The same, with attention head by head and written out, losses place by place, and torch's functional forms avoided."""

from __future__ import annotations

import math

import torch
from torch import nn

PAD, UNK, CLS, SEP, MASK = range(5)


def wordpiece(word, vocabulary):
    def cut(rest, prefix):
        for size in range(len(rest), 0, -1):
            if prefix + rest[:size] in vocabulary:
                here = [vocabulary[prefix + rest[:size]]]
                if size == len(rest):
                    return here
                later = cut(rest[size:], "##")
                return None if later is None else here + later
        return None

    return cut(word, "") or [UNK]


def mask_tokens(ids, chances, disguises, others):
    inputs, targets = ids.clone(), torch.full_like(ids, -100)
    for n, row in enumerate(ids.tolist()):
        for t, piece in enumerate(row):
            if piece in (PAD, CLS, SEP, MASK) or not chances[n, t] < 0.15:
                continue
            targets[n, t] = piece
            if disguises[n, t] < 0.8:
                inputs[n, t] = MASK
            elif disguises[n, t] < 0.9:
                inputs[n, t] = others[n, t]
    return inputs, targets


def masked_loss(logits, targets):
    chosen = targets >= 0
    if not chosen.any():
        return (logits * 0).sum()
    scores = logits[chosen]
    return (scores.logsumexp(1) - scores.gather(1, targets[chosen][:, None])[:, 0]).mean()


class Block(nn.Module):
    def __init__(self, width, heads, dtype=torch.float32):
        super().__init__()
        self.norm2, self.norm1 = nn.LayerNorm(width, dtype=dtype), nn.LayerNorm(width, dtype=dtype)
        self.down, self.up = nn.Linear(4 * width, width, dtype=dtype), nn.Linear(width, 4 * width, dtype=dtype)
        self.out, self.qkv = nn.Linear(width, width, dtype=dtype), nn.Linear(width, 3 * width, dtype=dtype)
        self.size = width // heads
        self.gelu = nn.GELU()

    def forward(self, x, mask):
        heads = [part.split(self.size, 2) for part in self.qkv(x).chunk(3, 2)]
        found = []
        for query, key, value in zip(*heads, strict=True):
            scores = torch.einsum("nte,nse->nts", query, key) / math.sqrt(self.size)
            scores = scores.masked_fill(~mask[:, None, :], -math.inf)
            found.append(torch.softmax(scores, 2) @ value)
        x = self.norm1(self.out(torch.cat(found, 2)) + x)
        return self.norm2(self.down(self.gelu(self.up(x))) + x)


class Bert(nn.Module):
    def __init__(self, pieces, longest, width, heads, depth, classes, dtype=torch.float32):
        super().__init__()
        self.classifier = nn.Linear(width, classes, dtype=dtype)
        self.bias = nn.Parameter(torch.zeros(pieces, dtype=dtype))
        self.blocks = nn.ModuleList()
        for _ in range(depth):
            self.blocks.append(Block(width, heads, dtype=dtype))
        self.norm = nn.LayerNorm(width, dtype=dtype)
        self.token, self.position = (nn.Embedding(size, width, dtype=dtype) for size in (pieces, longest))
        self.token.weight.data.normal_(0, 0.2)
        self.position.weight.data.normal_(0, 0.2)

    def encode(self, ids):
        places = torch.arange(ids.shape[1]).expand_as(ids)
        x = self.norm(self.position(places) + self.token(ids))
        for block in self.blocks:
            x = block(x, ids.ne(PAD))
        return x

    def forward(self, ids):
        return self.encode(ids) @ self.token.weight.T + self.bias

    def classify(self, ids):
        return self.classifier(self.encode(ids).select(1, 0))


def train(model, losses, rates):
    adam, found = torch.optim.Adam(list(model.parameters()), lr=1.0), []
    for loss, rate in zip(losses, rates, strict=True):
        for group in adam.param_groups:
            group.update(lr=rate)
        value = loss()
        adam.zero_grad(set_to_none=False)
        value.backward()
        adam.step()
        found.append(float(value))
    return found


def pretrain(model, inputs, targets, learning_rates):
    steps = [lambda step=step: masked_loss(model(inputs[step]), targets[step]) for step in range(len(inputs))]
    return train(model, steps, learning_rates)


def fine_tune(model, ids, labels, batches, learning_rate):
    loss = nn.CrossEntropyLoss()
    steps = [lambda rows=rows: loss(model.classify(ids[rows]), labels[rows]) for rows in batches]
    return train(model, steps, [learning_rate] * len(steps))
