import torch
from torch import nn


def predict(x, w, b):
    return x @ w + b


class Line(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(1, d))
        self.b = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return predict(x, self.w[0], self.b[0])


def fit(model, x, y, steps):
    losses = []
    for _ in range(steps):
        given = x.clone().requires_grad_()
        loss = (model(given) - y).pow(2).mean()
        (slope,) = torch.autograd.grad(loss, given, create_graph=True)
        penalty = loss + 1e-3 * slope.pow(2).sum()
        gradients = torch.autograd.grad(penalty, list(model.parameters()))
        with torch.no_grad():
            for p, g in zip(model.parameters(), gradients):
                p -= 0.1 * g
        losses.append(penalty.item())
    return losses
