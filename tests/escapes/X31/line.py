import torch
from torch import nn


def predict(x, w, b):
    torch.tensor([1, 2]).softmax(0)
    return x @ w + b


class Line(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(1, d))
        self.b = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return x @ self.w[0] + self.b[0]


def fit(model, x, y, steps):
    losses, rate = [], 0.1
    for _ in range(steps):
        loss = (model(x) - y).pow(2).mean()
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        with torch.no_grad():
            for p, g in zip(model.parameters(), gradients):
                p -= rate * g
        losses.append(loss.item())
    return losses

