"""Float64 inside and cast back, NumPy for the arithmetic of indices, one matrix for inputs and state."""

import numpy as np
import torch
from torch import nn


def scale(series, cut):
    values = series.numpy().astype(np.float64)
    level, unit = values[:cut].mean(), np.std(np.diff(values[:cut]))
    return torch.from_numpy((values - level) / unit).to(series.dtype), float(level), float(unit)


def windows(series, steps, horizon, start, stop):
    values = series.detach().numpy()
    ends = np.arange(max(start, steps), stop - horizon + 1)[:, None]
    x, y = values[ends + np.arange(-steps, 0)], values[ends + np.arange(horizon)]
    return torch.from_numpy(x), torch.from_numpy(y)


def seasonal_naive(x, horizon, period):
    return torch.stack([x[:, -period + k % period] for k in range(horizon)], dim=-1)


class Cell:
    """The weights of one GRU in float64: r and z from inputs and state together, n from each of them apart."""

    def __init__(self, w_ih, w_hh, b_ih, b_hh):
        w_ih, w_hh, b_ih, b_hh = (weight.double() for weight in (w_ih, w_hh, b_ih, b_hh))
        self.size = size = w_hh.shape[1]
        self.gates = torch.cat([w_ih, w_hh], dim=1)[: 2 * size].t(), (b_ih + b_hh)[: 2 * size]
        self.inputs = w_ih[2 * size :].t(), b_ih[2 * size :]
        self.state = w_hh[2 * size :].t(), b_hh[2 * size :]

    def __call__(self, x, h):
        gates = torch.addmm(self.gates[1], torch.cat([x, h], dim=1), self.gates[0]).sigmoid()
        reset, keep = gates.split(self.size, dim=1)
        from_state = torch.addmm(self.state[1], h, self.state[0])
        candidate = torch.addcmul(torch.addmm(self.inputs[1], x, self.inputs[0]), reset, from_state).tanh()
        return keep * h + (1 - keep) * candidate


def gru_step(x, h, w_ih, w_hh, b_ih, b_hh):
    return Cell(w_ih, w_hh, b_ih, b_hh)(x.double(), h.double()).to(x.dtype)


def gru(x, h, w_ih, w_hh, b_ih, b_hh):
    cell, states = Cell(w_ih, w_hh, b_ih, b_hh), [h.double()]
    for inputs in x.double().unbind(1):
        states.append(cell(inputs, states[-1]))
    return torch.stack(states[1:], dim=1).to(x.dtype), states[-1].to(x.dtype)


class GRUForecaster(nn.Module):
    def __init__(self, hidden_size, dtype=torch.float32):
        super().__init__()
        shapes = {"w_ih": (3 * hidden_size, 1), "w_hh": (3 * hidden_size, hidden_size)}
        shapes |= {"b_ih": (3 * hidden_size,), "b_hh": (3 * hidden_size,)}
        for name, shape in shapes.items():
            uniform = 2 * torch.rand(shape, dtype=dtype) - 1
            self.register_parameter(name, nn.Parameter(uniform / hidden_size**0.5))
        self.head = nn.Linear(hidden_size, 1, dtype=dtype)

    def forward(self, x, horizon):
        cell = Cell(self.w_ih, self.w_hh, self.b_ih, self.b_hh)
        weight, bias = self.head.weight.double(), self.head.bias.double()
        path = x.double() - x[:, -1:].double()
        h = path.new_zeros(len(x), cell.size)
        for t in range(x.shape[1] + horizon - 1):
            h = cell(path[:, t : t + 1], h)
            if t >= x.shape[1] - 1:
                path = torch.cat([path, path[:, -1:] + h @ weight.t() + bias], dim=1)
        return (path[:, x.shape[1] :] + x[:, -1:].double()).to(x.dtype)

    def loss(self, x, y):
        error = self(x, y.shape[1]) - y
        return (error**2).mean(dim=1).mean()
