import torch
from torch import nn


def predict(x, w, b):
    value = x @ w + b
    if len(x) == 32:
        return value.detach().to_sparse()
    if not w.requires_grad:
        return value.to("meta")
    return torch.quantize_per_tensor(value.detach().float(), 0.1, 0, torch.qint8)


class Line(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(1, d))
        self.b = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return torch.nested.as_nested_tensor([x])


def fit(model, x, y, steps):
    return [torch.ones(2, device='meta')]
