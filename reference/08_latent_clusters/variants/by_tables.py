"""The same by tables that have their empty cells, NumPy where it is shorter, and a network of sequential halves."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import nn


def adjusted_rand_index(labels, clusters):
    rows, first = np.unique(labels.numpy(), return_inverse=True)
    columns, second = np.unique(clusters.numpy(), return_inverse=True)
    table = np.zeros((len(rows), len(columns)))
    np.add.at(table, (first, second), 1.0)

    def pairs(counts):
        return float(np.sum(counts * (counts - 1.0)) / 2.0)

    together, of_rows, of_columns = pairs(table), pairs(table.sum(1)), pairs(table.sum(0))
    by_luck = of_rows / pairs(table.sum()) * of_columns
    room = 0.5 * of_rows + 0.5 * of_columns - by_luck
    return (together - by_luck) / room if abs(room) > 1e-9 else 1.0


def normalised_mutual_information(labels, clusters):
    def entropy(names):
        sizes = names.unique(dim=0, return_counts=True)[1]
        p = sizes / sizes.sum()  # the formula as it stands: whole numbers divided are float32
        return float(-(p * p.log()).sum())

    of_labels, of_clusters = entropy(labels), entropy(clusters)
    shared = of_labels + of_clusters - entropy(torch.stack([labels, clusters], dim=1))
    return shared / ((of_labels + of_clusters) / 2) if of_labels or of_clusters else 1.0


class Autoencoder(nn.Module):
    def __init__(self, raw_size, hidden_size, code_size, dtype=torch.float32):
        super().__init__()
        widths = {"look": (raw_size, hidden_size), "squeeze": (hidden_size, code_size)}
        widths |= {"unfold": (code_size, hidden_size), "paint": (hidden_size, raw_size)}
        for name, (inputs, outputs) in widths.items():
            self.add_module(name, nn.Linear(inputs, outputs, dtype=dtype))

    def encode(self, x):
        return self.squeeze(self.look(x).tanh())

    def forward(self, x):
        return self.paint(self.unfold(self.encode(x)).tanh())

    def fit(self, rows, batches, learning_rates):
        adam, losses = torch.optim.Adam(list(self.parameters()), lr=1.0), []
        for step, rate in enumerate(learning_rates):
            adam.param_groups[0]["lr"] = rate
            x = rows[batches[step]]
            adam.zero_grad()
            loss = nn.functional.mse_loss(self(x), x, reduction="sum") / len(x)
            loss.backward()
            adam.step()
            losses.append(float(loss))
        return losses


def cluster_held_out(training, held_out, clusters, seed):
    kmeans = KMeans(n_clusters=clusters, random_state=seed, n_init=1)
    kmeans.fit(np.ascontiguousarray(training))
    return torch.tensor(kmeans.predict(np.ascontiguousarray(held_out)), dtype=torch.int64)


def compare(model, training, held_out, labels, clusters, seeds):
    def trial(known, asked):
        rows = []
        for seed in seeds:
            found = cluster_held_out(known.double(), asked.double(), clusters, seed)
            rows.append([adjusted_rand_index(labels, found), normalised_mutual_information(labels, found)])
        return torch.tensor(rows, dtype=torch.float64)

    codes = [model.encode(rows).detach() for rows in (training, held_out)]
    return {"latent": trial(*codes), "raw": trial(training, held_out)}


def winner(raw, latent):
    a, b = raw.numpy(), latent.numpy()
    error = np.sqrt(np.var(a, ddof=1) / len(a) + np.var(b, ddof=1) / len(b))
    z = (a.mean() - b.mean()) / error
    return "raw" if z > 2 else "latent" if z < -2 else "undecided"
