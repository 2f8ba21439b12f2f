"""The same game with batch norm written out, images in channels-last layout, and Adam by hand."""

from __future__ import annotations

import torch
from torch import nn


def grown_size(size, kernel, stride, padding):
    covered = {start * stride + offset for start in range(size) for offset in range(kernel)}
    return max(covered) + 1 - 2 * padding


class Norm(nn.Module):
    def __init__(self, channels, dtype):
        super().__init__()
        self.weight, self.bias = (nn.Parameter(torch.full((channels,), v, dtype=dtype)) for v in (1.0, 0.0))
        self.register_buffer("running_mean", torch.zeros(channels, dtype=dtype))
        self.register_buffer("running_var", torch.ones(channels, dtype=dtype))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x):
        mean, var = self.running_mean, self.running_var
        if self.training:
            mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
            count = x.numel() / x.shape[1]
            with torch.no_grad():
                self.running_mean.lerp_(mean, 0.1)
                self.running_var.lerp_(var * count / (count - 1), 0.1)
                self.num_batches_tracked += 1
        shape = (1, -1, 1, 1)
        x = (x - mean.reshape(shape)) / (var.reshape(shape) + 1e-5).sqrt()
        return x * self.weight.reshape(shape) + self.bias.reshape(shape)


def leaky(x):
    return torch.maximum(x, x / 5)


def checked(side):
    if side not in range(4, 1 << 20, 4):
        raise ValueError("two doublings end at multiples of 4 only")
    return side // 4


class Generator(nn.Module):
    def __init__(self, noise_size, features, side, dtype=torch.float32):
        super().__init__()
        make = {"bias": False, "dtype": dtype}
        self.start = nn.ConvTranspose2d(noise_size, 2 * features, checked(side), **make)
        self.norm1 = Norm(2 * features, dtype)
        self.grow = nn.ConvTranspose2d(2 * features, features, 4, 2, 1, **make)
        self.norm2 = Norm(features, dtype)
        self.paint = nn.ConvTranspose2d(features, 1, 4, 2, 1, dtype=dtype)

    def forward(self, z):
        # From one pixel, a transposed convolution is a product with its filters.
        x = torch.einsum("nz,zfyx->nfyx", z, self.start.weight).contiguous(memory_format=torch.channels_last)
        x = leaky(self.norm2(self.grow(leaky(self.norm1(x)))))
        return torch.tanh(self.paint(x)).contiguous()


class Discriminator(nn.Module):
    def __init__(self, features, side, dtype=torch.float32):
        super().__init__()
        self.look = nn.Conv2d(1, features, 4, 2, 1, dtype=dtype)
        self.shrink = nn.Conv2d(features, 2 * features, 4, 2, 1, bias=False, dtype=dtype)
        self.norm = Norm(2 * features, dtype)
        self.judge = nn.Conv2d(2 * features, 1, checked(side), dtype=dtype)

    def forward(self, images):
        x = leaky(self.look(images.contiguous(memory_format=torch.channels_last)))
        x = leaky(self.norm(self.shrink(x)))
        return torch.einsum("nfyx,fyx->n", x, self.judge.weight[0]) + self.judge.bias


class Adam:
    def __init__(self, model, rate):
        self.parameters, self.rate, self.steps = list(model.parameters()), rate, 0
        self.first, self.second = ([torch.zeros_like(p) for p in self.parameters] for _ in range(2))

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


def surprise(logits, sign):
    return torch.logaddexp(torch.zeros_like(logits), -sign * logits).mean()


class DCGAN:
    def __init__(self, generator, discriminator, learning_rate):
        self.g, self.d = generator, discriminator
        for layer in [*generator.children(), *discriminator.children()]:
            if not isinstance(layer, Norm):
                layer.weight.data.normal_(std=0.05)
                if layer.bias is not None:
                    layer.bias.data.fill_(0.0)
        self.move_g, self.move_d = Adam(generator, learning_rate), Adam(discriminator, learning_rate)

    def discriminator_step(self, real, z):
        self.g.train(), self.d.train()
        of_real = surprise(self.d(real), 1)
        return self.move_d.lower(of_real + surprise(self.d(self.g(z).detach()), -1))

    def generator_step(self, z):
        self.g.train(), self.d.train()
        return self.move_g.lower(surprise(self.d(self.g(z)), 1))

    def forge(self, z):
        was, _ = self.g.training, self.g.eval()
        with torch.inference_mode():
            images = self.g(z)
        self.g.train(was)
        return images.clone()


def fit(gan, images, batches, noise):
    pairs = []
    for step, rows in enumerate(batches):
        loss = gan.discriminator_step(images[rows], noise[step][0])
        pairs.append((loss, gan.generator_step(noise[step][1])))
    return pairs
