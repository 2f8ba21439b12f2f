"""The fixture `record`: what a person would rather see than read, made by the learner's own model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from grader.scorecard import Curve, Image, Images, Matrix, Picture, Text

_MOST_POINTS = 400
_MOST_SIDE = 128
_MOST_IMAGES = 64


class Recorder:
    """Collects the pictures of one test. Values may come from the learner: they are read as numbers, and bounded."""

    def __init__(self) -> None:
        self.pictures: list[Picture] = []

    def curve(self, name: str, values: Any, baseline: float | None = None) -> None:
        """A value per step (T,), beside the baseline that it has to beat; long curves are thinned evenly."""
        import numpy

        points = _numbers(values, 1)
        if len(points) > _MOST_POINTS:
            points = points[numpy.linspace(0, len(points) - 1, _MOST_POINTS).round().astype(int)]
        self.pictures.append(Curve(name, tuple(points.tolist()), None if baseline is None else float(baseline)))

    def image(self, name: str, pixels: Any) -> None:
        """Grey values (H, W)."""
        self.pictures.append(Image(name, _rows(_numbers(pixels, 2))))

    def images(self, name: str, images: Any) -> None:
        """Grey values (N, H, W)."""
        self.pictures.append(Images(name, tuple(_rows(one) for one in _numbers(images, 3)[:_MOST_IMAGES])))

    def matrix(self, name: str, values: Any, labels: Sequence[str] = ()) -> None:
        """Labelled numbers (R, C), such as a confusion matrix or an attention map."""
        self.pictures.append(Matrix(name, _rows(_numbers(values, 2)), tuple(str(label) for label in labels)))

    def text(self, name: str, text: str) -> None:
        """Text that the learner's model wrote."""
        self.pictures.append(Text(name, str(text)))


def _numbers(values: Any, dimensions: int) -> Any:
    import numpy

    if hasattr(values, "detach"):
        values = values.detach().numpy()
    array = numpy.asarray(values, dtype=float)
    if array.ndim != dimensions:
        raise ValueError(f"a picture with {array.ndim} dimensions, expected {dimensions}")
    return array


def _rows(array: Any) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in array[:_MOST_SIDE, :_MOST_SIDE].tolist())
