"""The same game whose transposed convolutions are plain ones over pixels with zeros between them; frozen in turn."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


def grown_size(size, kernel, stride, padding):
    last = (size - 1) * stride
    return last + kernel - padding - padding


class Grow(nn.ConvTranspose2d):
    def forward(self, x):
        stride, padding, kernel = self.stride[0], self.padding[0], self.kernel_size[0]
        spread = x.new_zeros(*x.shape[:2], *((side - 1) * stride + 1 for side in x.shape[2:]))
        spread[:, :, ::stride, ::stride] = x
        filters = self.weight.flip(2, 3).transpose(0, 1)
        return F.conv2d(spread, filters, self.bias, padding=kernel - 1 - padding)


def quarter(side):
    if side <= 0 or side & 3:
        raise ValueError(f"{side} is not a multiple of 4")
    return side // 4


class Generator(nn.Module):
    def __init__(self, noise_size, features, side, dtype=torch.float32):
        super().__init__()
        first = quarter(side)
        self.paint = Grow(features, 1, 4, stride=2, padding=1, dtype=dtype)
        self.grow = Grow(2 * features, features, 4, stride=2, padding=1, bias=False, dtype=dtype)
        self.start = Grow(noise_size, 2 * features, first, bias=False, dtype=dtype)
        self.norm1 = nn.BatchNorm2d(2 * features, dtype=dtype)
        self.norm2 = nn.BatchNorm2d(features, dtype=dtype)
        self.leaky = nn.LeakyReLU(0.2)

    def forward(self, z):
        x = z.reshape(len(z), -1, 1, 1)
        for layer in (self.start, self.norm1, self.leaky, self.grow, self.norm2, self.leaky, self.paint):
            x = layer(x)
        return x.tanh()


class Discriminator(nn.Module):
    def __init__(self, features, side, dtype=torch.float32):
        super().__init__()
        last = quarter(side)
        self.judge = nn.Conv2d(2 * features, 1, last, dtype=dtype)
        self.norm = nn.BatchNorm2d(2 * features, dtype=dtype)
        self.shrink = nn.Conv2d(features, 2 * features, 4, 2, 1, bias=False, dtype=dtype)
        self.look = nn.Conv2d(1, features, 4, 2, 1, dtype=dtype)

    def forward(self, images):
        x = F.leaky_relu(self.look(images), negative_slope=0.2)
        x = F.leaky_relu(self.norm(self.shrink(x)), negative_slope=0.2)
        return self.judge(x)[:, 0, 0, 0]


class DCGAN:
    def __init__(self, generator, discriminator, learning_rate):
        self.networks = {"g": generator, "d": discriminator}
        self.adams = {}
        for key, network in self.networks.items():
            for name, value in network.named_parameters():
                if value.ndim == 4:
                    value.data = 0.05 * torch.randn_like(value)
                elif name.endswith("bias"):
                    value.data.zero_()
            self.adams[key] = torch.optim.Adam(list(network.parameters()), lr=learning_rate, betas=(0.5, 0.999))

    def _lower(self, key, loss):
        self.adams[key].zero_grad()
        loss.backward()
        self.adams[key].step()
        return float(loss)

    def _train(self):
        for network in self.networks.values():
            network.train()

    def discriminator_step(self, real, z):
        self._train()
        with torch.no_grad():
            fake = self.networks["g"](z)
        judge, loss = self.networks["d"], nn.BCEWithLogitsLoss()
        answers = judge(real), judge(fake)
        loss = loss(answers[0], torch.ones_like(answers[0])) + loss(answers[1], torch.zeros_like(answers[1]))
        return self._lower("d", loss)

    def generator_step(self, z):
        self._train()
        self.networks["d"].requires_grad_(False)
        answers = self.networks["d"](self.networks["g"](z))
        loss = self._lower("g", F.binary_cross_entropy_with_logits(answers, torch.ones_like(answers)))
        self.networks["d"].requires_grad_(True)
        return loss

    def forge(self, z):
        generator = self.networks["g"]
        was = generator.training
        try:
            return generator.eval()(z).detach()
        finally:
            generator.train(was)


def fit(gan, images, batches, noise):
    return [
        [gan.discriminator_step(images[batches[s]], noise[s, 0]), gan.generator_step(noise[s, 1])]
        for s in range(len(batches))
    ]
