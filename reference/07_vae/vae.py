"""A variational autoencoder: an image becomes a Gaussian, a draw from it becomes a code, the code an image again.

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    reparameterise       a draw from the Gaussian that gradients can pass through
    kl_divergence        how far the Gaussian has moved from the standard normal
    reconstruction_loss  how badly the decoder explains the pixels
    negative_elbo        both together: the loss
    VAE                  encoder with two heads, decoder, and new images from the prior
    fit                  train it, until it explains digits that it has never seen

Letters in shapes: N images, D pixels, H hidden units, Z latent dimensions; M training images, S training steps.
Chance comes in as an argument (eps, z, noise): never draw numbers yourself, and leave every argument as it was.
"""

import torch
from torch import Tensor, nn


def reparameterise(mean: Tensor, logvar: Tensor, eps: Tensor) -> Tensor:
    """Turn standard normal noise into a draw from the Gaussian of each image.

    mean (N, Z)    centre of the Gaussian
    logvar (N, Z)  natural logarithm of its variance, so that any number is allowed
    eps (N, Z)     standard normal noise; noise of zero gives the mean

    Returns the draw, through which gradients reach all three arguments.
    z (N, Z)       codes, one per image
    """
    # BEGIN SOLUTION: first from log-variance to standard deviation
    std = torch.exp(0.5 * logvar)
    return mean + std * eps
    # END SOLUTION


def kl_divergence(mean: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mean, exp(logvar)) || N(0, 1)): how far each image's Gaussian is from the prior, in closed form.

    mean (N, Z)    centre of the Gaussian
    logvar (N, Z)  natural logarithm of its variance

    Returns one number per image, summed over its latent dimensions.
    kl (N,)        in nats; zero only for mean 0 and log-variance 0, else positive
    """
    # BEGIN SOLUTION: the closed form for one latent dimension, then the sum
    return 0.5 * (mean**2 + logvar.exp() - 1 - logvar).sum(dim=1)
    # END SOLUTION


def reconstruction_loss(logits: Tensor, x: Tensor) -> Tensor:
    """The negative log-likelihood of the pixels, each an independent Bernoulli variable.

    logits (N, D)        log-odds that a pixel is 1; the result is exact for logits of -100 and of 100
    x (N, D)             images, every pixel 0.0 or 1.0

    Returns one number per image, summed over its pixels.
    reconstruction (N,)  in nats, never negative
    """
    # BEGIN SOLUTION: one loss per pixel straight from its logit, then the sum
    return nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(dim=1)
    # END SOLUTION


def negative_elbo(logits: Tensor, x: Tensor, mean: Tensor, logvar: Tensor) -> Tensor:
    """The loss: minus the evidence lower bound (ELBO), averaged over the images of the batch.

    logits (N, D)  log-odds that a pixel is 1
    x (N, D)       images, every pixel 0.0 or 1.0
    mean (N, Z)    centre of the Gaussian
    logvar (N, Z)  natural logarithm of its variance

    Returns a tensor with one number.
    loss ()        in nats per image
    """
    # BEGIN SOLUTION: both parts for every image, then the mean over images
    return (reconstruction_loss(logits, x) + kl_divergence(mean, logvar)).mean()
    # END SOLUTION


class VAE(nn.Module):
    """Five linear layers, y = weight @ x + bias, with the names, shapes and default initial values of nn.Linear.

    The judge sets and reads these ten tensors by name; there are no others.

    encoder.weight (H, D)      from the image to the hidden layer of the encoder; tanh follows
    encoder.bias (H,)          its bias
    mean_head.weight (Z, H)    from that hidden layer to the mean; nothing follows
    mean_head.bias (Z,)        its bias
    logvar_head.weight (Z, H)  from that hidden layer to the log-variance; nothing follows
    logvar_head.bias (Z,)      its bias
    decoder.weight (H, Z)      from the code to the hidden layer of the decoder; tanh follows
    decoder.bias (H,)          its bias
    output.weight (D, H)       from that hidden layer to the logits; nothing follows
    output.bias (D,)           its bias
    """

    def __init__(self, input_size: int, hidden_size: int, latent_size: int, dtype: torch.dtype = torch.float32) -> None:
        """Make the layers for D = input_size, H = hidden_size and Z = latent_size, all of the given dtype."""
        super().__init__()
        # BEGIN SOLUTION: one nn.Linear for each pair of names, with dtype passed on
        self.encoder = nn.Linear(input_size, hidden_size, dtype=dtype)
        self.mean_head = nn.Linear(hidden_size, latent_size, dtype=dtype)
        self.logvar_head = nn.Linear(hidden_size, latent_size, dtype=dtype)
        self.decoder = nn.Linear(latent_size, hidden_size, dtype=dtype)
        self.output = nn.Linear(hidden_size, input_size, dtype=dtype)
        # END SOLUTION

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The Gaussian of each image.

        x (N, D)       images

        Returns (mean, logvar), either of any sign.
        mean (N, Z)    centre of the Gaussian
        logvar (N, Z)  natural logarithm of its variance
        """
        # BEGIN SOLUTION: one hidden layer, then the two heads side by side
        hidden = torch.tanh(self.encoder(x))
        return self.mean_head(hidden), self.logvar_head(hidden)
        # END SOLUTION

    def decode(self, z: Tensor) -> Tensor:
        """The logits of each code's image.

        z (N, Z)       codes

        Returns the logits; no sigmoid here.
        logits (N, D)  log-odds that a pixel is 1
        """
        # BEGIN SOLUTION: one hidden layer, then the logits as they are
        return self.output(torch.tanh(self.decoder(z)))
        # END SOLUTION

    def forward(self, x: Tensor, eps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Encode, draw a code from each Gaussian with the given noise, decode.

        x (N, D)       images
        eps (N, Z)     standard normal noise

        Returns (logits, mean, logvar), through which gradients reach x, eps and all ten tensors.
        logits (N, D)  log-odds that a pixel is 1
        mean (N, Z)    centre of the Gaussian
        logvar (N, Z)  natural logarithm of its variance
        """
        # BEGIN SOLUTION: the three pieces are written already, call them in order
        mean, logvar = self.encode(x)
        logits = self.decode(reparameterise(mean, logvar, eps))
        return logits, mean, logvar
        # END SOLUTION

    def sample(self, z: Tensor) -> Tensor:
        """New images, out of codes that were drawn from the prior: no encoder is needed.

        z (N, Z)              codes, drawn from the standard normal for you

        Returns what to show as the picture.
        probabilities (N, D)  chance that a pixel is 1
        """
        # BEGIN SOLUTION: decode, then from log-odds to probability
        return torch.sigmoid(self.decode(z))
        # END SOLUTION


def fit(model: VAE, images: Tensor, batches: Tensor, noise: Tensor, learning_rate: float) -> list[float]:
    """Train the model in place, one step per batch, with torch.optim.Adam: this learning rate, defaults otherwise.

    images (M, D)    training images, every pixel 0.0 or 1.0
    batches (S, N)   int64: step s trains on the rows batches[s] of images ...
    noise (S, N, Z)  ... with noise[s] as their standard normal noise

    Returns a list of S Python floats.
    losses (S,)      negative_elbo of each step's batch, before that step's update
    """
    # BEGIN SOLUTION: make one optimiser, then loop over the steps: loss, gradients, update
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate)
    losses = []
    for rows, eps in zip(batches, noise, strict=True):
        x = images[rows]
        logits, mean, logvar = model(x, eps)
        loss = negative_elbo(logits, x, mean, logvar)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses
    # END SOLUTION
