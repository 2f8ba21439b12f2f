"""The same game by torch's cross-entropy on labels, with sequential networks behind the stated names, frozen in turn."""

from __future__ import annotations

import torch
from torch import nn


def discriminator_loss(real_logits, fake_logits):
    loss = nn.BCEWithLogitsLoss()
    return loss(fake_logits, torch.zeros_like(fake_logits)) + loss(real_logits, torch.ones_like(real_logits))


def generator_loss(fake_logits):
    return nn.functional.binary_cross_entropy_with_logits(fake_logits, fake_logits.new_ones(fake_logits.shape))


class TwoLayers(nn.Module):
    def __init__(self, inputs, hidden, outputs, dtype):
        super().__init__()
        self.output = nn.Linear(hidden, outputs, dtype=dtype)
        self.hidden = nn.Linear(inputs, hidden, dtype=dtype)
        self.leaky = nn.LeakyReLU(0.2)

    def forward(self, value):
        return self.output(self.leaky(self.hidden(value)))


class Generator(TwoLayers):
    def __init__(self, noise_size, hidden_size, pixels, dtype=torch.float32):
        super().__init__(noise_size, hidden_size, pixels, dtype)

    def forward(self, z):
        return super().forward(z).tanh()

    def state_dict(self, *args, **kwargs):
        found = super().state_dict(*args, **kwargs)
        return {name: found[name] for name in ("hidden.weight", "hidden.bias", "output.weight", "output.bias")}


class Discriminator(TwoLayers):
    def __init__(self, pixels, hidden_size, dtype=torch.float32):
        super().__init__(pixels, hidden_size, 1, dtype)

    def forward(self, images):
        return super().forward(images)[:, 0]


class GAN:
    def __init__(self, generator, discriminator, learning_rate):
        settings = {"lr": learning_rate, "betas": (0.5, 0.999)}
        self.forger, self.detective = generator, discriminator
        self.adams = [torch.optim.Adam(list(model.parameters()), **settings) for model in (generator, discriminator)]

    def _update(self, adam, loss):
        adam.zero_grad(set_to_none=False)
        loss.backward()
        adam.step()
        return float(loss)

    def discriminator_step(self, real, z):
        with torch.no_grad():
            fake = self.forger(z)
        answers = self.detective(torch.cat([real, fake]))
        loss = discriminator_loss(answers[: len(real)], answers[len(real) :])
        return self._update(self.adams[1], loss)

    def generator_step(self, z):
        self.detective.requires_grad_(False)
        loss = self._update(self.adams[0], generator_loss(self.detective(self.forger(z))))
        self.detective.requires_grad_(True)
        return loss


def fit(gan, images, batches, noise):
    pairs = []
    for step in range(len(batches)):
        real = images.index_select(0, batches[step])
        first = gan.discriminator_step(real, noise[step, 0])
        pairs.append([first, gan.generator_step(noise[step, 1])])
    return pairs
