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
    raise NotImplementedError("reparameterise: first from log-variance to standard deviation")


def kl_divergence(mean: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mean, exp(logvar)) || N(0, 1)): how far each image's Gaussian is from the prior, in closed form.

    mean (N, Z)    centre of the Gaussian
    logvar (N, Z)  natural logarithm of its variance

    Returns one number per image, summed over its latent dimensions.
    kl (N,)        in nats; zero only for mean 0 and log-variance 0, else positive
    """
    raise NotImplementedError("kl_divergence: the closed form for one latent dimension, then the sum")


def reconstruction_loss(logits: Tensor, x: Tensor) -> Tensor:
    """The negative log-likelihood of the pixels, each an independent Bernoulli variable.

    logits (N, D)        log-odds that a pixel is 1; the result is exact for logits of -100 and of 100
    x (N, D)             images, every pixel 0.0 or 1.0

    Returns one number per image, summed over its pixels.
    reconstruction (N,)  in nats, never negative
    """
    raise NotImplementedError("reconstruction_loss: one loss per pixel straight from its logit, then the sum")


def negative_elbo(logits: Tensor, x: Tensor, mean: Tensor, logvar: Tensor) -> Tensor:
    """The loss: minus the evidence lower bound (ELBO), averaged over the images of the batch.

    logits (N, D)  log-odds that a pixel is 1
    x (N, D)       images, every pixel 0.0 or 1.0
    mean (N, Z)    centre of the Gaussian
    logvar (N, Z)  natural logarithm of its variance

    Returns a tensor with one number.
    loss ()        in nats per image
    """
    raise NotImplementedError("negative_elbo: both parts for every image, then the mean over images")


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
        raise NotImplementedError("VAE.__init__: one nn.Linear for each pair of names, with dtype passed on")

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The Gaussian of each image.

        x (N, D)       images

        Returns (mean, logvar), either of any sign.
        mean (N, Z)    centre of the Gaussian
        logvar (N, Z)  natural logarithm of its variance
        """
        raise NotImplementedError("VAE.encode: one hidden layer, then the two heads side by side")

    def decode(self, z: Tensor) -> Tensor:
        """The logits of each code's image.

        z (N, Z)       codes

        Returns the logits; no sigmoid here.
        logits (N, D)  log-odds that a pixel is 1
        """
        raise NotImplementedError("VAE.decode: one hidden layer, then the logits as they are")

    def forward(self, x: Tensor, eps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Encode, draw a code from each Gaussian with the given noise, decode.

        x (N, D)       images
        eps (N, Z)     standard normal noise

        Returns (logits, mean, logvar), through which gradients reach x, eps and all ten tensors.
        logits (N, D)  log-odds that a pixel is 1
        mean (N, Z)    centre of the Gaussian
        logvar (N, Z)  natural logarithm of its variance
        """
        raise NotImplementedError("VAE.forward: the three pieces are written already, call them in order")

    def sample(self, z: Tensor) -> Tensor:
        """New images, out of codes that were drawn from the prior: no encoder is needed.

        z (N, Z)              codes, drawn from the standard normal for you

        Returns what to show as the picture.
        probabilities (N, D)  chance that a pixel is 1
        """
        raise NotImplementedError("VAE.sample: decode, then from log-odds to probability")


def fit(model: VAE, images: Tensor, batches: Tensor, noise: Tensor, learning_rate: float) -> list[float]:
    """Train the model in place, one step per batch, with torch.optim.Adam: this learning rate, defaults otherwise.

    images (M, D)    training images, every pixel 0.0 or 1.0
    batches (S, N)   int64: step s trains on the rows batches[s] of images ...
    noise (S, N, Z)  ... with noise[s] as their standard normal noise

    Returns a list of S Python floats.
    losses (S,)      negative_elbo of each step's batch, before that step's update
    """
    raise NotImplementedError("fit: make one optimiser, then loop over the steps: loss, gradients, update")
