"""A deep convolutional GAN: noise grows into an image by transposed convolutions, and batch norm has two lives.

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    grown_size     how large a transposed convolution's result is, and how many doublings fit
    Generator      noise, a small map of many channels, and a doubling for each layer
    Discriminator  the same road back, with strided convolutions, to one logit
    DCGAN          both networks, both optimisers, one step of each; mode by mode
    fit            one step of each in turn

Letters in shapes: N images of one channel, Y by Y pixels from -1 (paper) to 1 (ink); Z numbers of noise for each; F
channels of the widest map but one; M training images, S training steps. Chance comes in as an argument: never draw
noise yourself. Leave every argument as it was. Results have the dtype of their arguments or weights. The names of layers
are part of the task: the suite loads its own weights into them.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def grown_size(size: int, kernel: int, stride: int, padding: int) -> int:
    """How many pixels a side of the result of a transposed convolution has, without output padding or dilation.

    size     pixels of a side that goes in, at least 1
    kernel   side of the filters
    stride   how far apart the filter's copies are laid down
    padding  pixels that are cut from each side of what was laid down

    Returns a whole number. Kernel 4, stride 2, padding 1 doubles any size.
    """
    raise NotImplementedError("grown_size: where does the last copy of the filter begin, and where does it end?")


class Generator(nn.Module):
    """tanh(paint(leaky(norm2(grow(leaky(norm1(start(z))))))), leaky = LeakyReLU with slope 0.2 below zero.

    start = nn.ConvTranspose2d(Z, 2F, Y / 4, 1, 0, bias=False)   from one pixel with Z channels to Y / 4 by Y / 4
    norm1 = nn.BatchNorm2d(2F)
    grow = nn.ConvTranspose2d(2F, F, 4, 2, 1, bias=False)        to Y / 2 by Y / 2
    norm2 = nn.BatchNorm2d(F)
    paint = nn.ConvTranspose2d(F, 1, 4, 2, 1)                    to Y by Y
    """

    def __init__(self, noise_size: int, features: int, side: int, dtype: torch.dtype = torch.float32) -> None:
        """Make the five layers for Z = noise_size, F = features and Y = side, a multiple of 4, all of this dtype.

        ValueError if side is no positive multiple of 4: two doublings must end exactly at the image's size.
        """
        super().__init__()
        raise NotImplementedError("Generator.__init__: refuse what does not fit, then make the five layers")

    def forward(self, z: Tensor) -> Tensor:
        """Forge one image for each row of noise.

        z (N, Z)             standard normal noise, N at least 2 in training mode

        Returns the forgeries, through which gradients reach z and every parameter.
        images (N, 1, Y, Y)  between -1 and 1
        """
        raise NotImplementedError(
            "Generator.forward: noise is an image of one pixel; then the five layers, and tanh at the end"
        )


class Discriminator(nn.Module):
    """judge(leaky(norm(shrink(leaky(look(images)))))), leaky as above. Nothing follows the logit.

    look = nn.Conv2d(1, F, 4, 2, 1)                  to Y / 2 by Y / 2; no batch norm on what is seen first
    shrink = nn.Conv2d(F, 2F, 4, 2, 1, bias=False)   to Y / 4 by Y / 4
    norm = nn.BatchNorm2d(2F)
    judge = nn.Conv2d(2F, 1, Y / 4)                  to one number
    """

    def __init__(self, features: int, side: int, dtype: torch.dtype = torch.float32) -> None:
        """Make the four layers for F = features and Y = side, a multiple of 4, all of this dtype.

        ValueError if side is no positive multiple of 4.
        """
        super().__init__()
        raise NotImplementedError("Discriminator.__init__: the generator's road, walked back")

    def forward(self, images: Tensor) -> Tensor:
        """Judge every image.

        images (N, 1, Y, Y)  real ones or forgeries, N at least 2 in training mode

        Returns log-odds that an image is real, through which gradients reach images and every parameter.
        logits (N,)          one number per image
        """
        raise NotImplementedError("Discriminator.forward: four layers; the last result is (N, 1, 1, 1)")


class DCGAN:
    """Both networks, each with a torch.optim.Adam of its own: betas (0.5, 0.999), other defaults.

    Both networks are in training mode in every step, and forge is the only place where the generator is in evaluation
    mode. A step of one network leaves the parameters of the other as they were. Batch norm keeps running statistics
    wherever a network is used in training mode: both steps move those of both networks. Losses are exact for logits
    from -1000 to 1000.
    """

    def __init__(self, generator: Generator, discriminator: Discriminator, learning_rate: float) -> None:
        """Note both networks, draw their first weights anew, and make one optimiser for the parameters of each.

        The weights of all convolutions, transposed or not, are drawn anew: normal, mean 0, standard deviation 0.05; those
        of the norms stay 1 and all biases become 0.
        """
        raise NotImplementedError("DCGAN.__init__: first weights by the kind of layer, then two optimisers")

    def discriminator_step(self, real: Tensor, z: Tensor) -> float:
        """One update of the discriminator: -log p(real) on real images plus -log p(forged) on forgeries, each a mean.

        It sees the real images in one batch and the forgeries in another, real ones first: batch norm must not mix them.

        real (N, 1, Y, Y)  real images
        z (N, Z)           noise for as many forgeries

        Returns the loss before the update, a Python float.
        """
        raise NotImplementedError(
            "DCGAN.discriminator_step: training mode, forgeries without the way back, two batches, one update"
        )

    def generator_step(self, z: Tensor) -> float:
        """One update of the generator: the mean of -log p(real) on its forgeries.

        z (N, Z)  noise for N forgeries

        Returns the loss before the update, a Python float.
        """
        raise NotImplementedError(
            "DCGAN.generator_step: training mode, the way back through the discriminator, one update"
        )

    def forge(self, z: Tensor) -> Tensor:
        """Images to show: with the running statistics, so that an image depends on its own noise alone.

        z (N, Z)             standard normal noise, N at least 1

        Returns forgeries that carry no graph, and leaves both networks, modes and running statistics too, as they were.
        images (N, 1, Y, Y)  between -1 and 1
        """
        raise NotImplementedError("DCGAN.forge: evaluation mode, no graph, and back to the mode that it was in")


def fit(gan: DCGAN, images: Tensor, batches: Tensor, noise: Tensor) -> list[tuple[float, float]]:
    """In every step one update of the discriminator, then one of the generator, with fresh noise for each.

    images (M, 1, Y, Y)  training images
    batches (S, N)       int64: in step s the discriminator sees the rows batches[s] of images ...
    noise (S, 2, N, Z)   ... and forgeries from noise[s, 0]; the generator then forges from noise[s, 1]

    Returns a list of S pairs of Python floats: the losses of both updates of each step, discriminator first.
    """
    raise NotImplementedError("fit: two calls per step")
