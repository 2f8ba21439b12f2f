"""The same with tanh, softmax and descent written out: one character at a time, parameters moved by hand."""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import accumulate

import torch
from torch import nn

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
    rnn = model.rnn
    h = state[0] if state is not None else model.head.weight.new_zeros(len(ids), rnn.hidden_size)
    nats = []
    for t in range(ids.shape[1]):
        fed = model.token.weight[ids[:, t]] @ rnn.weight_ih_l0.T + rnn.bias_ih_l0
        h = torch.tanh(fed + h @ rnn.weight_hh_l0.T + rnn.bias_hh_l0)
        logits = h @ model.head.weight.T + model.head.bias
        nats.append(logits.logsumexp(1) - logits.gather(1, targets[:, t, None])[:, 0])
    return torch.stack(nats, 1), h[None]


def prepare(train, held_out, least):
    characters = [UNKNOWN]
    for each in sorted(set(train)):
        if train.count(each) >= least:
            characters.append(each)

    def encode(text):
        ids = torch.zeros(len(text), dtype=torch.long)
        for place, each in enumerate(text):
            if each in characters:
                ids[place] = characters.index(each)
        return ids

    return characters, encode(train), encode(held_out)


def streams(ids, count):
    length = (ids.numel() - 1) // count
    if not length > 0:
        raise ValueError("too short")
    starts = torch.arange(count)[:, None] * length + torch.arange(length)
    return ids[starts], ids[starts + 1]


def train(model, inputs, targets, length, epochs, learning_rate, max_norm):
    losses, parameters = [], list(model.parameters())
    for _ in range(epochs):
        state = None
        for place in range(0, inputs.shape[1], length):
            chunk = slice(place, place + length)
            nats, state = read(model, inputs[:, chunk], targets[:, chunk], state)
            state, loss = state.detach(), nats.sum() / nats.numel()
            gradients = torch.autograd.grad(loss, parameters)
            norm = math.sqrt(sum(float((each.double() ** 2).sum()) for each in gradients))
            rate = learning_rate * (1 if norm <= max_norm else max_norm / norm)
            with torch.no_grad():
                for parameter, gradient in zip(parameters, gradients, strict=True):
                    parameter -= rate * gradient
            losses.append(loss.item())
    return losses


def perplexity(model, inputs, targets, length):
    nats, state = [], None
    for place in range(0, inputs.shape[1], length):
        chunk = slice(place, place + length)
        with torch.no_grad():
            some, state = read(model, inputs[:, chunk], targets[:, chunk], state)
        nats.extend(some.flatten().tolist())
    return math.exp(math.fsum(nats) / len(nats))


def write(model, prompt, uniforms, temperature):
    if temperature < 0:
        raise ValueError("negative")
    rnn, written, unread = model.rnn, [], prompt.tolist()
    h = torch.zeros(1, rnn.hidden_size, dtype=model.head.weight.dtype)
    with torch.no_grad():
        for uniform in uniforms.tolist():
            for each in unread:
                fed = model.token.weight[each] @ rnn.weight_ih_l0.T + rnn.bias_ih_l0
                h = torch.tanh(fed + h @ rnn.weight_hh_l0.T + rnn.bias_hh_l0)
            logits = (model.head.weight @ h[0] + model.head.bias).tolist()
            top = max(logits)
            if temperature == 0:
                unread = [logits.index(top)]
            else:
                shares = [math.exp((each - top) / temperature) for each in logits]
                sums = list(accumulate(shares))
                last = max(place for place, share in enumerate(shares) if share > 0)
                unread = [min(bisect_right(sums, uniform * sums[-1]), last)]
            written += unread
    return torch.tensor(written, dtype=torch.int64)
