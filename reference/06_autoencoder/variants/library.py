"""The same autoencoder out of the library's parts: nn.Sequential, F.mse_loss, LambdaLR, and NumPy for the PCA."""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


def reconstruction_loss(output, x):
    return F.mse_loss(output, x, reduction="sum") / len(x)


def explained_variance(output, x, mean):
    return 1 - F.mse_loss(output, x) / F.mse_loss(mean.expand_as(x), x)


def stack(widths, dtype):
    modules = OrderedDict()
    for i, (inputs, outputs) in enumerate(pairwise(widths)):
        if i:
            modules[f"squash{i}"] = nn.Tanh()
        modules[str(i)] = nn.Linear(inputs, outputs).to(dtype)
    return nn.Sequential(modules)


class Autoencoder(nn.Module):
    def __init__(self, sizes, dtype=torch.float32):
        super().__init__()
        self.encoder = stack(sizes, dtype)
        self.decoder = stack(sizes[::-1], dtype)

    def encode(self, x):
        return self.encoder(x)

    def decode(self, code):
        return self.decoder(code)

    def forward(self, x):
        return self.decoder(self.encoder(x))


def pca_autoencoder(images, code_size):
    pixels = images.numpy()
    mean = pixels.mean(axis=0)
    right = np.linalg.svd(pixels - mean)[2][:code_size]
    model = Autoencoder([pixels.shape[1], code_size], dtype=images.dtype)
    for layer, weight, bias in ((model.encoder[0], right, -right @ mean), (model.decoder[0], right.T, mean)):
        layer.weight = nn.Parameter(torch.tensor(weight))
        layer.bias = nn.Parameter(torch.tensor(bias))
    return model


def fit(model, images, batches, learning_rates):
    model.train()
    optimiser = torch.optim.Adam(model.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: [*learning_rates, 0.0][step])
    losses = []
    for rows in batches:
        optimiser.zero_grad(set_to_none=False)
        x = images.index_select(0, rows)
        loss = reconstruction_loss(model(x), x)
        losses.append(float(loss.detach()))
        loss.backward()
        optimiser.step()
        schedule.step()
    return losses
