"""A residual network: twenty layers deep, and every block has a road past it, so that all of them learn.

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    BatchNorm            normalise each channel: by the batch in training, by running statistics in evaluation
    batch_norm_backward  the same, backwards, by formula
    Block                two convolutions, and a shortcut around them
    ResNet               a stem, three stages of blocks, a mean over the picture, a head
    fit                  train it, with weight decay where it belongs
    error_rates          top-1 and top-k error, as image recognition reports them

Letters in shapes: N images of C channels, Y rows and X columns; F channels that come out of a block, K classes; M images,
B training steps. Results have the dtype of their arguments or weights. Leave every argument as it was, the model of fit
aside. The names of layers, parameters and running statistics are part of the task: the suite loads its own numbers into them.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class BatchNorm(nn.Module):
    """weight * (x - mean) / sqrt(variance + eps) + bias, each channel by itself.

    weight, bias               nn.Parameter (C,)   start at one and zero
    running_mean, running_var  buffers (C,)        start at zero and one; they move in training mode only
    """

    def __init__(
        self, channels: int, momentum: float = 0.1, eps: float = 1e-5, dtype: torch.dtype = torch.float32
    ) -> None:
        """Make two parameters and two buffers for C = channels, all of this dtype.

        momentum  the share of the newest batch in the running statistics, from 0 to 1
        eps       more than 0, added to the variance under the root
        """
        super().__init__()
        raise NotImplementedError("BatchNorm.__init__: two parameters, two buffers, and remember momentum and eps")

    def forward(self, x: Tensor) -> Tensor:
        """Normalise every channel; in training mode by what the batch has, and note that in the running statistics.

        x (N, C, Y, X)  any numbers; their mean may be far larger than their spread

        In training mode mean and variance are those of a channel's N * Y * X numbers, the variance divided by N * Y * X,
        and gradients pass through both. Each running statistic becomes (1 - momentum) * itself + momentum * the batch's,
        where the batch's variance is the unbiased one, divided by N * Y * X - 1; no gradient is kept in them.
        In evaluation mode the running statistics are used and stay.

        Returns as many numbers.
        y (N, C, Y, X)  normalised, stretched by weight and moved by bias
        ValueError in training mode if a channel has a single number: it has no spread.
        """
        raise NotImplementedError(
            "BatchNorm.forward: which mean and variance? then normalise; in training mode move the running statistics too"
        )


def batch_norm_backward(
    upstream: Tensor, normalised: Tensor, inverse_std: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Go back through y = weight * normalised + bias, normalised = (x - mean) * inverse_std, in training mode.

    mean and inverse_std = 1 / sqrt(variance + eps) came from x itself, so every number of a channel moves all the others.

    upstream (N, C, Y, X)    gradient of the loss by y
    normalised (N, C, Y, X)  what the forward pass kept, and ...
    inverse_std (C,)         ... this; x itself is not needed
    weight (C,)              the layer's

    Returns the gradients by x, weight and bias.
    dx (N, C, Y, X)
    dweight, dbias (C,)
    """
    raise NotImplementedError(
        "batch_norm_backward: the two sums over a channel first; dx is made of upstream, their means, and normalised"
    )


def draw_filters(module: nn.Module) -> None:
    """Draw the weights of every convolution in the module anew, in place. This one is written for you.

    Normal with mean 0 and standard deviation sqrt(2 / fan-in), where the fan-in is inputs * rows * columns of a filter:
    through a convolution and a ReLU, signals keep their size.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, 0.0, (2 / layer.weight[0].numel()) ** 0.5)


class Block(nn.Module):
    """ReLU(norm2(conv2(ReLU(norm1(conv1(x))))) + shortcut(x)): no bias in any convolution.

    conv1 = nn.Conv2d(C, F, 3, stride, 1, bias=False)
    norm1 = BatchNorm(F)
    conv2 = nn.Conv2d(F, F, 3, 1, 1, bias=False)
    norm2 = BatchNorm(F)

    The shortcut is x itself where the stride is 1 and F = C. Where one of them changes, and only there, it is
    project_norm(project(x)):

    project = nn.Conv2d(C, F, 1, stride, bias=False)
    project_norm = BatchNorm(F)
    """

    def __init__(self, channels: int, filters: int, stride: int = 1, dtype: torch.dtype = torch.float32) -> None:
        """Make the layers for C = channels and F = filters, all of this dtype; filters as draw_filters draws them."""
        super().__init__()
        raise NotImplementedError(
            "Block.__init__: four layers, two more where the shape changes, and the first values of the filters"
        )

    def forward(self, x: Tensor) -> Tensor:
        """Add to x, or to its projection, what two convolutions make of it.

        x (N, C, Y, X)  what the last block returned

        Returns the sum after its ReLU.
        y (N, F, Y', X')  Y' and X' are Y and X divided by the stride, rounded up
        """
        raise NotImplementedError("Block.forward: the branch, the shortcut, their sum, and only then the last ReLU")


class ResNet(nn.Module):
    """head(mean over rows and columns of the last block), after a stem and three stages of n blocks each.

    stem = nn.Conv2d(C, W, 3, 1, 1, bias=False)   norm and ReLU follow
    norm = BatchNorm(W)
    blocks = nn.ModuleList of 3n Blocks           n from W to W channels, n to 2W, n to 4W
    head = nn.Linear(4W, K)

    The first block of the second and of the third stage has stride 2, all others stride 1. Layers with weights, from the
    stem to the head and without projections: 6n + 2, which is the depth.
    """

    def __init__(
        self, channels: int, width: int, classes: int, depth: int = 20, dtype: torch.dtype = torch.float32
    ) -> None:
        """Make the layers for C = channels, W = width and K = classes, all of this dtype.

        Filters start as draw_filters draws them, norms at one and zero, the head as torch draws it.
        ValueError if depth is not 6n + 2 with n at least 1.
        """
        super().__init__()
        raise NotImplementedError("ResNet.__init__: work out n, then stem, norm, 3n blocks and head")

    def forward(self, images: Tensor) -> Tensor:
        """Look at every image, and answer with one score per class.

        images (N, C, Y, X)  of any size

        Returns unnormalised scores, no softmax.
        logits (N, K)
        """
        raise NotImplementedError(
            "ResNet.forward: stem, norm, ReLU, every block in turn, the mean of each channel, the head"
        )


def fit(
    model: ResNet, images: Tensor, labels: Tensor, batches: Tensor, learning_rates: list[float], decay: float
) -> list[float]:
    """Train the model in place with torch.optim.SGD, momentum 0.9, one step per batch, in training mode.

    Weight decay (that of torch.optim.SGD) is on the weights of the convolutions and of the head; norms and biases have
    none. Afterwards the model is in the mode in which it came.

    images (M, C, Y, X)  training images
    labels (M,)          int64, their classes
    batches (B, N)       int64: step b trains on the rows batches[b] ...
    learning_rates (B,)  ... and moves with learning_rates[b], a list of B Python floats

    Returns a list of B Python floats.
    losses (B,)          mean cross-entropy of each step's batch in nats, before that step's update, without the decay
    """
    raise NotImplementedError(
        "fit: two groups of parameters, told apart by their axes; then mode, rate, loss, gradients, update"
    )


def error_rates(model: ResNet, images: Tensor, labels: Tensor, size: int, k: int) -> tuple[float, float]:
    """How often the right class is not the best answer, and how often it is not among the best k.

    The model answers in evaluation mode, `size` images at a time, and the last ones may be fewer; afterwards it is in the
    mode in which it came, and nothing in it has moved.

    images (M, C, Y, X)  held-out images
    labels (M,)          int64, their classes

    The right class is among the best k where fewer than k of the other classes have a score as high as its own or
    higher: a tie counts against the network. An image with a NaN among its scores counts as wrong, whatever k is.

    Returns two Python floats: the share of the M images that is wrong for k = 1, and the same for k.
    """
    raise NotImplementedError(
        "error_rates: mode, logits in pieces without a graph, mode; then count, per image, the classes that are lower"
    )
