"""A generative adversarial network: one network forges digits, the other finds the forgeries, and both learn by it.

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    discriminator_loss  how badly the real and the forged were told apart
    generator_loss      how badly the forgeries deceived, in the form whose gradient does not vanish
    Generator           noise in, an image out
    Discriminator       an image in, one logit out
    GAN                 two optimisers and two steps, each of which moves one network and leaves the other alone
    fit                 one step of each in turn

Letters in shapes: N images of D pixels from -1 (paper) to 1 (ink); Z numbers of noise for each image; H hidden units; M
training images, S training steps. Chance comes in as an argument: never draw noise yourself. Leave every argument as
it was. A logit is the log-odds that an image is real; no probability is ever needed.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """What the discriminator lowers: the mean of -log p(real) on real images plus the mean of -log p(forged) on fakes.

    real_logits (N,)  what it says of real images
    fake_logits (M,)  what it says of forgeries; M need not be N

    Exact for logits of -200 and of 200, in float32 as in float64.

    Returns a tensor with one number, in nats, of the dtype of the logits.
    loss ()           2 log 2 if all logits are 0
    """
    raise NotImplementedError("discriminator_loss: -log sigmoid(a) is softplus(-a); which sign has the other one?")


def generator_loss(fake_logits: Tensor) -> Tensor:
    """What the generator lowers: the mean of -log p(real) on its forgeries (the non-saturating loss).

    fake_logits (N,)  what the discriminator says of forgeries

    Exact for logits of -200 and of 200, in float32 as in float64. Where the discriminator is sure that it sees a
    forgery, the gradient by its logit is -1 / N, and not 0: that is when the generator has most to learn.

    Returns a tensor with one number, in nats, of the dtype of the logits.
    loss ()           log 2 if all logits are 0
    """
    raise NotImplementedError("generator_loss: the real part of the loss above, asked about forgeries")


class Generator(nn.Module):
    """tanh(output(leaky(hidden(z)))), leaky = LeakyReLU with slope 0.2 below zero.

    The parameters have the names, shapes and default first values of nn.Linear; there are no others.

    hidden.weight (H, Z)  from the noise to the hidden layer
    hidden.bias (H,)      its bias
    output.weight (D, H)  from there to the pixels
    output.bias (D,)      its bias
    """

    def __init__(self, noise_size: int, hidden_size: int, pixels: int, dtype: torch.dtype = torch.float32) -> None:
        """Make both layers for Z = noise_size, H = hidden_size and D = pixels, of this dtype."""
        super().__init__()
        raise NotImplementedError("Generator.__init__: two nn.Linear, with dtype passed on")

    def forward(self, z: Tensor) -> Tensor:
        """Forge one image for each row of noise.

        z (N, Z)       standard normal noise

        Returns the forgeries, through which gradients reach z and every parameter.
        images (N, D)  between -1 and 1, as real pixels are
        """
        raise NotImplementedError("Generator.forward: linear, leaky, linear, tanh")


class Discriminator(nn.Module):
    """output(leaky(hidden(images))), leaky = LeakyReLU with slope 0.2 below zero. Nothing follows the logit.

    The parameters have the names, shapes and default first values of nn.Linear; there are no others.

    hidden.weight (H, D)  from the pixels to the hidden layer
    hidden.bias (H,)      its bias
    output.weight (1, H)  from there to the logit
    output.bias (1,)      its bias
    """

    def __init__(self, pixels: int, hidden_size: int, dtype: torch.dtype = torch.float32) -> None:
        """Make both layers for D = pixels and H = hidden_size, of this dtype."""
        super().__init__()
        raise NotImplementedError("Discriminator.__init__: two nn.Linear, with dtype passed on")

    def forward(self, images: Tensor) -> Tensor:
        """Judge every image.

        images (N, D)  real ones or forgeries

        Returns log-odds that an image is real, through which gradients reach images and every parameter.
        logits (N,)    one number per image, not a column
        """
        raise NotImplementedError("Discriminator.forward: linear, leaky, linear, and drop the axis of length 1")


class GAN:
    """Both networks, each with a torch.optim.Adam of its own: betas (0.5, 0.999), which forget fast, other defaults."""

    def __init__(self, generator: Generator, discriminator: Discriminator, learning_rate: float) -> None:
        """Note both networks, and make one optimiser for the parameters of each, with the same learning rate."""
        raise NotImplementedError("GAN.__init__: two networks, two optimisers")

    def discriminator_step(self, real: Tensor, z: Tensor) -> float:
        """One update of the discriminator, on real images and on forgeries. The generator stays as it is.

        real (N, D)  real images
        z (M, Z)     noise for M forgeries

        Returns discriminator_loss before the update, a Python float.
        """
        raise NotImplementedError(
            "GAN.discriminator_step: forge without keeping the way back, compare, clear, backward, one update"
        )

    def generator_step(self, z: Tensor) -> float:
        """One update of the generator, through the eyes of the discriminator, which stays as it is.

        z (N, Z)  noise for N forgeries

        Returns generator_loss before the update, a Python float.
        """
        raise NotImplementedError(
            "GAN.generator_step: this time the way back leads through the discriminator; only one optimiser moves"
        )


def fit(gan: GAN, images: Tensor, batches: Tensor, noise: Tensor) -> list[tuple[float, float]]:
    """In every step one update of the discriminator, then one of the generator, with fresh noise for each.

    images (M, D)       training images
    batches (S, N)      int64: in step s the discriminator sees the rows batches[s] of images ...
    noise (S, 2, N, Z)  ... and forgeries from noise[s, 0]; the generator then forges from noise[s, 1]

    Returns a list of S pairs of Python floats: the losses of both updates of each step, discriminator first.
    """
    raise NotImplementedError("fit: two calls per step")
