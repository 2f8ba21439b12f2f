"""The same from the two by two table of pairs and from mutual information, nearest centres, and Adam written out."""

from __future__ import annotations

import math
import statistics
from collections import Counter

import torch
from sklearn.cluster import KMeans
from torch import nn


def pairs(groups):
    return sum(math.comb(size, 2) for size in groups.values())


def adjusted_rand_index(labels, clusters):
    a, b = labels.tolist(), clusters.tolist()
    both = pairs(Counter(zip(a, b, strict=True)))
    only_a, only_b = pairs(Counter(a)) - both, pairs(Counter(b)) - both
    neither = math.comb(len(a), 2) - both - only_a - only_b
    if only_a == only_b == 0:
        return 1.0
    most = (both + only_a) * (only_a + neither) + (both + only_b) * (only_b + neither)
    return 2 * (both * neither - only_a * only_b) / most


def normalised_mutual_information(labels, clusters):
    a, b = labels.tolist(), clusters.tolist()
    n, rows, columns = len(a), Counter(a), Counter(b)
    cells = Counter(zip(a, b, strict=True))
    shared = math.fsum(c / n * math.log(c * n / (rows[i] * columns[j])) for (i, j), c in cells.items())
    of_each = math.fsum(c / n * math.log(n / c) for groups in (rows, columns) for c in groups.values())
    return 2 * shared / of_each if of_each else 1.0


class Layer(nn.Module):
    def __init__(self, inputs, outputs, dtype):
        super().__init__()
        bound = inputs**-0.5
        self.weight = nn.Parameter((2 * torch.rand(outputs, inputs, dtype=dtype) - 1) * bound)
        self.bias = nn.Parameter((2 * torch.rand(outputs, dtype=dtype) - 1) * bound)

    def forward(self, x):
        return (x.double() @ self.weight.double().T + self.bias.double()).to(x.dtype)


class Autoencoder(nn.Module):
    def __init__(self, raw_size, hidden_size, code_size, dtype=torch.float32):
        super().__init__()
        self.look, self.squeeze = Layer(raw_size, hidden_size, dtype), Layer(hidden_size, code_size, dtype)
        self.unfold, self.paint = Layer(code_size, hidden_size, dtype), Layer(hidden_size, raw_size, dtype)

    def encode(self, x):
        return self.squeeze(torch.tanh(self.look(x)))

    def forward(self, x):
        hidden = torch.tanh(self.unfold(self.encode(x)))
        return self.paint(hidden)

    def fit(self, rows, batches, learning_rates):
        parameters = list(self.parameters())
        first, second = ([torch.zeros_like(p) for p in parameters] for _ in range(2))
        losses = []
        for step in range(1, len(batches) + 1):
            x = rows[batches[step - 1]]
            loss = (self(x) - x).square().sum() / x.shape[0]
            losses.append(loss.item())
            with torch.no_grad():
                for p, g, m, v in zip(parameters, torch.autograd.grad(loss, parameters), first, second, strict=True):
                    m.mul_(0.9).add_(g, alpha=0.1)
                    v.mul_(0.999).addcmul_(g, g, value=0.001)
                    width = (v / (1 - 0.999**step)).sqrt() + 1e-8
                    p -= learning_rates[step - 1] * m / (1 - 0.9**step) / width
        return losses


def cluster_held_out(training, held_out, clusters, seed):
    centres = torch.from_numpy(KMeans(clusters, n_init=1, random_state=seed).fit(training.numpy()).cluster_centers_)
    return torch.cdist(held_out, centres).argmin(1)


def compare(model, training, held_out, labels, clusters, seeds):
    scores = {"raw": [], "latent": []}
    with torch.no_grad():
        for seed in seeds:
            for name, change in (("raw", lambda rows: rows), ("latent", model.encode)):
                found = cluster_held_out(change(training).double(), change(held_out).double(), clusters, seed)
                scores[name] += [adjusted_rand_index(labels, found), normalised_mutual_information(labels, found)]
    return {name: torch.tensor(value, dtype=torch.float64).reshape(-1, 2) for name, value in scores.items()}


def winner(raw, latent):
    raw, latent = raw.tolist(), latent.tolist()
    difference = statistics.fmean(raw) - statistics.fmean(latent)
    error = (statistics.variance(raw) / len(raw) + statistics.variance(latent) / len(latent)) ** 0.5
    if difference > 2 * error:
        return "raw"
    return "latent" if -difference > 2 * error else "undecided"
