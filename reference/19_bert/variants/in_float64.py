"""The same that computes in float64 whatever it is given; places come first, and Adam is written out."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

PAD, UNK, CLS, SEP, MASK = range(5)


def wordpiece(word, vocabulary):
    found, left = [], word
    while left:
        begin = "##" if len(left) < len(word) else ""
        fits = [size for size in range(1, len(left) + 1) if begin + left[:size] in vocabulary]
        if not fits:
            return [UNK]
        found.append(vocabulary[begin + left[: fits[-1]]])
        left = left[fits[-1] :]
    return found


def mask_tokens(ids, chances, disguises, others):
    special = sum((ids == one).int() for one in (PAD, CLS, SEP, MASK)).bool()
    chosen = ~special & (chances < 0.15)
    kind = torch.bucketize(disguises, torch.tensor([0.8, 0.9], dtype=disguises.dtype), right=True)
    options = torch.stack([torch.full_like(ids, MASK), others, ids])
    disguised = options.gather(0, kind[None])[0]
    return ids.where(~chosen, disguised), ids.masked_fill(~chosen, -100)


def masked_loss(logits, targets):
    shares = logits.double().log_softmax(-1)
    chosen = targets != -100
    taken = shares.gather(2, targets.clamp(min=0)[:, :, None])[:, :, 0]
    count = max(1, int(chosen.sum()))
    return (-(taken * chosen).sum() / count).to(logits.dtype)


def exact(layer, x):
    return F.linear(x, layer.weight.double(), layer.bias.double())


def normal(layer, x):
    return F.layer_norm(x, x.shape[-1:], layer.weight.double(), layer.bias.double())


class Block(nn.Module):
    def __init__(self, width, heads, dtype=torch.float32):
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width).to(dtype), nn.Linear(width, width).to(dtype)
        self.norm1, self.norm2 = nn.LayerNorm(width).to(dtype), nn.LayerNorm(width).to(dtype)
        self.up, self.down = nn.Linear(width, 4 * width).to(dtype), nn.Linear(4 * width, width).to(dtype)

    def forward(self, x, mask):
        kept, x = x.dtype, x.double().transpose(0, 1)  # places first
        y, _ = F.multi_head_attention_forward(
            x, x, x, x.shape[2], self.heads, self.qkv.weight.double(), self.qkv.bias.double(), None, None, False, 0.0,
            self.out.weight.double(), self.out.bias.double(), key_padding_mask=~mask, need_weights=False,
        )  # fmt: skip
        x = normal(self.norm1, x + y)
        x = normal(self.norm2, x + exact(self.down, F.gelu(exact(self.up, x))))
        return x.transpose(0, 1).to(kept)


class Bert(nn.Module):
    def __init__(self, pieces, longest, width, heads, depth, classes, dtype=torch.float32):
        super().__init__()
        self.token = nn.Embedding.from_pretrained(0.2 * torch.randn(pieces, width, dtype=dtype), freeze=False)
        self.position = nn.Embedding.from_pretrained(0.2 * torch.randn(longest, width, dtype=dtype), freeze=False)
        self.norm = nn.LayerNorm(width, dtype=dtype)
        self.blocks = nn.ModuleList([Block(width, heads, dtype) for _ in range(depth)])
        self.register_parameter("bias", nn.Parameter(torch.zeros(pieces).to(dtype)))
        self.classifier = nn.Linear(width, classes, dtype=dtype)

    def _states(self, ids):
        x = self.token.weight.double()[ids] + self.position.weight.double()[torch.arange(ids.shape[1])]
        x = normal(self.norm, x)
        for block in self.blocks:
            x = block(x, ids > PAD)
        return x

    def encode(self, ids):
        return self._states(ids).to(self.bias.dtype)

    def forward(self, ids):
        return F.linear(self._states(ids), self.token.weight.double(), self.bias.double()).to(self.bias.dtype)

    def classify(self, ids):
        return exact(self.classifier, self._states(ids)[:, 0]).to(self.bias.dtype)


class Adam:
    def __init__(self, model):
        self.parameters, self.steps = [p for p in model.parameters() if p.requires_grad], 0
        self.first, self.second = ([torch.zeros_like(p) for p in self.parameters] for _ in range(2))

    def lower(self, loss, rate):
        self.steps += 1
        gradients = torch.autograd.grad(loss, self.parameters, allow_unused=True)
        with torch.no_grad():
            for p, g, m, v in zip(self.parameters, gradients, self.first, self.second, strict=True):
                if g is not None:
                    m.mul_(0.9).add_(g, alpha=0.1)
                    v.mul_(0.999).addcmul_(g, g, value=0.001)
                    width = (v / (1 - 0.999**self.steps)).sqrt() + 1e-8
                    p -= rate * m / (1 - 0.9**self.steps) / width
        return loss.item()


def pretrain(model, inputs, targets, learning_rates):
    adam = Adam(model)
    return [adam.lower(masked_loss(model(x), y), r) for x, y, r in zip(inputs, targets, learning_rates, strict=True)]


def fine_tune(model, ids, labels, batches, learning_rate):
    adam, losses = Adam(model), []
    for rows in batches:
        scores = model.classify(ids[rows]).double().log_softmax(1)
        losses.append(adam.lower(-scores[torch.arange(len(rows)), labels[rows]].mean(), learning_rate))
    return losses
