"""Plain loops: one query, one sentence and one word at a time, and the softmax by hand."""

import torch
from torch import nn


def encode(sentences, vocabulary):
    split = [sentence.lower().split() for sentence in sentences]
    longest = len(max(split, key=len))
    ids, mask = [], []
    for words in split:
        empty = longest - len(words)
        ids.append([vocabulary.get(word, 1) for word in words] + empty * [0])
        mask.append(len(words) * [True] + empty * [False])
    return torch.LongTensor(ids), torch.BoolTensor(mask)


def attention(q, k, v, mask=None):
    shape = (*q.shape[:3], k.shape[2])
    mask = torch.ones(shape, dtype=torch.bool) if mask is None else mask.broadcast_to(shape)
    mixed, weights = [], []
    for t in range(q.shape[2]):
        seen = mask[:, :, t]
        scores = (q[:, :, t, None] * k).sum(-1) / q.shape[3] ** 0.5
        scores = torch.where(seen, scores, scores.detach().amin(-1, keepdim=True))
        shares = (scores - scores.detach().amax(-1, keepdim=True)).exp()
        shares = torch.where(seen, shares, 0.0)
        total = shares.sum(-1, keepdim=True)
        shares = shares / torch.where(total == 0, 1.0, total)
        weights.append(shares)
        mixed.append((shares[..., None] * v).sum(2))
    return torch.stack(mixed, 2), torch.stack(weights, 2)


class SelfAttention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.size = width // heads
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.out = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x, mask):
        parts = [layer(x).split(self.size, dim=-1) for layer in (self.query, self.key, self.value)]
        mixed, weights = attention(*(torch.stack(part, dim=1) for part in parts), mask[:, None, None])
        return self.out(torch.cat(mixed.unbind(1), dim=-1)), weights


def masked_mean(x, mask):
    rows = [row[seen].mean(0) if seen.any() else torch.zeros_like(row[0]) for row, seen in zip(x, mask, strict=True)]
    return torch.stack(rows)


class TextClassifier(nn.Module):
    def __init__(self, words, longest, width, heads, classes):
        super().__init__()
        self.token = nn.Embedding(words, width)
        self.position = nn.Embedding(longest, width)
        self.attention = SelfAttention(width, heads)
        self.head = nn.Linear(width, classes)

    def forward(self, ids, mask):
        x = torch.stack([self.token(column) + self.position.weight[t] for t, column in enumerate(ids.unbind(1))], 1)
        y, weights = self.attention(x, mask)
        return self.head(masked_mean(y, mask)), weights
