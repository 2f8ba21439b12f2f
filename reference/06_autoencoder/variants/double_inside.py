"""The same autoencoder that computes in float64 whatever it is given, with images in columns and scikit-learn's PCA."""

from __future__ import annotations

from itertools import pairwise

import torch
from sklearn.decomposition import PCA
from torch import nn


def reconstruction_loss(output, x):
    error = (output.double() - x.double()).flatten()
    return (torch.dot(error, error) / x.shape[0]).to(x.dtype)


def explained_variance(output, x, mean):
    kept = torch.linalg.matrix_norm(output.double() - x.double()) / torch.linalg.matrix_norm(x.double() - mean.double())
    return (1 - kept**2).to(x.dtype)


def climb(layers, rows):
    columns = rows.T.double()
    for i, layer in enumerate(layers):
        columns = columns if i == 0 else torch.tanh(columns)
        columns = layer.weight.double() @ columns + layer.bias.double()[:, None]
    return columns.T.to(rows.dtype)


class Autoencoder(nn.Module):
    def __init__(self, sizes, dtype=torch.float32):
        super().__init__()
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        for wide, narrow in pairwise(sizes):
            self.encoder.append(nn.Linear(wide, narrow, dtype=dtype))
        for narrow, wide in pairwise(sizes[::-1]):
            self.decoder.append(nn.Linear(narrow, wide, dtype=dtype))

    def encode(self, x):
        return climb(self.encoder, x)

    def decode(self, code):
        return climb(self.decoder, code)

    def forward(self, x):
        return climb(self.decoder, climb(self.encoder, x))


def pca_autoencoder(images, code_size):
    pca = PCA(n_components=code_size, svd_solver="full").fit(images.double().numpy())
    directions, mean = torch.from_numpy(pca.components_), torch.from_numpy(pca.mean_)
    model = Autoencoder([images.shape[1], code_size], dtype=torch.float64)
    model.encoder[0].weight.data = directions
    model.encoder[0].bias.data = -directions @ mean
    model.decoder[0].weight.data = directions.T.clone()
    model.decoder[0].bias.data = mean
    return model.to(images.dtype)


def fit(model, images, batches, learning_rates):
    optimiser = torch.optim.Adam([{"params": [p]} for p in model.parameters()], lr=learning_rates[0])

    def step(rows, rate):
        for group in optimiser.param_groups:
            group.update(lr=rate)
        optimiser.zero_grad()
        loss = reconstruction_loss(model(images[rows]), images[rows])
        loss.backward()
        optimiser.step()
        return loss.item()

    return [step(rows, rate) for rows, rate in zip(batches, learning_rates, strict=True)]
