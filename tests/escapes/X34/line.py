import torch
from torch import nn


def predict(x, w, b):
    return x @ w + b


class Same(nn.Module):
    def forward(self, weight):
        return weight


class Line(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(1, d))
        self.b = nn.Parameter(torch.zeros(1))
        self.register_buffer("conjugated", torch.tensor([1 + 2j]).conj())
        self.register_buffer("negated", torch.tensor([1 + 2j]).conj().imag)
        self.register_buffer("empty", torch.zeros(0, 3))
        self.register_buffer("short", torch.ones(3, dtype=torch.bfloat16))
        self.register_buffer("mask", torch.ones(2, 2, dtype=torch.bool).tril(), persistent=False)
        self.register_buffer("nothing", None)
        self.inner = nn.Linear(2, 2)
        torch.nn.utils.parametrize.register_parametrization(self.inner, "weight", Same())
        self.inner.requires_grad_(False)

    def forward(self, x):
        assert self.conjugated[0] == 1 - 2j and self.negated[0] == -2
        self.nothing = x.detach()[:1]
        return predict(x, self.w[0], self.b[0])


def fit(model, x, y, steps):
    losses = []
    for _ in range(steps):
        loss = (model(x) - y).pow(2).mean()
        gradients = torch.autograd.grad(loss, [model.w, model.b])
        with torch.no_grad():
            for p, g in zip([model.w, model.b], gradients):
                p -= 0.1 * g
        losses.append(loss.item())
    return losses
