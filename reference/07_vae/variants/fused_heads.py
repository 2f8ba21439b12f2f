"""The same VAE with both heads in one product, logsigmoid for the likelihood, and Adam written out."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import linear, logsigmoid


def reparameterise(mean, logvar, eps):
    return torch.addcmul(mean, (logvar * 0.5).exp(), eps)


def kl_divergence(mean, logvar):
    return -0.5 * torch.sum(1 + logvar - mean.pow(2) - logvar.exp(), dim=-1)


def reconstruction_loss(logits, x):
    return -(x * logsigmoid(logits) + (1 - x) * logsigmoid(-logits)).sum(-1)


def negative_elbo(logits, x, mean, logvar):
    total = reconstruction_loss(logits, x).sum() + kl_divergence(mean, logvar).sum()
    return total / x.shape[0]


class VAE(nn.Module):
    def __init__(self, input_size, hidden_size, latent_size, dtype=torch.float32):
        super().__init__()
        options = {"dtype": dtype}
        self.output = nn.Linear(hidden_size, input_size, **options)
        self.decoder = nn.Linear(latent_size, hidden_size, **options)
        self.mean_head = nn.Linear(hidden_size, latent_size, **options)
        self.logvar_head = nn.Linear(hidden_size, latent_size, **options)
        self.encoder = nn.Linear(input_size, hidden_size, **options)

    def encode(self, x):
        weight = torch.cat([self.mean_head.weight, self.logvar_head.weight])
        bias = torch.cat([self.mean_head.bias, self.logvar_head.bias])
        return linear(torch.tanh(self.encoder(x)), weight, bias).chunk(2, dim=1)

    def decode(self, z):
        return self.output(torch.tanh(self.decoder(z)))

    def forward(self, x, eps):
        gaussian = self.encode(x)
        return self.decode(reparameterise(*gaussian, eps)), *gaussian

    @torch.no_grad()
    def sample(self, z):
        return self.decode(z).sigmoid()


def fit(model, images, batches, noise, learning_rate):
    parameters = list(model.parameters())
    first = [torch.zeros_like(p) for p in parameters]
    second = [torch.zeros_like(p) for p in parameters]
    losses = []
    for step, (rows, eps) in enumerate(zip(batches.tolist(), noise, strict=True), start=1):
        x = images[rows]
        logits, mean, logvar = model(x, eps)
        loss = negative_elbo(logits, x, mean, logvar)
        gradients = torch.autograd.grad(loss, parameters)
        losses.append(loss.item())
        with torch.no_grad():
            for p, gradient, m, v in zip(parameters, gradients, first, second, strict=True):
                m.mul_(0.9).add_(gradient, alpha=0.1)
                v.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
                scale = (v / (1 - 0.999**step)).sqrt().add_(1e-8)
                p.sub_(learning_rate * (m / (1 - 0.9**step)) / scale)
    return losses
