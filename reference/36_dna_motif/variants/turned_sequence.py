"""The same in float64 inside: the sequence is turned and not the filter, windows are unfolded, products are einsums."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn


def one_hot(sequences):
    letters = [np.frombuffer(each.encode("utf-32-le"), dtype=np.uint32) for each in sequences]
    if any(len(each) != len(letters[0]) for each in letters):
        raise ValueError("lengths differ")
    codes = np.stack(letters)
    codes = np.where((codes >= 97) & (codes <= 122), codes - 32, codes)
    x = np.stack([codes == ord(base) for base in "ACGT"], axis=1)
    if not (x.any(axis=1) | (codes == ord("N"))).all():
        raise ValueError("neither a base nor N")
    return torch.from_numpy(x.astype(np.float32))


def reverse_complement(x):
    return torch.flip(x[:, torch.tensor([3, 2, 1, 0])], dims=[-1])


def scan(x, weight, bias):
    strands = []
    for turned in (False, True):
        read = (reverse_complement(x) if turned else x).double()
        scores = torch.einsum("ncpw,kcw->nkp", read.unfold(2, weight.shape[2], 1), weight.double())
        strands.append(scores.flip(2) if turned else scores)
    return (torch.stack(strands, 2) + bias.double().reshape(1, -1, 1, 1)).to(x.dtype)


class MotifNet(nn.Module):
    def __init__(self, filters, width, dtype=torch.float32):
        super().__init__()
        self.filters = nn.Conv1d(4, filters, width, dtype=dtype)
        self.head = nn.Linear(filters, 1, dtype=dtype)
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, x):
        scores = scan(x, self.filters.weight, self.filters.bias).clamp(min=0)
        best = scores.flatten(2).max(2)[0]
        return best @ self.head.weight[0] + self.head.bias[0]


def motif_counts(x, scores, threshold):
    n, k, _, places = scores.shape
    width = x.shape[2] - places + 1
    best, where = scores.double().reshape(n, k, -1).max(2)
    reads = torch.stack([x, reverse_complement(x)], 1)
    strand = where.div(places, rounding_mode="floor")
    place = where - strand * places
    begin = torch.where(strand == 1, x.shape[2] - width - place, place)
    columns = begin[:, :, None] + torch.arange(width)
    rows = torch.arange(n)[:, None, None]
    found = reads.permute(0, 1, 3, 2)[rows, strand[:, :, None], columns]
    kept = (best > threshold).to(x.dtype)
    return torch.einsum("nk,nkwb->kbw", kept, found)


def log_odds(counts, background, pseudocount):
    base, seen = background.double().numpy()[None, :, None], counts.double().numpy()
    bits = np.log2(seen / base + pseudocount) - np.log2(seen.sum(axis=1, keepdims=True) + pseudocount)
    return torch.from_numpy(bits).to(counts.dtype)


def split(sequences, order, held_out):
    partner = {ord(a): b for a, b in zip("ACGT", "TGCA", strict=True)}
    molecules = [frozenset((each.upper(), each.upper()[::-1].translate(partner))) for each in sequences]
    left, tested = held_out, {}
    for row in order:
        one = molecules[int(row)]
        if one not in tested:
            tested[one] = left > 0
            left -= 1
    rows = np.arange(len(molecules))
    side = np.array([tested[one] for one in molecules], dtype=bool)
    return torch.from_numpy(rows[~side]), torch.from_numpy(rows[side])
