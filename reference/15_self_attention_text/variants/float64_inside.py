"""Attention in float64 on (N * H) matrices with an additive mask; the three projections are one matrix product."""

import torch
import torch.nn.functional as F
from torch import nn


def encode(sentences, vocabulary):
    words = [sentence.split() for sentence in sentences]
    ids = torch.zeros(len(words), max(len(row) for row in words), dtype=torch.long)
    mask = torch.zeros_like(ids, dtype=torch.bool)
    for n, row in enumerate(words):
        for t, word in enumerate(row):
            ids[n, t] = vocabulary.get(word.lower(), 1)
            mask[n, t] = True
    return ids, mask


def attention(q, k, v, mask=None):
    N, H, T, D = q.shape
    S, C = v.shape[-2:]
    q, k, values = q.double().reshape(N * H, T, D), k.double().reshape(N * H, S, D), v.double().reshape(N * H, S, C)
    seen = torch.ones(N * H, T, S, dtype=torch.float64)
    if mask is not None:
        seen = mask.expand(N, H, T, S).reshape(N * H, T, S).double()
    bias = torch.zeros_like(seen).masked_fill(seen == 0, torch.finfo(torch.float64).min / 4)
    weights = F.softmax(torch.baddbmm(bias, q, k.mT, alpha=D**-0.5), dim=-1) * seen
    return torch.bmm(weights, values).view(N, H, T, C).to(v.dtype), weights.view(N, H, T, S).to(v.dtype)


class SelfAttention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.count = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, x, mask):
        layers = self.query, self.key, self.value
        weight, bias = torch.cat([layer.weight for layer in layers]), torch.cat([layer.bias for layer in layers])
        parts = F.linear(x, weight, bias).unflatten(-1, (3, self.count, -1)).permute(2, 0, 3, 1, 4)
        mixed, weights = attention(*parts, mask.unsqueeze(1).unsqueeze(1))
        return self.out(torch.cat(mixed.unbind(1), dim=-1)), weights


def masked_mean(x, mask):
    shares = mask.double() / mask.sum(1, keepdim=True).clamp(min=1)
    return torch.matmul(shares[:, None], x.double())[:, 0].to(x.dtype)


class TextClassifier(nn.Module):
    def __init__(self, words, longest, width, heads, classes):
        super().__init__()
        self.token, self.position = nn.Embedding(words, width), nn.Embedding(longest, width)
        self.attention = SelfAttention(width, heads)
        self.head = nn.Linear(width, classes)

    def forward(self, ids, mask):
        places = self.position.weight.narrow(0, 0, ids.shape[1])
        y, weights = self.attention(self.token.weight[ids] + places, mask)
        return F.linear(masked_mean(y, mask), self.head.weight, self.head.bias), weights
