"""One gate at a time, plain loops over indices, and results written into tensors made beforehand."""

import torch
from torch import nn
from torch.nn import functional as F


def scale(series, cut):
    level = sum(series[:cut].tolist()) / cut
    changes = [(series[t] - series[t - 1]).item() for t in range(1, cut)]
    mean = sum(changes) / len(changes)
    unit = (sum((change - mean) ** 2 for change in changes) / len(changes)) ** 0.5
    return series.sub(level).div(unit), level, unit


def windows(series, steps, horizon, start, stop):
    x, y = [], []
    for first in range(start, stop):
        if first >= steps and first + horizon <= stop:
            x.append(series[first - steps : first])
            y.append(series[first : first + horizon])
    return torch.stack(x), torch.stack(y)


def seasonal_naive(x, horizon, period):
    known = x
    for _ in range(horizon):
        known = torch.cat([known, known[:, -period].unsqueeze(1)], dim=1)
    return known[:, x.shape[1] :]


def gru_step(x, h, w_ih, w_hh, b_ih, b_hh):
    size = h.shape[1]
    rows = [slice(gate * size, (gate + 1) * size) for gate in range(3)]
    r, z, n = (F.linear(x, w_ih[part], b_ih[part]) for part in rows)
    h_r, h_z, h_n = (F.linear(h, w_hh[part], b_hh[part]) for part in rows)
    n = torch.tanh(n + torch.sigmoid(r + h_r) * h_n)
    return n + torch.sigmoid(z + h_z) * (h - n)


def gru(x, h, w_ih, w_hh, b_ih, b_hh):
    outputs = torch.zeros(x.shape[0], x.shape[1], h.shape[1], dtype=x.dtype)
    for t in range(x.shape[1]):
        h = gru_step(x[:, t, :], h, w_ih, w_hh, b_ih, b_hh)
        outputs[:, t, :] = h
    return outputs, h


class GRUForecaster(nn.Module):
    def __init__(self, hidden_size, dtype=torch.float32):
        super().__init__()
        for name, shape in {"w_ih": (3 * hidden_size, 1), "w_hh": (3 * hidden_size, hidden_size)}.items():
            self.register_parameter(name, nn.Parameter(torch.zeros(shape, dtype=dtype)))
        self.b_ih, self.b_hh = (nn.Parameter(torch.zeros(3 * hidden_size, dtype=dtype)) for _ in range(2))
        self.head = nn.Linear(hidden_size, 1).to(dtype)
        for weight in self.parameters():
            nn.init.uniform_(weight, -(hidden_size**-0.5), hidden_size**-0.5)

    def forward(self, x, horizon):
        weights = self.w_ih, self.w_hh, self.b_ih, self.b_hh
        last = x[:, x.shape[1] - 1]
        h = torch.zeros(x.shape[0], self.w_hh.shape[1], dtype=x.dtype)
        for t in range(x.shape[1]):
            h = gru_step((x[:, t] - last).unsqueeze(1), h, *weights)
        steps = []
        for k in range(horizon):
            steps.append((steps[-1] if steps else last) + self.head(h).squeeze(1))
            if k + 1 < horizon:
                h = gru_step((steps[-1] - last).unsqueeze(1), h, *weights)
        return torch.stack(steps, dim=1)

    def loss(self, x, y):
        return F.mse_loss(self.forward(x, y.shape[1]), y)
