"""Key points for augmented reality: where in the picture is each point of a marker, and what plane do they lie on?

    picture  →  network  →  one map per key point  →  points  →  homography, though some points are wrong  →  draw on the marker

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    gaussian_maps  what the network is trained towards: a bell round each key point, on a map coarser than the picture
    masked_loss    learn from the key points that can be seen, and from no others
    soft_argmax    from a map to a point, between its cells too
    project        through a homography, from the marker to the picture
    homography     back from pairs of points to the matrix: the direct linear transform, normalised
    ransac         the same when some of the pairs are wrong

`Detector` and `fit` are given, and complete: there is nothing to write in them.

Letters in shapes: N pictures or pairs of points, K key points, H rows and W columns of a map, S samples. A point is x, y: x to
the right, y down. The picture begins at (0, 0), and its pixels are squares of side 1. A map covers the picture with cells
that are squares of side `stride`, so that the cell in row r and column c has its centre at x = (c + 0.5) * stride,
y = (r + 0.5) * stride. Where nothing else is said, results have the dtype of the arguments. Gradients are asked of two functions
alone: of masked_loss by the logits, and of soft_argmax. Leave every argument as it was.
"""

import torch
from torch import Tensor, nn


def gaussian_maps(points: Tensor, height: int, width: int, stride: float, sigma: float) -> Tensor:
    """A bell round each key point: in each cell exp(-d * d / (2 * sigma * sigma)), divided by its sum over the map.

    d is the distance in pixels from the key point, wherever in its cell it lies, to the centre of the cell.

    points (N, K, 2)  x, y in pixels; it may lie outside of the picture, ever so far
    height            H, cells from top to bottom
    width             W, cells from left to right
    stride            side of a cell in pixels, a positive number
    sigma             standard deviation of the bell in pixels, a positive number

    Returns one map for each key point, which nobody differentiates; each sums to 1, wherever the key point is.
    maps (N, K, H, W)
    """
    raise NotImplementedError(
        "gaussian_maps: distances along each axis, and an exponential that does not vanish where all cells are far"
    )


def masked_loss(logits: Tensor, maps: Tensor, visible: Tensor) -> Tensor:
    """The mean cross-entropy in nats over the key points that can be seen: those alone, and divided by their number.

    For one key point it is -sum(maps * ln p) over the cells, where p is the softmax of its logits over all H * W cells.

    logits (N, K, H, W)  unnormalised scores of any size
    maps (N, K, H, W)    what p should be; where a key point cannot be seen stands anything at all, NaN too
    visible (N, K)       bool, True where the key point can be seen; it may be True nowhere

    Returns a number as a tensor of shape (), 0 where nothing can be seen; its gradient by the logits is finite, and 0 for
    the key points that cannot be seen.
    loss ()
    """
    raise NotImplementedError("masked_loss: choose what can be seen before anything else looks at the maps")


def soft_argmax(logits: Tensor, stride: float) -> Tensor:
    """The mean of the cells' centres, each weighed by p, the softmax of the logits over all H * W cells.

    logits (N, K, H, W)  unnormalised scores of any size
    stride               side of a cell in pixels, a positive number

    Returns x, y in pixels of the picture; gradients reach the logits.
    points (N, K, 2)
    """
    raise NotImplementedError("soft_argmax: one softmax over both axes, then a mean of columns and a mean of rows")


def project(matrix: Tensor, points: Tensor) -> Tensor:
    """Where a homography takes points: matrix @ (x, y, 1) = (a, b, w) is the point (a / w, b / w).

    matrix (3, 3)  float64, of any scale, negative too
    points (N, 2)  float64; w is 0 for none of them

    Returns as many points.
    projected (N, 2)
    """
    raise NotImplementedError("project: append a one, multiply, divide by the third")


def homography(source: Tensor, target: Tensor) -> Tensor:
    """The normalised direct linear transform: the matrix that takes each source point near its target point.

    Normalise: move and scale the source points so that their mean is (0, 0) and their mean distance from it is sqrt(2), and
    the target points likewise, by numbers of their own.
    Solve: a pair (x, y), (u, v) of normalised points gives the two rows

        x  y  1  0  0  0  -u*x  -u*y  -u
        0  0  0  x  y  1  -v*x  -v*y  -v

    of a matrix A (2N, 9). The nine numbers h of length 1 for which the length of A h is smallest are, row by row, the
    homography between normalised points.
    Undo: the result takes points as they were given.

    source (N, 2)  float64 or float32, at least 4 pairs, up to 5003; four of the source points have no three on a line
    target (N, 2)  of the same dtype

    Returns the matrix, scaled so that its last number is 1: that number is not 0, because the camera sees the origin.
    matrix (3, 3)
    """
    raise NotImplementedError(
        "homography: two similarities, one vector of the smallest length, and a product of three matrices"
    )


def ransac(source: Tensor, target: Tensor, samples: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """A homography from pairs of which some are wrong: the one on which most pairs agree, made once more from those.

    Each sample makes a homography of its four pairs. A pair agrees with it, and is an inlier, if the projected source point is
    at most `threshold` away from the target point. The sample with the most inliers wins, the first of equals. At the
    end `homography` of all inliers of the winner.

    source (N, 2)   float64, at least 4 pairs
    target (N, 2)   float64
    samples (S, 4)  int64, four different rows in each; of their source points no three lie on a line
    threshold       pixels, a positive number

    Returns (matrix, inliers), the inliers being those of the winner that the matrix was made of.
    matrix (3, 3)
    inliers (N,)  bool
    """
    raise NotImplementedError("ransac: count, keep the best so far, and fit once more")


class Detector(nn.Module):
    """Given: four convolutions, the first two of stride 2: pictures (N, 1, 4H, 4W) to logits (N, K, H, W)."""

    def __init__(self, keypoints: int, channels: int, dtype: torch.dtype = torch.float32) -> None:
        """Make them for K = keypoints."""
        super().__init__()
        wide = 2 * channels
        self.first = nn.Conv2d(1, channels, 5, stride=2, padding=2, dtype=dtype)
        self.second = nn.Conv2d(channels, wide, 5, stride=2, padding=2, dtype=dtype)
        self.third = nn.Conv2d(wide, wide, 3, padding=1, dtype=dtype)
        self.head = nn.Conv2d(wide, keypoints, 3, padding=1, dtype=dtype)

    def forward(self, pictures: Tensor) -> Tensor:
        """The logits of each key point in each cell of 4 x 4 pixels."""
        return self.head(self.third(self.second(self.first(pictures).relu()).relu()).relu())


def fit(
    model: Detector,
    pictures: Tensor,
    points: Tensor,
    visible: Tensor,
    sigma: float,
    steps: int,
    batch_size: int,
    learning_rate: float,
) -> list[float]:
    """Given: train the model in place with Adam, batch after batch in their order, at a rate that falls in a line to 0.

    Returns the loss before each step.
    """
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 - step / steps)
    losses = []
    for step in range(steps):
        batch = torch.arange(step * batch_size, (step + 1) * batch_size) % len(pictures)
        logits = model(pictures[batch])
        maps = gaussian_maps(points[batch], logits.shape[2], logits.shape[3], 4, sigma)
        loss = masked_loss(logits, maps, visible[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
    return losses
