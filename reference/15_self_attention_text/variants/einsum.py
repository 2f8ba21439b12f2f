"""Einsum throughout, a softmax written out in log space, and padding gathered with torch.where."""

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence


def encode(sentences, vocabulary):
    rows = [torch.tensor([vocabulary.get(w.lower(), 1) for w in s.split()], dtype=torch.int64) for s in sentences]
    ids = pad_sequence(rows, batch_first=True)
    lengths = torch.tensor([len(row) for row in rows])
    return ids, torch.arange(ids.shape[1]) < lengths.unsqueeze(1)


def attention(q, k, v, mask=None):
    scores = torch.einsum("nhtd,nhsd->nhts", q / q.size(-1) ** 0.5, k)
    if mask is None:
        mask = torch.ones((), dtype=torch.bool)
    mask = mask.expand_as(scores)
    blind = ~mask.any(-1, keepdim=True)
    scores = torch.where(mask | blind, scores, -torch.inf)
    weights = (scores - scores.logsumexp(-1, keepdim=True)).exp() * ~blind
    return torch.einsum("nhts,nhsc->nhtc", weights, v), weights


class SelfAttention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.shape = heads, width // heads
        for name in ("query", "key", "value", "out"):
            self.add_module(name, nn.Linear(width, width))

    def heads(self, layer, x):
        weight, bias = layer.weight.unflatten(0, self.shape), layer.bias.unflatten(0, self.shape)
        return torch.einsum("nte,hde->nhtd", x, weight) + bias[:, None]

    def forward(self, x, mask):
        q, k, v = self.heads(self.query, x), self.heads(self.key, x), self.heads(self.value, x)
        mixed, weights = attention(q, k, v, mask[:, None, None] & mask[:, None, :, None])
        y = torch.einsum("nhtd,ehd->nte", mixed, self.out.weight.unflatten(1, self.shape)) + self.out.bias
        return torch.where(mask[..., None], y, 0.0), weights


def masked_mean(x, mask):
    total = torch.where(mask[..., None], x, 0.0).sum(1)
    count = mask.sum(1, keepdim=True)
    return torch.where(count > 0, total / torch.where(count > 0, count, 1), 0.0)


class TextClassifier(nn.Module):
    def __init__(self, words, longest, width, heads, classes):
        super().__init__()
        self.token = nn.Embedding(words, width, padding_idx=0)
        self.position = nn.Embedding(longest, width)
        self.attention = SelfAttention(width, heads)
        self.head = nn.Linear(width, classes)

    def forward(self, ids, mask):
        positions = torch.arange(ids.size(1)).expand_as(ids)
        y, weights = self.attention(self.token(ids) + self.position(positions), mask)
        return self.head(masked_mean(y, mask)), weights
