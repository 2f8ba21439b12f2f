"""The same model in small steps: convolutions as unfold and fold, probabilities pixel by pixel, and Adam written out."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn.functional import fold, unfold


def bernoulli_log_likelihood(logits, x):
    nought = torch.zeros_like(logits)
    pixels = -(x * torch.logaddexp(nought, -logits) + (1 - x) * torch.logaddexp(nought, logits))
    return torch.stack([image.sum() for image in pixels])


def beta_loss(logits, x, mean, logvar, beta):
    distortion = -1 * bernoulli_log_likelihood(logits, x)
    rate = mean.new_zeros(len(mean))
    for m, v in zip(mean.unbind(1), logvar.unbind(1), strict=True):
        std = torch.exp(v / 2)
        rate = rate + (std**2 + m**2) / 2 - 1 / 2 - torch.log(std)
    return sum((distortion + beta * rate).unbind()) / len(x), distortion, rate


def bend(value):
    return torch.where(value > 0, value, torch.expm1(value.clamp(max=0)))


class Layer(nn.Module):
    def __init__(self, shape, biases, dtype):
        super().__init__()
        bound = 1 / math.sqrt(math.prod(shape[1:]))
        self.weight = nn.Parameter(torch.empty(shape, dtype=dtype).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(biases, dtype=dtype).uniform_(-bound, bound))


class ConvVAE(nn.Module):
    def __init__(self, image, channels, latent_size, dtype=torch.float32):
        super().__init__()
        rows, columns, read = image[1], image[2], image[0]
        down, up = [], []
        for written in channels:
            if rows % 2 == 1 or columns % 2 == 1:
                raise ValueError("an odd number cannot be halved")
            down.append(Layer((written, read, 4, 4), written, dtype))
            up.insert(0, Layer((written, read, 4, 4), read, dtype))
            rows, columns, read = rows // 2, columns // 2, written
        self.maps = (read, rows, columns)
        size = read * rows * columns
        self.decoder, self.encoder = nn.ModuleList(up), nn.ModuleList(down)
        self.project = Layer((size, latent_size), size, dtype)
        self.logvar_head = Layer((latent_size, size), latent_size, dtype)
        self.mean_head = Layer((latent_size, size), latent_size, dtype)

    def encode(self, x):
        for layer in self.encoder:
            rows, columns = x.shape[2] // 2, x.shape[3] // 2
            x = torch.einsum("fk,nkp->nfp", layer.weight.flatten(1), unfold(x, 4, padding=1, stride=2))
            x = bend((x + layer.bias[:, None]).reshape(len(x), -1, rows, columns))
        maps = x.reshape(len(x), -1)
        return tuple(maps @ head.weight.T + head.bias for head in (self.mean_head, self.logvar_head))

    def draw(self, mean, logvar, eps):
        return torch.stack([m + v.exp().sqrt() * e for m, v, e in zip(mean, logvar, eps, strict=True)])

    def decode(self, z):
        x = (z @ self.project.weight.T + self.project.bias).reshape(len(z), *self.maps)
        for layer in self.decoder:
            size = (2 * x.shape[2], 2 * x.shape[3])
            stamps = torch.einsum("ck,ncp->nkp", layer.weight.flatten(1), bend(x).flatten(2))
            x = fold(stamps, size, 4, padding=1, stride=2) + layer.bias.view(1, -1, 1, 1)
        return x

    def forward(self, x, eps):
        mean, logvar = self.encode(x)
        return self.decode(self.draw(mean, logvar, eps)), mean, logvar


def fit(model, images, batches, noise, betas, learning_rate):
    parameters = list(model.parameters())
    first = [torch.zeros_like(p) for p in parameters]
    second = [torch.zeros_like(p) for p in parameters]
    losses = []
    for step in range(1, len(batches) + 1):
        x = images[batches[step - 1]]
        loss = beta_loss(*_prepare(model, x, noise[step - 1]), betas[step - 1])[0]
        gradients = torch.autograd.grad(loss, parameters)
        losses.append(loss.item())
        with torch.no_grad():
            for p, gradient, m, v in zip(parameters, gradients, first, second, strict=True):
                m.mul_(0.9).add_(gradient, alpha=0.1)
                v.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
                scale = (v / (1 - 0.999**step)).sqrt().add_(1e-8)
                p.sub_(learning_rate * (m / (1 - 0.9**step)) / scale)
    return losses


def _prepare(model, x, eps):
    logits, mean, logvar = model(x, eps)
    return logits, x, mean, logvar


def log_likelihood(model, x, eps):
    total = None
    for noise in eps:
        logits, mean, logvar = model(x, noise)
        z = model.draw(mean, logvar, noise)
        prior = (-0.5 * z**2 - 0.5 * math.log(2 * math.pi)).sum(1)
        posterior = (-0.5 * (z - mean) ** 2 / logvar.exp() - 0.5 * logvar - 0.5 * math.log(2 * math.pi)).sum(1)
        one = bernoulli_log_likelihood(logits, x) + prior - posterior
        total = one if total is None else torch.logaddexp(total, one)
    return total - math.log(len(eps))


def interpolate(start, end, points):
    first, last = start / start.norm(), end / end.norm()
    angle = 2 * torch.atan2((first - last).norm(), (first + last).norm())
    path = []
    for k in range(points):
        t = k / (points - 1)
        if angle < 1e-7:
            path.append(start + t * (end - start))
        else:
            path.append(start * (torch.sin(angle - t * angle) / angle.sin()) + end * ((t * angle).sin() / angle.sin()))
    return torch.stack(path)
