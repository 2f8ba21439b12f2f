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
        # BEGIN SOLUTION: two parameters, two buffers, and remember momentum and eps
        self.momentum, self.eps = momentum, eps
        self.weight = nn.Parameter(torch.ones(channels, dtype=dtype))
        self.bias = nn.Parameter(torch.zeros(channels, dtype=dtype))
        self.register_buffer("running_mean", torch.zeros(channels, dtype=dtype))
        self.register_buffer("running_var", torch.ones(channels, dtype=dtype))
        # END SOLUTION

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
        # BEGIN SOLUTION: which mean and variance? then normalise; in training mode move the running statistics too
        mean, variance = self.running_mean, self.running_var
        if self.training:
            count = x.numel() // x.shape[1]
            if count == 1:
                raise ValueError(f"batch norm has one number per channel, x is {tuple(x.shape)}: it has no spread")
            mean = x.mean((0, 2, 3))
            variance = (x - mean[:, None, None]).square().mean((0, 2, 3))
            with torch.no_grad():
                self.running_mean.mul_(1 - self.momentum).add_(self.momentum * mean)
                self.running_var.mul_(1 - self.momentum).add_(self.momentum * variance * count / (count - 1))
        scale = self.weight / (variance + self.eps).sqrt()
        return (x - mean[:, None, None]) * scale[:, None, None] + self.bias[:, None, None]
        # END SOLUTION


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
    # BEGIN SOLUTION: the two sums over a channel first; dx is made of upstream, their means, and normalised
    dbias = upstream.sum((0, 2, 3))
    dweight = (upstream * normalised).sum((0, 2, 3))
    count = upstream.numel() // upstream.shape[1]
    along = (dbias / count)[:, None, None] + normalised * (dweight / count)[:, None, None]
    return (weight * inverse_std)[:, None, None] * (upstream - along), dweight, dbias
    # END SOLUTION


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
        # BEGIN SOLUTION: four layers, two more where the shape changes, and the first values of the filters
        self.conv1 = nn.Conv2d(channels, filters, 3, stride, 1, bias=False, dtype=dtype)
        self.norm1 = BatchNorm(filters, dtype=dtype)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False, dtype=dtype)
        self.norm2 = BatchNorm(filters, dtype=dtype)
        self.project = None
        if stride != 1 or channels != filters:
            self.project = nn.Conv2d(channels, filters, 1, stride, bias=False, dtype=dtype)
            self.project_norm = BatchNorm(filters, dtype=dtype)
        draw_filters(self)
        # END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        """Add to x, or to its projection, what two convolutions make of it.

        x (N, C, Y, X)  what the last block returned

        Returns the sum after its ReLU.
        y (N, F, Y', X')  Y' and X' are Y and X divided by the stride, rounded up
        """
        # BEGIN SOLUTION: the branch, the shortcut, their sum, and only then the last ReLU
        branch = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        shortcut = x if self.project is None else self.project_norm(self.project(x))
        return F.relu(branch + shortcut)
        # END SOLUTION


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
        # BEGIN SOLUTION: work out n, then stem, norm, 3n blocks and head
        count, rest = divmod(depth - 2, 6)
        if count < 1 or rest:
            raise ValueError(f"depth must be 8, 14, 20, ..., two more than a multiple of 6, not {depth}")
        self.stem = nn.Conv2d(channels, width, 3, 1, 1, bias=False, dtype=dtype)
        self.norm = BatchNorm(width, dtype=dtype)
        sizes = [width] + [width * 2**stage for stage in range(3) for _ in range(count)]
        pairs = pairwise(sizes)
        self.blocks = nn.ModuleList(Block(before, after, after // before, dtype) for before, after in pairs)
        self.head = nn.Linear(4 * width, classes, dtype=dtype)
        draw_filters(self)
        # END SOLUTION

    def forward(self, images: Tensor) -> Tensor:
        """Look at every image, and answer with one score per class.

        images (N, C, Y, X)  of any size

        Returns unnormalised scores, no softmax.
        logits (N, K)
        """
        # BEGIN SOLUTION: stem, norm, ReLU, every block in turn, the mean of each channel, the head
        x = F.relu(self.norm(self.stem(images)))
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean((2, 3)))
        # END SOLUTION


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
    # BEGIN SOLUTION: two groups of parameters, told apart by their axes; then mode, rate, loss, gradients, update
    parameters = list(model.parameters())
    filters = {"params": [each for each in parameters if each.dim() > 1], "weight_decay": decay}
    others = {"params": [each for each in parameters if each.dim() == 1]}
    optimiser = torch.optim.SGD([filters, others], lr=0.1, momentum=0.9)
    mode, losses = model.training, []
    model.train()
    for rows, rate in zip(batches, learning_rates, strict=True):
        for group in optimiser.param_groups:
            group["lr"] = rate
        loss = F.cross_entropy(model(images[rows]), labels[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    model.train(mode)
    return losses
    # END SOLUTION


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
    # BEGIN SOLUTION: mode, logits in pieces without a graph, mode; then count, per image, the classes that are lower
    mode = model.training
    model.eval()
    with torch.no_grad():
        logits = torch.cat([model(piece) for piece in images.split(size)])
    model.train(mode)
    lower = (logits < logits.gather(1, labels[:, None])).sum(1)
    rates = []
    for best in (1, k):
        right = (lower >= logits.shape[1] - best) & ~logits.isnan().any(1)
        rates.append(1 - right.double().mean().item())
    return rates[0], rates[1]
    # END SOLUTION
