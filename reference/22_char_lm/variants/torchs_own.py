"""The same by what torch has: its clipping, its distributions, one long reading; vocabulary by numpy; all in float64."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

UNKNOWN = "\ufffd"


class CharRNN(nn.Module):
    def __init__(self, characters, width, hidden_size, dtype=torch.float32):
        super().__init__()
        self.token = nn.Embedding(characters, width, dtype=dtype)
        self.rnn = nn.RNN(width, hidden_size, batch_first=True, dtype=dtype)
        self.head = nn.Linear(hidden_size, characters, dtype=dtype)

    def forward(self, ids, state=None):
        states, state = self.rnn(self.token(ids), state)
        return self.head(states), state


def read(model, ids, targets, state=None):
    logits, after = model(ids, state)
    log_probabilities = F.log_softmax(logits.double(), dim=-1)
    nats = -torch.take_along_dim(log_probabilities, targets.unsqueeze(-1), dim=-1).squeeze(-1)
    return nats.to(logits.dtype), after


def prepare(train, held_out, least):
    points, counts = np.unique(np.array([ord(each) for each in train], dtype=np.int64), return_counts=True)
    kept = points[counts >= least]
    encoded = []
    for text in (train, held_out):
        codes = np.array([ord(each) for each in text], dtype=np.int64)
        places = np.searchsorted(kept, codes)
        known = np.isin(codes, kept)
        encoded.append(torch.from_numpy(np.where(known, places + 1, 0).astype(np.int64)))
    return [UNKNOWN, *(chr(point) for point in kept)], *encoded


def streams(ids, count):
    if len(ids) <= count:
        raise ValueError(f"{len(ids)} characters, {count} streams")
    length = (len(ids) - 1) // count
    pairs = torch.stack([ids[:-1], ids[1:]])[:, : count * length]
    return tuple(pairs.unflatten(1, (count, length)))


def train(model, inputs, targets, length, epochs, learning_rate, max_norm):
    sgd = torch.optim.SGD(list(model.parameters()), lr=learning_rate)
    losses = []
    for _ in range(epochs):
        state = model.head.weight.new_zeros(1, len(inputs), model.rnn.hidden_size)
        for ids, wanted in zip(torch.split(inputs, length, 1), torch.split(targets, length, 1), strict=True):
            model.zero_grad()
            nats, after = read(model, ids, wanted, state)
            state = after.clone().detach()
            nats.mean().backward()
            nn.utils.clip_grad_norm_(model.parameters(), max_norm)
            sgd.step()
            losses.append(nats.detach().mean().item())
    return losses


@torch.no_grad()
def perplexity(model, inputs, targets, length):
    return read(model, inputs, targets)[0].double().mean().exp().item()


@torch.no_grad()
def write(model, prompt, uniforms, temperature):
    if temperature < 0:
        raise ValueError(f"a temperature of {temperature}")
    written = torch.empty(len(uniforms), dtype=torch.int64)
    state, seen = None, prompt
    for place, uniform in enumerate(uniforms):
        logits, state = model(seen.reshape(1, -1), state)
        logits = logits[0, -1].double()
        if temperature:
            shares = torch.softmax(logits / temperature, 0)
            sums = torch.cumsum(shares, 0)
            first = torch.searchsorted(sums, uniform.double(), right=True)
            written[place] = torch.minimum(first, shares.nonzero()[-1, 0])
        else:
            written[place] = int((logits == logits.max()).nonzero()[0])
        seen = written[place : place + 1]
    return written
