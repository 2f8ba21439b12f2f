"""The same VAE told by torch.distributions: affine transform, kl_divergence, log_prob."""

from __future__ import annotations

import torch
from torch import nn
from torch.distributions import AffineTransform, Bernoulli, Independent, Normal
from torch.distributions import kl_divergence as closed_form


def posterior(mean, logvar):
    return Independent(Normal(mean, logvar.div(2).exp()), 1)


def reparameterise(mean, logvar, eps):
    return AffineTransform(mean, posterior(mean, logvar).base_dist.scale)(eps)


def kl_divergence(mean, logvar):
    prior = Independent(Normal(torch.zeros_like(mean), torch.ones_like(mean)), 1)
    return closed_form(posterior(mean, logvar), prior)


def reconstruction_loss(logits, x):
    return -Independent(Bernoulli(logits=logits), 1).log_prob(x)


def negative_elbo(logits, x, mean, logvar):
    return reconstruction_loss(logits, x).mean() + kl_divergence(mean, logvar).mean()


class VAE(nn.Module):
    def __init__(self, input_size, hidden_size, latent_size, dtype=torch.float32):
        super().__init__()
        sizes = {
            "encoder": (input_size, hidden_size),
            "logvar_head": (hidden_size, latent_size),
            "mean_head": (hidden_size, latent_size),
            "decoder": (latent_size, hidden_size),
            "output": (hidden_size, input_size),
        }
        for name, (inputs, outputs) in sizes.items():
            self.add_module(name, nn.Linear(inputs, outputs, dtype=dtype))

    def encode(self, x):
        hidden = self.encoder(x).tanh()
        return self.mean_head(hidden), self.logvar_head(hidden)

    def decode(self, z):
        return self.output(self.decoder(z).tanh())

    def forward(self, x, eps):
        mean, logvar = self.encode(x)
        return self.decode(reparameterise(mean, logvar, eps)), mean, logvar

    def sample(self, z):
        with torch.no_grad():
            return Bernoulli(logits=self.decode(z)).probs


def fit(model, images, batches, noise, learning_rate):
    model.train()
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate)
    losses = []
    for step in range(len(batches)):
        optimiser.zero_grad(set_to_none=False)
        x = images.index_select(0, batches[step])
        logits, mean, logvar = model.forward(x, noise[step])
        loss = negative_elbo(logits, x, mean, logvar)
        losses.append(float(loss.detach()))
        loss.backward()
        optimiser.step()
    model.eval()
    return losses
