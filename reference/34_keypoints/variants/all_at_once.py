"""All at once: every sample's homography in one batch, by QR and a small SVD; cells as one table of centres."""

import torch
from torch import Tensor, nn


def _cells(height: int, width: int, stride: float, dtype: torch.dtype) -> Tensor:
    """The centres (H * W, 2) of all cells, row by row."""
    y, x = torch.meshgrid(torch.arange(height, dtype=dtype), torch.arange(width, dtype=dtype), indexing="ij")
    return stride * torch.stack([x, y], dim=-1).reshape(-1, 2) + stride / 2


def gaussian_maps(points: Tensor, height: int, width: int, stride: float, sigma: float) -> Tensor:
    squares = (points.unsqueeze(2) - _cells(height, width, stride, points.dtype)).square().sum(3)
    squares = squares - squares.min(2, keepdim=True).values
    bells = torch.exp(-squares / (2 * sigma * sigma))
    bells = bells / bells.sum(2, keepdim=True)
    return bells.reshape(*points.shape[:2], height, width)


def masked_loss(logits: Tensor, maps: Tensor, visible: Tensor) -> Tensor:
    picture, point = visible.nonzero(as_tuple=True)
    score = logits[picture, point]
    below = score.logsumexp((1, 2), keepdim=True) - score
    return (maps[picture, point] * below).sum() / max(len(point), 1)


def soft_argmax(logits: Tensor, stride: float) -> Tensor:
    height, width = logits.shape[2:]
    weights = torch.softmax(logits.reshape(*logits.shape[:2], -1), -1)
    return weights @ _cells(height, width, stride, logits.dtype)


def project(matrix: Tensor, points: Tensor) -> Tensor:
    x, y = points[..., 0, None], points[..., 1, None]
    numbers = matrix[..., None, :, 0] * x + matrix[..., None, :, 1] * y + matrix[..., None, :, 2]
    return numbers[..., :2] / numbers[..., 2:]


def _similarity(points: Tensor) -> Tensor:
    """The normalising similarities (B, 3, 3) of batches of points (B, N, 2)."""
    middle = points.mean(1)
    scale = 2**0.5 / (points - middle[:, None]).norm(dim=2).mean(1)
    moves = scale[:, None, None] * torch.eye(3, dtype=points.dtype)
    moves[:, :2, 2] = -scale[:, None] * middle
    moves[:, 2, 2] = 1
    return moves


def _solved(source: Tensor, target: Tensor) -> Tensor:
    """Homographies (B, 3, 3) of batches of pairs (B, N, 2)."""
    first, second = _similarity(source), _similarity(target)
    near, far = project(first, source), project(second, target)
    near = torch.cat([near, torch.ones_like(near[..., :1])], dim=2)
    none = torch.zeros_like(near)
    upper = torch.cat([near, none, -far[..., :1] * near], dim=2)
    lower = torch.cat([none, near, -far[..., 1:] * near], dim=2)
    rows = torch.stack([upper, lower], dim=2).flatten(1, 2)
    if rows.shape[1] > 9:
        rows = torch.linalg.qr(rows).R
    h = torch.linalg.svd(rows, full_matrices=True).Vh[:, -1].reshape(-1, 3, 3)
    whole = torch.linalg.solve(second, h @ first)
    return whole / whole[:, 2:, 2:]


def homography(source: Tensor, target: Tensor) -> Tensor:
    return _solved(source[None], target[None])[0]


def ransac(source: Tensor, target: Tensor, samples: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    matrices = _solved(source[samples], target[samples])
    inliers = (project(matrices, source[None]) - target).norm(dim=2) <= threshold
    counts = inliers.sum(1).tolist()
    winner = inliers[counts.index(max(counts))]
    return homography(source[winner], target[winner]), winner


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
