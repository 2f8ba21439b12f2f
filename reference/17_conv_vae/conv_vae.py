"""A convolutional variational autoencoder, and what to do with one: price its code, measure it, walk between digits.

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    bernoulli_log_likelihood  how probable the pixels are, straight from the logits, by your own formula
    beta_loss                 what the picture costs and what the code costs; beta is the price of the code
    ConvVAE                   convolutions down to two heads, a draw, transposed convolutions back to logits
    fit                       train it, with a beta for every step
    log_likelihood            losses with different betas cannot be compared: this number can
    interpolate               a walk from code to code that stays as far from the origin as codes are

Letters in shapes: N images, C channels of H rows and W columns; F channels of P rows and Q columns where the encoder
ends, D = F * P * Q; Z latent dimensions; K draws per image; M training images, S training steps, T points of a walk.
Chance comes in as an argument (eps, noise): never draw numbers yourself, and leave every argument as it was.
"""

from itertools import pairwise
from math import log

import torch
from torch import Tensor, nn


def bernoulli_log_likelihood(logits: Tensor, x: Tensor) -> Tensor:
    """The log-probability of the pixels, each an independent Bernoulli variable. Here without the library's own loss.

    logits (N, C, H, W)  log-odds that a pixel is 1; the result is exact for logits from -1000 to 1000
    x (N, C, H, W)       images, every pixel 0.0 or 1.0

    Returns one number per image, summed over channels, rows and columns; gradients reach the logits.
    log_p (N,)           in nats, never positive
    """
    # BEGIN SOLUTION: write log p and log (1 - p) with the logit, and see what they share
    return (x * logits - nn.functional.softplus(logits)).sum(dim=(1, 2, 3))
    # END SOLUTION


def beta_loss(logits: Tensor, x: Tensor, mean: Tensor, logvar: Tensor, beta: float) -> tuple[Tensor, Tensor, Tensor]:
    """What is to be minimised: distortion + beta * rate, averaged over the images of the batch.

    logits (N, C, H, W)  log-odds that a pixel is 1
    x (N, C, H, W)       images, every pixel 0.0 or 1.0
    mean (N, Z)          centre of each image's Gaussian
    logvar (N, Z)        natural logarithm of its variance
    beta                 at least 0; with 1 the loss is the negative ELBO

    Returns (loss, distortion, rate); beta enters the loss alone.
    loss ()              in nats per image
    distortion (N,)      minus the log-likelihood of the image: what the picture costs, given the code
    rate (N,)            KL(N(mean, exp(logvar)) || N(0, 1)), summed over Z: what the code costs
    """
    # BEGIN SOLUTION: the two parts for every image; then beta, then the mean over images
    distortion = -bernoulli_log_likelihood(logits, x)
    rate = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).sum(dim=1)
    return (distortion + beta * rate).mean(), distortion, rate
    # END SOLUTION


class ConvVAE(nn.Module):
    """Every convolution halves rows and columns, every transposed one doubles them: kernel 4, stride 2, padding 1.

    encode: convolution and ELU for each of the channels, flatten, then two linear heads side by side.
    decode: a linear layer, back to F maps, then transposed convolutions, an ELU before each; nothing after the last.

    ELU is x where x > 0, else exp(x) - 1. Maps are flattened channel by channel, each of them row by row, as reshape
    does it. The judge sets and reads the parameters by name, and there are no others. With channels [A, F] they are:

    encoder.0.weight (A, C, 4, 4)  the first convolution: channels written, channels read
    encoder.0.bias (A,)            its bias
    encoder.1.weight (F, A, 4, 4)  the second convolution
    encoder.1.bias (F,)            its bias
    mean_head.weight (Z, D)        from the flattened maps to the mean; nothing follows
    mean_head.bias (Z,)            its bias
    logvar_head.weight (Z, D)      from the flattened maps to the log-variance; nothing follows
    logvar_head.bias (Z,)          its bias
    project.weight (D, Z)          from the code to the flattened maps of the decoder
    project.bias (D,)              its bias
    decoder.0.weight (F, A, 4, 4)  the first transposed convolution: channels read, channels written
    decoder.0.bias (A,)            its bias
    decoder.1.weight (A, C, 4, 4)  the second one, to the logits
    decoder.1.bias (C,)            its bias

    Other lists of channels count on in the same way. First values are those of nn.Conv2d, nn.Linear and
    nn.ConvTranspose2d: uniform within 1 / sqrt(product of all axes of the weight but the first) of zero, biases too.
    """

    def __init__(
        self, image: tuple[int, int, int], channels: list[int], latent_size: int, dtype: torch.dtype = torch.float32
    ) -> None:
        """Make the layers for images of shape (C, H, W), all of the given dtype.

        Raises ValueError if H or W cannot be halved once for every channel of the list without a remainder.
        """
        super().__init__()
        # BEGIN SOLUTION: how large are the maps where the encoder ends? The heads must know
        scale = 2 ** len(channels)
        if image[1] % scale or image[2] % scale:
            raise ValueError(f"{image[1]} rows, {image[2]} columns: cannot be halved {len(channels)} times")
        self.maps = (channels[-1], image[1] // scale, image[2] // scale)
        size = channels[-1] * (image[1] // scale) * (image[2] // scale)
        pairs = list(pairwise([image[0], *channels]))
        self.encoder = nn.ModuleList(nn.Conv2d(*pair, 4, 2, 1, dtype=dtype) for pair in pairs)
        self.mean_head = nn.Linear(size, latent_size, dtype=dtype)
        self.logvar_head = nn.Linear(size, latent_size, dtype=dtype)
        self.project = nn.Linear(latent_size, size, dtype=dtype)
        self.decoder = nn.ModuleList(
            nn.ConvTranspose2d(written, read, 4, 2, 1, dtype=dtype) for read, written in reversed(pairs)
        )
        # END SOLUTION

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The Gaussian of each image.

        x (N, C, H, W)  images

        Returns (mean, logvar), either of any sign.
        mean (N, Z)     centre of the Gaussian
        logvar (N, Z)   natural logarithm of its variance
        """
        # BEGIN SOLUTION: convolution and ELU, again and again; flatten; two heads
        for layer in self.encoder:
            x = nn.functional.elu(layer(x))
        hidden = x.flatten(1)
        return self.mean_head(hidden), self.logvar_head(hidden)
        # END SOLUTION

    def draw(self, mean: Tensor, logvar: Tensor, eps: Tensor) -> Tensor:
        """One draw from the Gaussian of each image.

        mean (N, Z)    centre of the Gaussian
        logvar (N, Z)  natural logarithm of its variance
        eps (N, Z)     standard normal noise

        Returns the draws, through which gradients reach all three arguments.
        z (N, Z)       codes; the mean itself where the noise is zero
        """
        # BEGIN SOLUTION: noise times standard deviation, plus the mean
        return mean + torch.exp(0.5 * logvar) * eps
        # END SOLUTION

    def decode(self, z: Tensor) -> Tensor:
        """The logits of each code's image.

        z (N, Z)             codes

        Returns the logits; no sigmoid here.
        logits (N, C, H, W)  log-odds that a pixel is 1
        """
        # BEGIN SOLUTION: the way of encode, backwards: linear layer, maps, then ELU and layer for layer
        x = self.project(z).unflatten(1, self.maps)
        for layer in self.decoder:
            x = layer(nn.functional.elu(x))
        return x
        # END SOLUTION

    def forward(self, x: Tensor, eps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Encode, draw a code from each Gaussian with the given noise, decode.

        x (N, C, H, W)       images
        eps (N, Z)           standard normal noise

        Returns (logits, mean, logvar), through which gradients reach x, eps and every parameter.
        logits (N, C, H, W)  log-odds that a pixel is 1
        mean (N, Z)          centre of the Gaussian
        logvar (N, Z)        natural logarithm of its variance
        """
        # BEGIN SOLUTION: the three pieces are written already, call them in order
        mean, logvar = self.encode(x)
        return self.decode(self.draw(mean, logvar, eps)), mean, logvar
        # END SOLUTION


def fit(
    model: ConvVAE, images: Tensor, batches: Tensor, noise: Tensor, betas: list[float], learning_rate: float
) -> list[float]:
    """Train the model in place with one torch.optim.Adam: this learning rate, defaults otherwise, one step per batch.

    images (M, C, H, W)  training images, every pixel 0.0 or 1.0
    batches (S, N)       int64: step s trains on the rows batches[s] of images ...
    noise (S, N, Z)      ... with noise[s] as their standard normal noise ...
    betas (S,)           ... and with betas[s] in its loss; a list of S Python floats

    Returns a list of S Python floats.
    losses (S,)          beta_loss of each step's batch, before that step's update
    """
    # BEGIN SOLUTION: one optimiser, then loop over the steps: loss, gradients, update
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate)
    losses = []
    for rows, eps, beta in zip(batches, noise, betas, strict=True):
        x = images[rows]
        logits, mean, logvar = model(x, eps)
        loss, _, _ = beta_loss(logits, x, mean, logvar, beta)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses
    # END SOLUTION


def log_likelihood(model: ConvVAE, x: Tensor, eps: Tensor) -> Tensor:
    """An estimate of log p(x) from K draws, which beta has no part in: the logarithm of the mean of K weights.

    x (N, C, H, W)  images, every pixel 0.0 or 1.0
    eps (K, N, Z)   standard normal noise: draw k of image n is made with eps[k, n]

    The weight of a draw is p(x|z) * p(z) / q(z|x): the chance of the pixels, times the density of z under the prior
    N(0, 1), over its density under the image's own Gaussian. Weights may be as small as exp(-5000).

    Returns one number per image.
    log_p (N,)      in nats; with K = 1 an ELBO without its closed form, and the larger K, the nearer to log p(x)
    """
    # BEGIN SOLUTION: the logarithm of every weight first; then log-sum-exp over the draws
    mean, logvar = model.encode(x)
    weights = []
    for noise in eps:
        z = model.draw(mean, logvar, noise)
        prior_over_posterior = 0.5 * (noise**2 + logvar - z**2).sum(dim=1)
        weights.append(bernoulli_log_likelihood(model.decode(z), x) + prior_over_posterior)
    return torch.logsumexp(torch.stack(weights), dim=0) - log(len(eps))
    # END SOLUTION


def interpolate(start: Tensor, end: Tensor, points: int) -> Tensor:
    """A walk from one code to another along the arc between them, in equal steps.

    start (Z,)  the first code, not zero
    end (Z,)    the last code, not zero, and not opposite to the first
    points      T, at least 2

    With the angle w between the two codes, the point at t from 0 to 1 is
    (sin((1 - t) * w) * start + sin(t * w) * end) / sin(w). If the codes point the same way: on the straight line.

    Returns the walk, both ends included.
    path (T, Z)  equally long codes at equal angles, if start and end are equally long
    """
    # BEGIN SOLUTION: the angle from the cosine; what if rounding makes the cosine larger than 1?
    t = torch.linspace(0, 1, points, dtype=start.dtype)[:, None]
    cosine = (start @ end / (start.norm() * end.norm())).clamp(max=1)
    angle = torch.arccos(cosine)
    if torch.sin(angle) < 1e-6:
        return (1 - t) * start + t * end
    return (torch.sin((1 - t) * angle) * start + torch.sin(t * angle) * end) / torch.sin(angle)
    # END SOLUTION
