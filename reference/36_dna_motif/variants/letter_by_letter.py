"""The same with loops over letters, windows and sequences, and dictionaries for everything that has a name."""

from __future__ import annotations

import math

import torch
from torch import nn

PARTNER = {"A": "T", "C": "G", "G": "C", "T": "A", "N": "N"}


def one_hot(sequences):
    first = sequences[0]
    x = torch.zeros(len(sequences), 4, len(first))
    for row, sequence in enumerate(sequences):
        if len(sequence) != len(first):
            raise ValueError(f"sequence {row} has {len(sequence)} letters, the first {len(first)}")
        for place, letter in enumerate(sequence):
            base = letter.upper()
            if base not in PARTNER:
                raise ValueError(f"{letter!r} is no base")
            if base != "N":
                x[row, "ACGT".index(base), place] = 1.0
    return x


def reverse_complement(x):
    a, c, g, t = x.unbind(1)
    return torch.stack([each.flip(-1) for each in (t, g, c, a)], 1)


def scan(x, weight, bias):
    length = weight.shape[2]
    strands = []
    for kernel in (weight, reverse_complement(weight)):
        scores = []
        for p in range(x.shape[2] - length + 1):
            scores.append(x[:, :, p : p + length].reshape(len(x), -1) @ kernel.reshape(len(kernel), -1).T + bias)
        strands.append(torch.stack(scores, 2))
    return torch.stack(strands, 2)


class MotifNet(nn.Module):
    def __init__(self, filters, width, dtype=torch.float32):
        super().__init__()
        self.head = nn.Linear(filters, 1).to(dtype)
        self.filters = nn.Conv1d(4, filters, width).to(dtype)

    def forward(self, x):
        scores = scan(x, self.filters.weight, self.filters.bias)
        best = torch.maximum(scores[:, :, 0].max(dim=2).values, scores[:, :, 1].max(dim=2).values)
        return self.head(torch.relu(best)).squeeze(1)


def motif_counts(x, scores, threshold):
    width = x.shape[2] - scores.shape[3] + 1
    counts = torch.zeros(scores.shape[1], 4, width, dtype=x.dtype)
    flat = scores.reshape(scores.shape[0], scores.shape[1], -1)
    tops = flat.argmax(2).tolist()
    for n, row in enumerate(tops):
        for k, top in enumerate(row):
            if flat[n, k, top] > threshold:
                strand, place = divmod(top, scores.shape[3])
                window = x[n, :, place : place + width]
                counts[k] += window if strand == 0 else reverse_complement(window[None])[0]
    return counts


def log_odds(counts, background, pseudocount):
    rows = []
    for base, frequent in enumerate(background.tolist()):
        share = (counts[:, base] + pseudocount * frequent) / (counts.sum(1) + pseudocount)
        rows.append((share.log() - math.log(frequent)) / math.log(2))
    return torch.stack(rows, 1)


def split(sequences, order, held_out):
    molecule, known = [], {}
    for sequence in sequences:
        letters = sequence.upper()
        other = "".join(PARTNER[letter] for letter in reversed(letters))
        if letters not in known:
            known[letters] = known[other] = len(known)
        molecule.append(known[letters])
    tested = set()
    for row in order.tolist():
        if len(tested) == held_out:
            break
        tested.add(molecule[row])
    sides = [[row for row, each in enumerate(molecule) if (each in tested) == side] for side in (False, True)]
    return tuple(torch.tensor(rows, dtype=torch.int64) for rows in sides)
