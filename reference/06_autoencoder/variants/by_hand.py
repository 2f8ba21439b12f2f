"""The same autoencoder in small steps: layers of its own, PCA from the covariance matrix, and Adam written out."""

from __future__ import annotations

import torch
from torch import nn


def reconstruction_loss(output, x):
    total = 0.0
    for pixel in range(x.shape[1]):
        total = total + (output[:, pixel] - x[:, pixel]).square().mean()
    return total


def explained_variance(output, x, mean):
    left = torch.einsum("nd,nd->", output - x, output - x)
    whole = torch.einsum("nd,nd->", x - mean, x - mean)
    return (whole - left) / whole


class Layer(nn.Module):
    def __init__(self, inputs, outputs, dtype):
        super().__init__()
        bound = inputs**-0.5
        self.weight = nn.Parameter((2 * torch.rand(outputs, inputs, dtype=dtype) - 1) * bound)
        self.bias = nn.Parameter((2 * torch.rand(outputs, dtype=dtype) - 1) * bound)

    def forward(self, value):
        return torch.einsum("ni,oi->no", value, self.weight) + self.bias


class Autoencoder(nn.Module):
    def __init__(self, sizes, dtype=torch.float32):
        super().__init__()
        down, up = [], []
        for i in range(len(sizes) - 1):
            down.append(Layer(sizes[i], sizes[i + 1], dtype))
            up.insert(0, Layer(sizes[i + 1], sizes[i], dtype))
        self.decoder, self.encoder = nn.ModuleList(up), nn.ModuleList(down)

    @staticmethod
    def _run(layers, value):
        for i, layer in enumerate(layers):
            if i:
                value = torch.tanh(value)
            value = layer(value)
        return value

    def encode(self, x):
        return self._run(self.encoder, x)

    def decode(self, code):
        return self._run(self.decoder, code)

    def forward(self, x):
        return self.decode(self.encode(x))


def pca_autoencoder(images, code_size):
    exact = images.double()
    centre = exact.sum(0) / len(exact)
    _, vectors = torch.linalg.eigh((exact - centre).T @ (exact - centre))
    directions = vectors[:, -code_size:].flip(1).T
    model = Autoencoder([images.shape[1], code_size], images.dtype)
    with torch.no_grad():
        model.encoder[0].weight.copy_(directions)
        model.encoder[0].bias.copy_(-(directions * centre).sum(1))
        model.decoder[0].weight.copy_(directions.T)
        model.decoder[0].bias.copy_(centre)
    return model


def fit(model, images, batches, learning_rates):
    parameters = list(model.parameters())
    first = [torch.zeros_like(p) for p in parameters]
    second = [torch.zeros_like(p) for p in parameters]
    losses = []
    for step in range(1, len(batches) + 1):
        x = images[batches[step - 1]]
        loss = reconstruction_loss(model(x), x)
        gradients = torch.autograd.grad(loss, parameters)
        losses.append(loss.item())
        with torch.no_grad():
            for p, gradient, m, v in zip(parameters, gradients, first, second, strict=True):
                m.mul_(0.9).add_(gradient, alpha=0.1)
                v.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
                scale = (v / (1 - 0.999**step)).sqrt().add_(1e-8)
                p.sub_(learning_rates[step - 1] * (m / (1 - 0.9**step)) / scale)
    return losses
