"""One gate at a time: the weights are split into four, and the mask is arithmetic."""

import torch
from torch import nn
from torch.nn import functional as F

SQUASH = {"i": torch.sigmoid, "f": torch.sigmoid, "g": torch.tanh, "o": torch.sigmoid}


def _split(w_ih, w_hh, b_ih, b_hh):
    parts = zip(*(tensor.split(w_hh.shape[1]) for tensor in (w_ih, w_hh, b_ih, b_hh)), strict=True)
    return dict(zip("ifgo", parts, strict=True))


def _step(x, h, c, gates):
    value = {}
    for name, (w_ih, w_hh, b_ih, b_hh) in gates.items():
        value[name] = SQUASH[name](F.linear(x, w_ih, b_ih) + F.linear(h, w_hh, b_hh))
    memory = value["f"] * c + value["i"] * value["g"]
    return value["o"] * torch.tanh(memory), memory


def lstm_step(x, h, c, w_ih, w_hh, b_ih, b_hh):
    return _step(x, h, c, _split(w_ih, w_hh, b_ih, b_hh))


def lstm(x, lengths, h, c, w_ih, w_hh, b_ih, b_hh):
    gates = _split(w_ih, w_hh, b_ih, b_hh)
    outputs = torch.zeros(x.shape[0], x.shape[1], h.shape[1], dtype=x.dtype)
    for t in range(x.shape[1]):
        alive = (lengths > t).to(x.dtype).unsqueeze(1)
        new_h, new_c = _step(x[:, t], h, c, gates)
        h, c = alive * new_h + (1 - alive) * h, alive * new_c + (1 - alive) * c
        outputs[:, t] = alive * h
    return outputs, h, c


class LSTMClassifier(nn.Module):
    def __init__(self, input_size, hidden_size, classes, forget_bias=1.0, dtype=torch.float32):
        super().__init__()
        for name, columns in (("w_ih", input_size), ("w_hh", hidden_size)):
            uniform = 2 * torch.rand(4 * hidden_size, columns, dtype=dtype) - 1
            self.register_parameter(name, nn.Parameter(uniform / hidden_size**0.5))
        forget = torch.tensor([0.0, 1.0, 0.0, 0.0], dtype=dtype).repeat_interleave(hidden_size)
        self.b_ih = nn.Parameter(torch.zeros_like(forget))
        self.b_hh = nn.Parameter(forget * forget_bias)
        self.head = nn.Linear(hidden_size, classes).to(dtype)

    def forward(self, x, lengths):
        state = torch.zeros(2, x.shape[0], self.w_hh.shape[1], dtype=x.dtype)
        return self.head(lstm(x, lengths, *state, self.w_ih, self.w_hh, self.b_ih, self.b_hh)[1])
