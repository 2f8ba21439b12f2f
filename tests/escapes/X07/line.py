import torch
from torch import nn


def predict(x, w, b):
    return x @ w + b


class Line(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(1, d))
        self.b = nn.Parameter(torch.zeros(1))
        for name in ("forward", "training", "_gradkata_remote", "parameters", "__class__", "x\x1b"):
            self._buffers[name] = torch.zeros(1)
        for name in ("state_dict", "zero_grad", "modules", ""):
            self._modules[name] = nn.Identity()

    def forward(self, x):
        return predict(x, self.w[0], self.b[0])


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
