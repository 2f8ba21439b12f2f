"""The same, by torch's own sparse matrices: they coalesce, count and multiply."""

from __future__ import annotations

import itertools

import torch
from torch import nn


def normalised_edges(edges, members, dtype=torch.float32):
    apart = edges[edges[:, 0] != edges[:, 1]]
    both = torch.cat([apart, apart.flip(1)]).T
    friends = torch.sparse_coo_tensor(both, torch.ones(both.shape[1]), (members, members), check_invariants=True)
    loops = torch.arange(members).expand(2, members)
    index = torch.cat([friends.coalesce().indices(), loops], 1)
    roots = torch.zeros(members, dtype=dtype).scatter_add_(0, index[1], torch.ones(index.shape[1], dtype=dtype)) ** -0.5
    return index, roots[index[0]] * roots[index[1]]


def propagate(x, index, weights):
    spoken = x.index_select(0, index[1]) * weights.unsqueeze(1)
    return x.new_zeros(x.shape).scatter_add(0, index[0].unsqueeze(1).expand_as(spoken), spoken)


class GraphConvolution(nn.Module):
    def __init__(self, features, outputs, dtype=torch.float32):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(outputs, dtype=dtype))
        self.weight = nn.Parameter(torch.zeros(features, outputs, dtype=dtype))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x, index, weights):
        return torch.addmm(self.bias, propagate(x, index, weights), self.weight)


class GCN(nn.Module):
    def __init__(self, features, hidden_size, classes, dtype=torch.float32):
        super().__init__()
        self.second = GraphConvolution(hidden_size, classes, dtype=dtype)
        self.first = GraphConvolution(features, hidden_size, dtype=dtype)

    def forward(self, x, index, weights):
        return self.second(torch.clamp(self.first(x, index, weights), min=0), index, weights)


def masked_loss(logits, labels, known):
    chosen = known.nonzero().flatten()
    scores = logits[chosen].log_softmax(1)
    return -scores.gather(1, labels[chosen, None]).sum() / len(chosen)


def roughness(x, index, weights, depth):
    matrix = torch.sparse_coo_tensor(index, weights, (len(x), len(x)), check_invariants=True).coalesce()
    layers = [x]
    for _ in range(depth + 1):
        layers.append(matrix @ layers[-1])
    products = torch.stack([torch.vdot(one.flatten(), other.flatten()) for one, other in itertools.pairwise(layers)])
    return 1 - products / torch.stack([one.flatten().square().sum() for one in layers[:-1]])


def fit(model, x, index, weights, labels, known, steps, learning_rate):
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate)
    losses = []
    for _ in range(steps):
        loss = masked_loss(model(x, index, weights), labels, known)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses
