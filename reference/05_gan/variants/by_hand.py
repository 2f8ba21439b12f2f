"""The same game in float64 whatever is given, with Adam written out and gradients taken by name."""

from __future__ import annotations

import torch
from torch import nn


def log1pexp(x):
    return x.clamp(min=0) + torch.log1p(torch.exp(-x.abs()))


def discriminator_loss(real_logits, fake_logits):
    real, fake = real_logits.double(), fake_logits.double()
    return (log1pexp(-real).sum() / len(real) + log1pexp(fake).sum() / len(fake)).to(real_logits.dtype)


def generator_loss(fake_logits):
    fake = fake_logits.double()
    return (log1pexp(-fake).sum() / len(fake)).to(fake_logits.dtype)


class Layer(nn.Module):
    def __init__(self, inputs, outputs, dtype):
        super().__init__()
        bound = inputs**-0.5
        self.weight = nn.Parameter((2 * torch.rand(outputs, inputs, dtype=dtype) - 1) * bound)
        self.bias = nn.Parameter((2 * torch.rand(outputs, dtype=dtype) - 1) * bound)

    def forward(self, x):
        return torch.einsum("ni,oi->no", x, self.weight.double()) + self.bias.double()


def leaky(x):
    return torch.where(x > 0, x, x / 5)


class Generator(nn.Module):
    def __init__(self, noise_size, hidden_size, pixels, dtype=torch.float32):
        super().__init__()
        self.hidden, self.output = Layer(noise_size, hidden_size, dtype), Layer(hidden_size, pixels, dtype)

    def forward(self, z):
        return torch.tanh(self.output(leaky(self.hidden(z.double())))).to(z.dtype)


class Discriminator(nn.Module):
    def __init__(self, pixels, hidden_size, dtype=torch.float32):
        super().__init__()
        self.hidden, self.output = Layer(pixels, hidden_size, dtype), Layer(hidden_size, 1, dtype)

    def forward(self, images):
        return self.output(leaky(self.hidden(images.double()))).flatten().to(images.dtype)


class Adam:
    def __init__(self, model, rate):
        self.parameters, self.rate, self.steps = list(model.parameters()), rate, 0
        self.first = [torch.zeros_like(p) for p in self.parameters]
        self.second = [torch.zeros_like(p) for p in self.parameters]

    def lower(self, loss):
        self.steps += 1
        gradients = torch.autograd.grad(loss, self.parameters)
        with torch.no_grad():
            for p, g, m, v in zip(self.parameters, gradients, self.first, self.second, strict=True):
                m.mul_(0.5).add_(g, alpha=0.5)
                v.mul_(0.999).addcmul_(g, g, value=0.001)
                width = (v / (1 - 0.999**self.steps)).sqrt() + 1e-8
                p -= self.rate * m / (1 - 0.5**self.steps) / width
        return loss.item()


class GAN:
    def __init__(self, generator, discriminator, learning_rate):
        self.generator, self.discriminator = generator, discriminator
        self.moves = Adam(generator, learning_rate), Adam(discriminator, learning_rate)

    def discriminator_step(self, real, z):
        loss = discriminator_loss(self.discriminator(real), self.discriminator(self.generator(z)))
        return self.moves[1].lower(loss)

    def generator_step(self, z):
        return self.moves[0].lower(generator_loss(self.discriminator(self.generator(z))))


def fit(gan, images, batches, noise):
    pairs = []
    for rows, (first, second) in zip(batches, noise, strict=True):
        of_detective = gan.discriminator_step(images[rows], first)
        pairs.append((of_detective, gan.generator_step(second)))
    return pairs
