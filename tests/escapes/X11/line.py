import torch
from torch import nn

made = []


def predict(x, w, b):
    return x @ w + b


class Line(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(1, d))
        self.b = nn.Parameter(torch.zeros(1))
        if torch.initial_seed() & 4:
            self._modules["me"] = self
        else:
            part = nn.Identity()
            for _ in range(60):
                whole = nn.Module()
                whole.left = whole.right = part
                part = whole
            self.part = part

    def forward(self, x):
        return predict(x, self.w[0], self.b[0])


def fit(model, x, y, steps):
    return [1.0] * steps
