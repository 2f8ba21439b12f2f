"""A U-Net that outlines blood vessels, the loss that finds them though they are few, and the metrics that doctors read.

    image        trunk and twigs in uneven light       truth: a mask        answer: a logit for each pixel
    level 0      double ------------------- skip -----------------------> join, double -> head
    level 1        pool, double ----------- skip -------------> join, double, up
    level 2          pool, double ------------------------------> up          (depth 2)

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    soft_dice          how far probabilities overlap with the truth, image by image
    segmentation_loss  what is learnt from: 1 - Dice, plus the cross-entropy of the pixels
    DoubleConv         convolution, norm, leaky ReLU, and once more
    join               a skip beside what comes up from below, which may be a row or a column short
    UNet               down, and up again with skips
    iou                the overlap of two masks
    surface            the outermost pixels of a mask
    surface_scores     how far two outlines are apart, in millimetres

`fit` is given, and complete: there is nothing to write in it.

Letters in shapes: N images, C channels, H rows, W columns, F filters; P rows and Q columns of a map that comes up from
below. An image has one mask. Where nothing else is said, results have the dtype of their arguments or weights. Leave
every argument as it was. The names of layers and parameters are part of the task: the suite loads its own weights into them.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def soft_dice(logits: Tensor, truth: Tensor, smooth: float = 1.0) -> Tensor:
    """The overlap of probabilities with the truth, for each image on its own: (2 sum(p t) + s) / (sum(p) + sum(t) + s).

    p is the sigmoid of the logits and t the truth; the sums run over the pixels of one image.

    logits (N, H, W)  of any size
    truth (N, H, W)   1 where there is a vessel, else 0; a share in between where readers disagreed
    smooth            s, positive: with it, nothing found where there is nothing is a Dice of 1

    Returns one number per image, through which gradients reach the logits.
    dice (N,)         1 where p is t, as long as t is 0 or 1
    """
    raise NotImplementedError("soft_dice: probabilities first, then three sums for each image")


def segmentation_loss(logits: Tensor, truth: Tensor, smooth: float = 1.0) -> Tensor:
    """The mean over images of 1 - soft_dice, plus the mean over all pixels of the cross-entropy in nats.

    logits (N, H, W)  of any size: the loss and its gradients stay finite
    truth (N, H, W)   as soft_dice takes it; the cross-entropy of a pixel is -t log p - (1 - t) log(1 - p)
    smooth            that of soft_dice, positive

    Returns a number as a tensor, through which gradients reach the logits.
    loss ()           both terms together
    """
    raise NotImplementedError(
        "segmentation_loss: both terms from the logits, the second without a logarithm of a rounded probability"
    )


class DoubleConv(nn.Module):
    """Twice: a 3 x 3 convolution with a border of zeros and no bias, instance norm, a leaky ReLU of slope 0.01.

    Instance norm: each channel of each image is brought to mean 0 and variance 1 by its own pixels (the variance is
    divided by their number, and 1e-5 is added to it under the root), in both modes; then times a weight, plus a bias.

    conv1 = nn.Conv2d(C, F)      weight (F, C, 3, 3)
    norm1 = nn.InstanceNorm2d(F) weight (F,) and bias (F,)
    conv2 = nn.Conv2d(F, F)      weight (F, F, 3, 3)
    norm2 = nn.InstanceNorm2d(F) weight (F,) and bias (F,)

    First values are torch's: convolutions within 1 / sqrt(9 channels read), norms at weight 1 and bias 0.
    """

    def __init__(self, channels: int, filters: int, dtype: torch.dtype = torch.float32) -> None:
        """Make the four layers for C = channels and F = filters, of this dtype."""
        super().__init__()
        raise NotImplementedError(
            "DoubleConv.__init__: a norm of torch has a weight and a bias only where it is told to"
        )

    def forward(self, x: Tensor) -> Tensor:
        """Rows and columns stay as many as they were.

        x (N, C, H, W)     maps of two pixels or more

        Returns what the second leaky ReLU makes of them.
        maps (N, F, H, W)  F for each image
        """
        raise NotImplementedError("DoubleConv.forward: convolution, norm, leaky ReLU, twice")


def join(below: Tensor, skip: Tensor) -> Tensor:
    """The channels of the skip, then those that come up from below, with zeros at the bottom and the right if need be.

    A map of odd size loses its last row or column when it is halved, so what comes up may be one short.

    below (N, F, P, Q)       what comes up: P is H or H - 1, and Q is W or W - 1
    skip (N, C, H, W)        what went across

    Returns both, pixel on pixel.
    joined (N, C + F, H, W)  the skip's channels first

    Raises ValueError where P or Q is any other number.
    """
    raise NotImplementedError("join: pixel (0, 0) lies on pixel (0, 0), and channels are one axis")


class UNet(nn.Module):
    """Down `depth` times, and up again; at each level, what was seen on the way down is seen again on the way up.

    Level i has width * 2^i filters. Down: a double convolution; to each next level, the largest of every 2 x 2 pixels
    (an odd last row or column is dropped) and a double convolution. Up, from level i + 1 to level i: a transposed
    convolution that makes 2 x 2 pixels of each, join with the skip, which is the result of down[i], and a double
    convolution. At the end a logit for each pixel.

    down.0 ... down.depth       DoubleConv: C to width, and from width * 2^(i - 1) to width * 2^i
    up.0 ... up.(depth - 1)     nn.ConvTranspose2d: from width * 2^(i + 1) to width * 2^i, kernel and stride 2
    merge.0 ... merge.(depth - 1)  DoubleConv: from 2 * width * 2^i to width * 2^i, after up.i
    head                        nn.Conv2d: width to 1, kernel 1
    """

    def __init__(
        self, channels: int, width: int, depth: int, skips: bool = True, dtype: torch.dtype = torch.float32
    ) -> None:
        """Make the layers for C = channels, of this dtype; first values are torch's.

        depth  at least 1
        skips  whether the skips carry anything: if not, zeros stand in their place, and all else is the same
        """
        super().__init__()
        raise NotImplementedError("UNet.__init__: three lists of modules, numbered by level, and a head")

    def forward(self, images: Tensor) -> Tensor:
        """Answer for every pixel.

        images (N, C, H, W)  of any sizes, also odd ones

        Returns unnormalised scores, no sigmoid.
        logits (N, H, W)     one for each pixel

        Raises ValueError where maps of the deepest level would have fewer than two pixels, in both modes: one number
        has no spread, and its norm would be 0 whatever it is.
        """
        raise NotImplementedError(
            "UNet.forward: remember each level's result on the way down, and use them in reverse on the way up"
        )


def iou(prediction: Tensor, truth: Tensor) -> Tensor:
    """Pixels in both masks, as a share of the pixels in either, for each image on its own.

    prediction (N, H, W)  bool
    truth (N, H, W)       bool

    Returns one float64 number per image.
    shares (N,)           1 where both masks are empty
    """
    raise NotImplementedError("iou: two counts for each image, and the empty ones apart")


def surface(mask: Tensor) -> Tensor:
    """The pixels of a mask of which at least one of the four neighbours, above, below, left or right, is not in it.

    mask (H, W)     bool; what lies beyond the edge of the image is not in it

    Returns a mask again.
    outline (H, W)  bool
    """
    raise NotImplementedError("surface: a border of False all round, and then four shifted copies")


def surface_scores(
    prediction: Tensor, truth: Tensor, spacing: tuple[float, float], tolerance: float
) -> tuple[float, float]:
    """Compare the surfaces of two masks of one image: the surface Dice, and the Hausdorff distance at 95 per cent.

    For each pixel of either surface, take the distance to the nearest pixel of the other surface, from centre to centre.
    The surface Dice is the share of all these pixels, of both surfaces together, whose distance is at most `tolerance`.
    The Hausdorff distance is the larger of two 95th percentiles, of the distances from prediction to truth and of those
    from truth to prediction; a percentile is interpolated linearly between its neighbours, as torch and numpy do.

    prediction (H, W)  bool
    truth (H, W)       bool
    spacing            (millimetres from a row to the next, millimetres from a column to the next), both positive
    tolerance          in millimetres, from 0

    Returns (surface_dice, hausdorff), Python floats from float64: (1.0, 0.0) where both masks are empty. Where one of
    them is, (0.0, diagonal): the root of (H * spacing[0])^2 + (W * spacing[1])^2, so that means over images stay finite.
    """
    raise NotImplementedError(
        "surface_scores: places in millimetres, one table of distances, its smallest along either axis"
    )


def fit(
    model: UNet, images: Tensor, truth: Tensor, batches: Tensor, learning_rate: float, smooth: float = 1.0
) -> list[float]:
    """Given: train the model in place with Adam, a batch of rows in each step, and return the loss before each."""
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate)
    losses = []
    for rows in batches:
        loss = segmentation_loss(model(images[rows]), truth[rows], smooth)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses
