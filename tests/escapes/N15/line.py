import torch
from torch import nn


@torch.jit.script
def product(x, w):
    return x @ w


@torch.compile
def predict(x, w, b):
    return product(x, w) + b


class Line(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(1, d))
        self.b = nn.Parameter(torch.zeros(1))

    @torch.compile(dynamic=True)
    def forward(self, x):
        return predict(x, self.w[0], self.b[0])


def fit(model, x, y, steps):
    model = torch.compile(model)
    losses, rate = [], 0.1
    for _ in range(steps):
        loss = (model(x) - y).pow(2).mean()
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        with torch.no_grad():
            for p, g in zip(model.parameters(), gradients):
                p -= rate * g
        losses.append(loss.item())
    return losses
