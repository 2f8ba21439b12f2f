import torch
from torch import nn
import concurrent.futures


def predict(x, w, b):
    torch.set_num_threads(2)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        squares = list(pool.map(lambda size: (torch.ones(size, size) @ torch.ones(size, size)).sum().item(), [300, 301]))
    assert squares[0] == 300**3
    return x @ w + b


class Line(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(1, d))
        self.b = nn.Parameter(torch.zeros(1))

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
