import torch
from torch import nn


def predict(x, w, b):
    return x @ w + b


class Line(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(1, d))
        self.b = nn.Parameter(torch.zeros(1))
        self.register_buffer("large", torch.zeros(1).expand(1 << 40))

    def forward(self, x):
        return predict(x, self.w[0], self.b[0])


def fit(model, x, y, steps):
    return [1.0] * steps
