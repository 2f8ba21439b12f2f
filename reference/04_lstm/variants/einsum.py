"""Fused: one einsum projects all steps at once, the loop never looks at the lengths, and the ends are gathered."""

import math

import torch
from torch import nn


def _advance(projected, h, c, w_hh):
    gates = projected + torch.einsum("nh,ghk->ngk", h, w_hh)
    squashed = gates[:, [0, 1, 3]].sigmoid()
    c = squashed[:, 1] * c + squashed[:, 0] * gates[:, 2].tanh()
    return squashed[:, 2] * c.tanh(), c


def _per_gate(w_ih, w_hh, b_ih, b_hh):
    size = w_hh.shape[1]
    inputs = w_ih.reshape(4, size, -1)
    return inputs, w_hh.reshape(4, size, size).transpose(1, 2), (b_ih + b_hh).reshape(4, size)


def lstm_step(x, h, c, w_ih, w_hh, b_ih, b_hh):
    w_ih, w_hh, bias = _per_gate(w_ih, w_hh, b_ih, b_hh)
    return _advance(torch.einsum("nd,ghd->ngh", x, w_ih) + bias, h, c, w_hh)


def lstm(x, lengths, h, c, w_ih, w_hh, b_ih, b_hh):
    w_ih, w_hh, bias = _per_gate(w_ih, w_hh, b_ih, b_hh)
    shown, kept = [], []
    for projected in (torch.einsum("ntd,ghd->ntgh", x, w_ih) + bias).unbind(1):
        h, c = _advance(projected, h, c, w_hh)
        shown.append(h)
        kept.append(c)
    outputs, cells = torch.stack(shown, 1), torch.stack(kept, 1)
    last = (lengths - 1).view(-1, 1, 1).expand(-1, 1, h.shape[1])
    padding = torch.arange(x.shape[1]) >= lengths.unsqueeze(1)
    return outputs.masked_fill(padding.unsqueeze(2), 0), outputs.gather(1, last)[:, 0], cells.gather(1, last)[:, 0]


class LSTMClassifier(nn.Module):
    def __init__(self, input_size, hidden_size, classes, forget_bias=1.0, dtype=torch.float32):
        super().__init__()
        self.head = nn.Linear(hidden_size, classes, dtype=dtype)
        self.b_hh = nn.Parameter(torch.zeros(4, hidden_size, dtype=dtype).view(-1))
        self.b_ih = nn.Parameter(torch.zeros(4 * hidden_size, dtype=dtype))
        self.w_hh = nn.Parameter(torch.zeros(4 * hidden_size, hidden_size, dtype=dtype))
        self.w_ih = nn.Parameter(torch.zeros(4 * hidden_size, input_size, dtype=dtype))
        bound = 1 / math.sqrt(hidden_size)
        for weight in (self.w_hh, self.w_ih):
            nn.init.uniform_(weight, -bound, bound)
        with torch.no_grad():
            for bias in (self.b_ih, self.b_hh):
                bias[hidden_size : 2 * hidden_size] += forget_bias / 2

    def forward(self, x, lengths):
        zeros = torch.zeros(len(x), len(self.b_ih) // 4, dtype=x.dtype)
        outputs, _, _ = lstm(x, lengths, zeros, zeros, self.w_ih, self.w_hh, self.b_ih, self.b_hh)
        return self.head(outputs[torch.arange(len(x)), lengths - 1])
