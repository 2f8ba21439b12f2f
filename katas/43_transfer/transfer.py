"""Transfer: a trunk that was trained elsewhere, on plenty, learns a new crop disease from five photos of each kind.

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    FixedNorm         batch norm whose statistics stay, in both modes
    Network.forward   scale photos as the trunk's own were scaled, then the stages, a mean, the head
    Adapter           a low-rank correction beside a convolution that stays (LoRA); merged(), one convolution again
    transfer          a copy of the network with a new head, and with adapters if you like
    thaw              what trains: the head, and the last few stages
    parameter_groups  each parameter once, slower the further it is from the head
    merge             the network without its adapters, with the same answers
    macro_f1          the score, where most plants are healthy

Letters in shapes: N photos of C channels, Y rows and X columns; F filters of a convolution, R the rank of an adapter; S
stages, K classes; M photos in all, B training steps. Results have the dtype of their arguments or weights. Leave every
argument as it was, the model of fit and thaw aside. The names of layers, parameters and statistics are part of the task:
the suite loads its own numbers into them.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class FixedNorm(nn.Module):
    """weight * (x - running_mean) / sqrt(running_var + eps) + bias, each channel by itself, in either mode.

    weight, bias               nn.Parameter (C,)   start at one and zero
    running_mean, running_var  buffers (C,)        start at zero and one; they came with the trunk, and never move
    """

    def __init__(self, channels: int, eps: float = 1e-5, dtype: torch.dtype = torch.float32) -> None:
        """Make two parameters and two buffers for C = channels, all of this dtype; eps is added to the variance."""
        super().__init__()
        raise NotImplementedError("FixedNorm.__init__: two parameters, two buffers, and remember eps")

    def forward(self, x: Tensor) -> Tensor:
        """Normalise every channel by the statistics that are kept, whatever the batch is and whatever the mode.

        x (N, C, Y, X)  any numbers

        Returns as many numbers.
        y (N, C, Y, X)  gradients pass to x, weight and bias
        """
        raise NotImplementedError("FixedNorm.forward: the formula above, with (C,) made ready to meet (N, C, Y, X)")


class Stage(nn.Module):
    """ReLU(norm(conv(x))). This one is written for you.

    conv = nn.Conv2d(C, F, kernel, stride, kernel // 2, bias=bias)   an Adapter may take its place
    norm = FixedNorm(F)
    """

    def __init__(
        self,
        channels: int,
        filters: int,
        kernel: int = 3,
        stride: int = 1,
        bias: bool = False,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Make the layers for C = channels and F = filters, all of this dtype."""
        super().__init__()
        self.conv: nn.Module = nn.Conv2d(channels, filters, kernel, stride, kernel // 2, bias=bias, dtype=dtype)
        self.norm = FixedNorm(filters, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        """From x (N, C, Y, X) to as many maps as there are filters."""
        return F.relu(self.norm(self.conv(x)))


class Network(nn.Module):
    """A trunk of S stages, and a head. The constructor is written for you.

    mean, std   buffers (C,)                 of the photos that the trunk was trained on, channel by channel
    stages = nn.ModuleList of S Stages       the second has stride 2, all others stride 1
    head = nn.Linear(widths[-1], K)
    """

    def __init__(self, channels: int, widths: list[int], classes: int, dtype: torch.dtype = torch.float32) -> None:
        """Make the layers for C = channels, S = len(widths) and K = classes, all of this dtype."""
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels, dtype=dtype))
        self.register_buffer("std", torch.ones(channels, dtype=dtype))
        pairs = zip([channels, *widths], widths, strict=False)
        self.stages = nn.ModuleList(
            Stage(before, after, stride=2 if place == 1 else 1, dtype=dtype)
            for place, (before, after) in enumerate(pairs)
        )
        self.head = nn.Linear(widths[-1], classes, dtype=dtype)

    def forward(self, images: Tensor) -> Tensor:
        """Look at every photo, and answer with one score per class.

        images (N, C, Y, X)  as the camera gave them: they are scaled here, (images - mean) / std, as the trunk's own were

        Returns unnormalised scores: those of the head, for the mean over rows and columns of what the last stage returned.
        logits (N, K)
        """
        raise NotImplementedError(
            "Network.forward: scale by the trunk's own numbers, every stage in turn, the mean of each map, the head"
        )


class Adapter(nn.Module):
    """base(x) + alpha / R * up(down(x)): a convolution that stays, and a correction of rank R beside it.

    base                                         a copy of the convolution; none of its parameters requires grad
    down = nn.Conv2d(C, R, ..., bias=False)      kernel, stride and padding of base; starts as torch draws it
    up = nn.Conv2d(R, F, 1, bias=False)          starts at zero, so that the answers start as they were
    """

    def __init__(self, conv: nn.Conv2d, rank: int, alpha: float) -> None:
        """Make the three layers, all of the dtype of conv, which is left as it was; R = rank is at least 1."""
        super().__init__()
        raise NotImplementedError("Adapter.__init__: a frozen copy of conv, then down like conv, and up at zero")

    def forward(self, x: Tensor) -> Tensor:
        """What base makes of x, corrected.

        x (N, C, Y, X)  maps

        Returns as many maps as base has filters.
        y (N, F, Y', X')  of the size that base gives them
        """
        raise NotImplementedError("Adapter.forward: the sum of base, and of the two small layers by their scale")

    def merged(self) -> nn.Conv2d:
        """One new convolution that gives what the adapter gives, at the cost of base alone; nothing here changes."""
        raise NotImplementedError(
            "Adapter.merged: a copy of base, whose weight has the product of up and down added to it"
        )


def transfer(source: Network, classes: int, rank: int = 0, alpha: float = 1.0) -> Network:
    """Begin a new task where an old one ended.

    source   a trained network, without adapters; it is left as it was, for it may serve many crops
    classes  K of the new task
    rank     0, or the rank of an adapter around the convolution of every stage
    alpha    of these adapters

    Returns a network of its own memory: mean, std and stages with the numbers of source, the head new, as torch draws it.
    """
    raise NotImplementedError(
        "transfer: a copy down to the last tensor, a new head of the same dtype, an adapter for each convolution"
    )


def thaw(model: Network, count: int) -> None:
    """Let the head and the last `count` stages train, and nothing else: set requires_grad of every parameter of the model.

    In a stage that trains, convolution and norm train, or the norm and the two small layers of the adapter: the base of an
    adapter never does. Whatever trained before and is not named here is frozen again.

    count  from 0, the head alone, to S or more, every stage
    """
    raise NotImplementedError("thaw: freeze everything; then the head, then the last stages, then the bases again")


def parameter_groups(model: Network, rate: float, falloff: float, decay: float) -> list[dict]:
    """Groups for an optimiser of torch: every parameter that requires grad in exactly one, and no other parameter.

    The head learns at `rate`, the last stage at rate * falloff, the one before at rate * falloff ** 2, and so on: what
    lies near the photo is general and moves little. Weights of convolutions and of the head decay, by `decay`; norms and
    biases do not.

    Returns a list of dicts, as many as you like in any order, each with:
    "params"        a list of parameters, at least one
    "lr"            a Python float, their learning rate
    "weight_decay"  a Python float, decay or 0
    """
    raise NotImplementedError(
        "parameter_groups: the head, then the stages from the last to the first; in each, two groups told apart by their axes"
    )


def fit(
    model: Network,
    images: Tensor,
    labels: Tensor,
    batches: Tensor,
    count: int,
    rate: float,
    falloff: float,
    decay: float,
) -> list[float]:
    """Train the head and the last `count` stages in place with SGD, momentum 0.9. This one is written for you.

    Call it with a growing count, and the network thaws by and by. Afterwards the model is in the mode in which it came.

    images (M, C, Y, X)  training photos
    labels (M,)          int64, their classes
    batches (B, N)       int64: step b trains on the rows batches[b]

    Returns a list of B Python floats.
    losses (B,)          mean cross-entropy of each step's batch in nats, before that step's update
    """
    thaw(model, count)
    optimiser = torch.optim.SGD(parameter_groups(model, rate, falloff, decay), momentum=0.9)
    mode, losses = model.training, []
    model.train()  # a norm that listens to this would move
    for rows in batches:
        loss = F.cross_entropy(model(images[rows]), labels[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    model.train(mode)
    return losses


def merge(model: Network) -> Network:
    """A network of its own memory that answers as the model does and has a plain convolution in place of each adapter.

    The model may have adapters in every stage or in none; it is left as it was.
    """
    raise NotImplementedError("merge: a copy, in which every adapter gives way to what it merges to")


def macro_f1(answers: Tensor, labels: Tensor, classes: int) -> float:
    """The mean over classes of F1 = 2 * right / (answered + there), each class counting the same, however rare it is.

    answers (M,)  int64, from 0 to classes - 1, what the network said
    labels (M,)   int64, from 0 to classes - 1, what it was

    Of a class, right counts the photos of it that were answered with it, answered those that were answered with it, there
    those that are of it. A class that is neither there nor answered is left out of the mean. M is at least 1.

    Returns a Python float from 0 to 1.
    """
    raise NotImplementedError(
        "macro_f1: three counts per class, F1 where there is something to count, the mean of these"
    )
