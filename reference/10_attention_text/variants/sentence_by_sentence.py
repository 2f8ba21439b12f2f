"""The same, one sentence at a time and without its padding; the softmax by its largest score; Adam written out."""

from __future__ import annotations

import math

import torch
from torch import nn


def additive_scores(states, weight, bias, question):
    return torch.einsum("nta,a->nt", torch.tanh(torch.einsum("nts,as->nta", states, weight) + bias), question)


def masked_softmax(scores, mask):
    rows = []
    for row, words in zip(scores, mask, strict=True):
        weights = torch.zeros_like(row)
        if words.any():
            shares = torch.exp(row[words] - row[words].max().detach())
            weights = weights.masked_scatter(words, shares / shares.sum())
        else:
            weights = row * 0
        rows.append(weights)
    return torch.stack(rows)


class AttentionPooling(nn.Module):
    def __init__(self, state_size, attention_size, dtype=torch.float32):
        super().__init__()
        self.question = nn.Parameter((2 * torch.rand(attention_size, dtype=dtype) - 1) / math.sqrt(attention_size))
        self.project = nn.Linear(state_size, attention_size, dtype=dtype)

    def forward(self, states, mask):
        weights = masked_softmax(torch.tanh(self.project(states)).matmul(self.question), mask)
        return (weights.unsqueeze(1) @ states).squeeze(1), weights


class TextClassifier(nn.Module):
    def __init__(self, words, width, hidden_size, attention_size, classes, dtype=torch.float32):
        super().__init__()
        self.head = nn.Linear(2 * hidden_size, classes).to(dtype)
        self.pooling = AttentionPooling(2 * hidden_size, attention_size, dtype=dtype)
        self.lstm = nn.LSTM(width, hidden_size, bidirectional=True).to(dtype)
        self.token = nn.Embedding(words, width).to(dtype)

    def forward(self, ids, lengths):
        pooled, weights = [], []
        for row, length in zip(ids, lengths.tolist(), strict=True):
            states = self.lstm(self.token(row[:length]))[0]
            one, share = self.pooling(states[None], torch.ones(1, length, dtype=torch.bool))
            pooled.append(one[0])
            weights.append(torch.cat([share[0], share.new_zeros(ids.shape[1] - length)]))
        return self.head(torch.stack(pooled)), torch.stack(weights)


def fit(model, ids, lengths, labels, batches, learning_rate):
    parameters = list(model.parameters())
    first, second = ([torch.zeros_like(p) for p in parameters] for _ in range(2))
    losses = []
    for step, rows in enumerate(batches, 1):
        logits, _ = model(ids[rows], lengths[rows])
        loss = -logits.log_softmax(1)[torch.arange(len(rows)), labels[rows]].mean()
        losses.append(loss.item())
        with torch.no_grad():
            for p, g, m, v in zip(parameters, torch.autograd.grad(loss, parameters), first, second, strict=True):
                m.mul_(0.9).add_(g, alpha=0.1)
                v.mul_(0.999).addcmul_(g, g, value=0.001)
                p -= learning_rate * m / (1 - 0.9**step) / ((v / (1 - 0.999**step)).sqrt() + 1e-8)
    return losses
