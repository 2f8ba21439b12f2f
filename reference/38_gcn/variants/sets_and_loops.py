"""The same, with Python's sets for friends and loops over entries where there are few; Adam written out."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


def normalised_edges(edges, members, dtype=torch.float32):
    friends = [{member} for member in range(members)]
    for one, other in edges.tolist():
        friends[one].add(other)
        friends[other].add(one)
    places, values = [], []
    for hears, known in enumerate(friends):
        for heard in known:
            places.append((hears, heard))
            values.append((len(known) * len(friends[heard])) ** -0.5)
    return torch.tensor(places).T, torch.tensor(values, dtype=dtype)


def propagate(x, index, weights):
    voices = [[] for _ in range(len(x))]
    for entry, hears in enumerate(index[0].tolist()):
        voices[hears].append(entry)
    silence = 0 * x[0]
    rows = []
    for entries in voices:
        chosen = torch.tensor(entries, dtype=torch.int64)
        rows.append(weights[chosen] @ x[index[1][chosen]] if entries else silence)
    return torch.stack(rows)


class GraphConvolution(nn.Module):
    def __init__(self, features, outputs, dtype=torch.float32):
        super().__init__()
        bound = torch.tensor(6 / (features + outputs), dtype=dtype).sqrt()
        self.weight = nn.Parameter((2 * torch.rand(features, outputs, dtype=dtype) - 1) * bound)
        self.bias = nn.Parameter(torch.zeros(outputs, dtype=dtype))

    def forward(self, x, index, weights):
        mapped = F.linear(x, self.weight.T)
        return self.bias + propagate(mapped, index, weights)


class GCN(nn.Module):
    def __init__(self, features, hidden_size, classes, dtype=torch.float32):
        super().__init__()
        self.first = GraphConvolution(features, hidden_size, dtype)
        self.second = GraphConvolution(hidden_size, classes, dtype)

    def forward(self, x, index, weights):
        for layer, squash in ((self.first, F.relu), (self.second, nn.Identity())):
            x = squash(layer(x, index, weights))
        return x


def masked_loss(logits, labels, known):
    each = torch.logsumexp(logits, 1) - logits[torch.arange(len(logits)), labels.where(known, labels.new_zeros(()))]
    return torch.where(known, each, 0.0).sum() / known.sum()


def roughness(x, index, weights, depth):
    rough = torch.empty(depth + 1, dtype=x.dtype)
    for place in range(depth + 1):
        after = propagate(x, index, weights)
        rough[place] = (x * (x - after)).sum() / x.square().sum()
        x = after
    return rough


def fit(model, x, index, weights, labels, known, steps, learning_rate):
    parameters = list(model.parameters())
    first, second = ([torch.zeros_like(p) for p in parameters] for _ in range(2))
    losses = []
    for step in range(1, steps + 1):
        loss = masked_loss(model(x, index, weights), labels, known)
        losses.append(loss.item())
        with torch.no_grad():
            for p, g, m, v in zip(parameters, torch.autograd.grad(loss, parameters), first, second, strict=True):
                m.mul_(0.9).add_(g, alpha=0.1)
                v.mul_(0.999).addcmul_(g, g, value=0.001)
                p -= learning_rate * m / (1 - 0.9**step) / ((v / (1 - 0.999**step)).sqrt() + 1e-8)
    return losses
