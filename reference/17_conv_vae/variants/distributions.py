"""The same model told by torch.distributions as far as it goes, with nn.Sequential; all draws decoded in one batch."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import torch
from torch import nn
from torch.distributions import Independent, Normal, kl_divergence
from torch.nn import functional as F


def posterior(mean, logvar):
    return Independent(Normal(mean, logvar.div(2).exp()), 1)


def prior(like):
    return Independent(Normal(torch.zeros_like(like), torch.ones_like(like)), 1)


def bernoulli_log_likelihood(logits, x):
    return torch.where(x > 0.5, F.logsigmoid(logits), F.logsigmoid(-logits)).sum((-1, -2, -3))


def beta_loss(logits, x, mean, logvar, beta):
    distortion = bernoulli_log_likelihood(logits, x).neg()
    rate = kl_divergence(posterior(mean, logvar), prior(mean))
    return distortion.mean() + beta * rate.mean(), distortion, rate


class ConvVAE(nn.Module):
    def __init__(self, image, channels, latent_size, dtype=torch.float32):
        super().__init__()
        halvings = len(channels)
        if any(size % 2**halvings for size in image[1:]):
            raise ValueError(f"rows and columns must be multiples of {2**halvings}")
        widths = [image[0], *channels]
        down, up = OrderedDict(), OrderedDict()
        for i in range(halvings):
            down[str(i)] = nn.Conv2d(widths[i], widths[i + 1], kernel_size=4, stride=2, padding=1)
            down[f"bend{i}"] = nn.ELU()
            up[f"bend{i}"] = nn.ELU()
            up[str(i)] = nn.ConvTranspose2d(widths[-1 - i], widths[-2 - i], kernel_size=4, stride=2, padding=1)
        self.encoder, self.decoder = nn.Sequential(down), nn.Sequential(up)
        self.rows = image[1] >> halvings
        size = widths[-1] * self.rows * (image[2] >> halvings)
        for name, pair in (("mean_head", (size, latent_size)), ("logvar_head", (size, latent_size))):
            self.add_module(name, nn.Linear(*pair))
        self.project = nn.Linear(latent_size, size)
        self.channels = widths[-1]
        self.to(dtype)

    def encode(self, x):
        maps = torch.flatten(self.encoder(x), start_dim=1)
        return self.mean_head(maps), self.logvar_head(maps)

    def draw(self, mean, logvar, eps):
        return torch.addcmul(mean, (logvar * 0.5).exp(), eps)

    def decode(self, z):
        return self.decoder(self.project(z).view(z.shape[0], self.channels, self.rows, -1))

    def forward(self, x, eps):
        gaussian = self.encode(x)
        return self.decode(self.draw(*gaussian, eps)), *gaussian


def fit(model, images, batches, noise, betas, learning_rate):
    model.train()
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate)
    losses = []
    for step, beta in enumerate(betas):
        optimiser.zero_grad(set_to_none=False)
        x = images.index_select(0, batches[step])
        logits, mean, logvar = model.forward(x, noise[step])
        loss, *_ = beta_loss(logits, x, mean, logvar, beta)
        losses.append(float(loss.detach()))
        loss.backward()
        optimiser.step()
    model.eval()
    return losses


@torch.no_grad()
def log_likelihood(model, x, eps):
    draws, count, latent = eps.shape
    mean, logvar = model.encode(x)
    z = model.draw(mean.expand(draws, -1, -1), logvar.expand(draws, -1, -1), eps)
    logits = model.decode(z.reshape(draws * count, latent))
    pixels = bernoulli_log_likelihood(logits, x.repeat(draws, 1, 1, 1)).view(draws, count)
    ratios = pixels + prior(z).log_prob(z) - posterior(mean, logvar).log_prob(z)
    return ratios.logsumexp(0) - torch.tensor(float(draws)).to(x.dtype).log()


def interpolate(start, end, points):
    t = torch.from_numpy(np.linspace(0, 1, points)).to(start.dtype)
    cosine = F.cosine_similarity(start, end, dim=0).clamp(max=1)
    if cosine > 1 - 1e-12:
        return torch.lerp(start[None], end[None], t[:, None])
    angle = cosine.acos()
    shares = torch.stack([torch.sin((1 - t) * angle), torch.sin(t * angle)], 1) / torch.sin(angle)
    return shares @ torch.stack([start, end])
