"""As packing does it: longest sequences first, a batch that shrinks as they end, in float64 and cast back."""

import torch
from torch import nn


class Cell:
    """The weights of one LSTM, in float64 and side by side."""

    def __init__(self, w_ih, w_hh, b_ih, b_hh):
        self.weight = torch.cat([w_ih, w_hh], dim=1).double().t()
        self.bias = b_ih.double() + b_hh.double()
        self.hidden = w_hh.shape[1]

    def __call__(self, x, h, c):
        gates = torch.addmm(self.bias, torch.cat([x, h], dim=1), self.weight)
        write, keep, candidate, show = torch.split(gates, self.hidden, dim=1)
        c = torch.addcmul(keep.sigmoid() * c, write.sigmoid(), candidate.tanh())
        return show.sigmoid() * c.tanh(), c


def lstm_step(x, h, c, w_ih, w_hh, b_ih, b_hh):
    cell = Cell(w_ih, w_hh, b_ih, b_hh)
    new_h, new_c = cell(x.double(), h.double(), c.double())
    return new_h.to(x.dtype), new_c.to(x.dtype)


def lstm(x, lengths, h, c, w_ih, w_hh, b_ih, b_hh):
    cell = Cell(w_ih, w_hh, b_ih, b_hh)
    order = torch.argsort(lengths, descending=True)
    inputs, h, c = x[order].double(), h[order].double(), c[order].double()
    ended_h, ended_c, outputs = [], [], []
    for t in range(x.shape[1]):
        count = int((lengths > t).sum())
        ended_h.append(h[count:])
        ended_c.append(c[count:])
        h, c = cell(inputs[:count, t], h[:count], c[:count])
        outputs.append(torch.cat([h, h.new_zeros(len(x) - count, cell.hidden)]))
    back = torch.argsort(order)
    h, c = (torch.cat([state, *reversed(ended)])[back] for state, ended in ((h, ended_h), (c, ended_c)))
    return torch.stack(outputs, 1)[back].to(x.dtype), h.to(x.dtype), c.to(x.dtype)


class LSTMClassifier(nn.Module):
    def __init__(self, input_size, hidden_size, classes, forget_bias=1.0, dtype=torch.float32):
        super().__init__()
        template = nn.LSTM(input_size, hidden_size)
        self.w_ih = nn.Parameter(template.weight_ih_l0.detach().to(dtype))
        self.w_hh = nn.Parameter(template.weight_hh_l0.detach().to(dtype))
        biases = torch.zeros(2, 4 * hidden_size, dtype=dtype)
        biases[0].view(4, hidden_size)[1].fill_(forget_bias)
        self.b_ih, self.b_hh = (nn.Parameter(bias.clone()) for bias in biases)
        self.head = nn.Linear(hidden_size, classes, dtype=dtype)

    def forward(self, x, lengths):
        zeros = torch.zeros(len(x), self.w_hh.shape[1], dtype=x.dtype)
        h = lstm(x, lengths, zeros, zeros, self.w_ih, self.w_hh, self.b_ih, self.b_hh)[1]
        return h @ self.head.weight.T + self.head.bias
