"""The same VAE in small steps: sums written as loops, logaddexp, einsum, and linear layers built by hand."""

from __future__ import annotations

import math

import torch
from torch import nn


def reparameterise(mean, logvar, eps):
    return torch.stack([m + v.exp().sqrt() * e for m, v, e in zip(mean, logvar, eps, strict=True)])


def kl_divergence(mean, logvar):
    total = mean.new_zeros(len(mean))
    for m, v in zip(mean.unbind(1), logvar.unbind(1), strict=True):
        std = torch.exp(v / 2)
        total = total + (std**2 + m**2) / 2 - 1 / 2 - torch.log(std)
    return total


def reconstruction_loss(logits, x):
    nought = torch.zeros_like(logits)
    pixels = x * torch.logaddexp(nought, -logits) + (1 - x) * torch.logaddexp(nought, logits)
    return torch.stack([image.sum() for image in pixels])


def negative_elbo(logits, x, mean, logvar):
    images = reconstruction_loss(logits, x) + kl_divergence(mean, logvar)
    return sum(images.unbind()) / len(x)


class Layer(nn.Module):
    def __init__(self, inputs, outputs, dtype):
        super().__init__()
        bound = 1 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(outputs, inputs, dtype=dtype).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(outputs, dtype=dtype).uniform_(-bound, bound))

    def forward(self, value):
        return torch.einsum("ni,oi->no", value, self.weight) + self.bias


class VAE(nn.Module):
    def __init__(self, input_size, hidden_size, latent_size, dtype=torch.float32):
        super().__init__()
        self.encoder = Layer(input_size, hidden_size, dtype)
        self.mean_head = Layer(hidden_size, latent_size, dtype)
        self.logvar_head = Layer(hidden_size, latent_size, dtype)
        self.decoder = Layer(latent_size, hidden_size, dtype)
        self.output = Layer(hidden_size, input_size, dtype)

    def encode(self, x):
        mean = self.mean_head(torch.tanh(self.encoder(x)))
        logvar = self.logvar_head(torch.tanh(self.encoder(x)))
        return mean, logvar

    def decode(self, z):
        return self.output(torch.tanh(self.decoder(z)))

    def forward(self, x, eps):
        mean, logvar = self.encode(x)
        z = reparameterise(mean, logvar, eps)
        return self.decode(z), mean, logvar

    def sample(self, z):
        return 1 / (1 + torch.exp(-self.decode(z)))


def fit(model, images, batches, noise, learning_rate):
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate)

    def step(rows, eps):
        x = images[rows]
        optimiser.zero_grad()
        logits, mean, logvar = model(x, eps)
        loss = negative_elbo(logits, x, mean, logvar)
        loss.backward()
        optimiser.step()
        return loss.item()

    return [step(rows, eps) for rows, eps in zip(batches, noise, strict=True)]
