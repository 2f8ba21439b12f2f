"""Axis by axis: a map is the product of two bells, a point two means, and the least of A h comes from A transposed times A."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def _centres(count: int, stride: float, like: Tensor) -> Tensor:
    return torch.linspace(stride / 2, (count - 0.5) * stride, count, dtype=like.dtype)


def _bell(place: Tensor, centres: Tensor, sigma: float) -> Tensor:
    return F.softmax(-0.5 * ((place.unsqueeze(-1) - centres) / sigma) ** 2, dim=-1)


def gaussian_maps(points: Tensor, height: int, width: int, stride: float, sigma: float) -> Tensor:
    across = _bell(points[..., 0], _centres(width, stride, points), sigma)
    down = _bell(points[..., 1], _centres(height, stride, points), sigma)
    return torch.einsum("nkh,nkw->nkhw", down, across)


def masked_loss(logits: Tensor, maps: Tensor, visible: Tensor) -> Tensor:
    hidden = ~visible[:, :, None, None]
    log_p = logits - logits.logsumexp(dim=(2, 3), keepdim=True)
    per_point = -(maps.masked_fill(hidden, 0.0) * log_p).sum(dim=(2, 3))
    seen = int(visible.sum())
    return per_point.sum() / max(seen, 1)


def soft_argmax(logits: Tensor, stride: float) -> Tensor:
    height, width = logits.shape[-2:]
    p = (logits - logits.logsumexp(dim=(2, 3), keepdim=True)).exp()
    x = torch.einsum("nkhw,w->nk", p, _centres(width, stride, logits))
    y = torch.einsum("nkhw,h->nk", p, _centres(height, stride, logits))
    return torch.stack((x, y), dim=-1)


def project(matrix: Tensor, points: Tensor) -> Tensor:
    longer = F.pad(points, (0, 1), value=1.0) @ matrix.T
    return longer[:, :2] / longer[:, 2:3]


def homography(source: Tensor, target: Tensor) -> Tensor:
    def shrunk(points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        middle = points.mean(0)
        distance = torch.linalg.vector_norm(points - middle, dim=1).mean()
        return (points - middle) * (2**0.5 / distance), middle, 2**0.5 / distance

    (near, near_middle, near_scale), (far, far_middle, far_scale) = shrunk(source), shrunk(target)
    square = torch.zeros(9, 9, dtype=source.dtype)
    for axis in (0, 1):
        rows = torch.zeros(len(near), 9, dtype=source.dtype)
        rows[:, 3 * axis : 3 * axis + 2], rows[:, 3 * axis + 2] = near, 1.0
        rows[:, 6:8], rows[:, 8] = -far[:, axis, None] * near, -far[:, axis]
        square += rows.T @ rows
    h = torch.linalg.eigh(square).eigenvectors[:, 0].view(3, 3)
    first = torch.diag(torch.stack([near_scale, near_scale, torch.ones_like(near_scale)]))
    first[:2, 2] = -near_scale * near_middle
    back = torch.diag(torch.stack([1 / far_scale, 1 / far_scale, torch.ones_like(far_scale)]))
    back[:2, 2] = far_middle
    whole = back @ h @ first
    return whole / whole[2, 2]


def ransac(source: Tensor, target: Tensor, samples: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    agreeing = []
    for rows in samples.tolist():
        error = project(homography(source[rows], target[rows]), source) - target
        agreeing.append(torch.hypot(error[:, 0], error[:, 1]) <= threshold)
    winner = max(agreeing, key=lambda inliers: int(inliers.sum()))
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
