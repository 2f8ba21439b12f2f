"""The same model that computes in float64 whatever it is given, both heads in one product, a plane for every walk."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


def bernoulli_log_likelihood(logits, x):
    signed = (1 - 2 * x.double()) * logits.double()
    largest = signed.clamp(min=0)
    pixels = largest + torch.log1p(torch.exp(-signed.abs()))
    return -torch.einsum("nchw->n", pixels).to(logits.dtype)


def beta_loss(logits, x, mean, logvar, beta):
    distortion = -bernoulli_log_likelihood(logits, x)
    m, v = mean.double(), logvar.double()
    rate = (torch.expm1(v) - v + m.square()).sum(-1).mul(0.5).to(mean.dtype)
    return torch.mean(distortion + rate * beta), distortion, rate


class ConvVAE(nn.Module):
    def __init__(self, image, channels, latent_size, dtype=torch.float32):
        super().__init__()
        self.maps = (channels[-1], image[1] / 2 ** len(channels), image[2] / 2 ** len(channels))
        if self.maps[1] != int(self.maps[1]) or self.maps[2] != int(self.maps[2]):
            raise ValueError("the maps would have half a row or column")
        self.maps = tuple(int(size) for size in self.maps)
        size = self.maps[0] * self.maps[1] * self.maps[2]
        options = {"kernel_size": 4, "dtype": dtype}
        self.project = nn.Linear(latent_size, size, dtype=dtype)
        self.mean_head, self.logvar_head = (nn.Linear(size, latent_size, dtype=dtype) for _ in range(2))
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        for read, written in zip([image[0], *channels[:-1]], channels, strict=True):
            self.encoder.append(nn.Conv2d(read, written, **options))
            self.decoder.insert(0, nn.ConvTranspose2d(written, read, **options))

    def encode(self, x):
        value = x.double()
        for layer in self.encoder:
            value = F.elu(F.conv2d(value, layer.weight.double(), layer.bias.double(), 2, 1))
        weight = torch.cat([self.mean_head.weight, self.logvar_head.weight]).double()
        bias = torch.cat([self.mean_head.bias, self.logvar_head.bias]).double()
        return F.linear(value.reshape(len(value), -1), weight, bias).to(x.dtype).chunk(2, dim=1)

    def draw(self, mean, logvar, eps):
        return (mean.double() + eps.double() * torch.pow(logvar.double().exp(), 0.5)).to(mean.dtype)

    def decode(self, z):
        value = F.linear(z.double(), self.project.weight.double(), self.project.bias.double()).reshape(-1, *self.maps)
        for layer in self.decoder:
            value = F.conv_transpose2d(F.elu(value), layer.weight.double(), layer.bias.double(), 2, 1)
        return value.to(z.dtype)

    def forward(self, x, eps):
        mean, logvar = self.encode(x)
        return self.decode(self.draw(mean, logvar, eps)), mean, logvar


def fit(model, images, batches, noise, betas, learning_rate):
    optimiser = torch.optim.Adam([{"params": [p]} for p in model.parameters()], lr=learning_rate)

    def step(rows, eps, beta):
        x = images[rows]
        optimiser.zero_grad()
        logits, mean, logvar = model(x, eps)
        loss = beta_loss(logits, x, mean, logvar, beta)[0]
        loss.backward()
        optimiser.step()
        return loss.item()

    return [step(*one) for one in zip(batches, noise, betas, strict=True)]


def log_likelihood(model, x, eps):
    mean, logvar = model.encode(x)
    z = torch.stack([model.draw(mean, logvar, noise) for noise in eps]).double()
    pixels = torch.stack([bernoulli_log_likelihood(model.decode(one.to(x.dtype)), x) for one in z]).double()
    weights = pixels - z.square().sum(2) / 2 + eps.double().square().sum(2) / 2 + logvar.double().sum(1) / 2
    largest = weights.amax(0)
    return (largest + (weights - largest).exp().mean(0).log()).to(x.dtype)


def interpolate(start, end, points):
    first, last = start.double(), end.double()
    t = torch.arange(points, dtype=torch.float64)[:, None] / (points - 1)
    along = first / first.norm()
    away = last - (last @ along) * along
    if away.norm() <= 1e-9 * last.norm():
        return (first + t * (last - first)).to(start.dtype)
    angle = torch.atan2(away.norm(), last @ along)
    away = away / away.norm()
    direction = torch.cos(angle) * along + torch.sin(angle) * away
    path = first.norm() * torch.sin((1 - t) * angle) * along + last.norm() * torch.sin(t * angle) * direction
    return (path / torch.sin(angle)).to(start.dtype)
