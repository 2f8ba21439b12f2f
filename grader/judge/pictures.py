"""The fixture `record`: what a person would rather see than read, made by the learner's own model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from grader.scorecard import Curve, Image, Images, Matrix, Numbers, Picture, Shades, Text

_MOST_POINTS = 400
_MOST_SIDE = 128
_MOST_IMAGES = 64
_LEVELS = 254  # of grey; one byte more stands for what is not finite


class Recorder:
    """Collects the pictures of one test. Values may come from the learner: they are read as numbers, and bounded."""

    def __init__(self) -> None:
        self.pictures: list[Picture] = []

    def curve(self, name: str, values: Any, baseline: float | None = None, ablation: Any = None) -> None:
        """A value per step (T,), beside the baseline that it has to beat; long curves are thinned evenly.

        ablation: the same of a twin that lacks what the task needs, over the same steps.
        """
        twin = None if ablation is None else _thinned(ablation)
        self.pictures.append(Curve(_plain(name), _thinned(values), None if baseline is None else float(baseline), twin))

    def image(self, name: str, pixels: Any) -> None:
        """Grey values (H, W)."""
        self.pictures.append(Image(_plain(name), _shades(_array(pixels, 2)[:_MOST_SIDE, :_MOST_SIDE])))

    def images(self, name: str, images: Any, columns: int = 0) -> None:
        """Grey values (N, H, W), on one scale; `columns` in a row, such as an original and what was made of it."""
        shown = _array(images, 3)[:_MOST_IMAGES, :_MOST_SIDE, :_MOST_SIDE]
        self.pictures.append(Images(_plain(name), _shades(shown), columns))

    def matrix(self, name: str, values: Any, labels: Sequence[str] = ()) -> None:
        """Labelled numbers (R, C), such as a confusion matrix or an attention map."""
        shown = _numbers(_array(values, 2)[:_MOST_SIDE, :_MOST_SIDE])
        self.pictures.append(Matrix(_plain(name), shown, tuple(str(label) for label in labels)))

    def text(self, name: str, text: str) -> None:
        """Text that the learner's model wrote."""
        self.pictures.append(Text(_plain(name), str(text)))


def _plain(name: object) -> str:
    """The name of a picture; raises TypeError for a text with fields, which no report could find the Chinese of."""
    if type(name) is not str:
        raise TypeError(f"the name of a picture is a plain string, not {type(name).__name__}")
    return name


def _array(values: Any, dimensions: int) -> Any:
    import numpy

    if hasattr(values, "detach"):
        values = values.detach().numpy()
    array = numpy.asarray(values, dtype=float)
    if array.ndim != dimensions:
        raise ValueError(f"a picture with {array.ndim} dimensions, expected {dimensions}")
    return array


def _thinned(values: Any) -> Numbers:
    """A curve of bounded length, which has the first and the last value."""
    import numpy

    points = _array(values, 1)
    if len(points) > _MOST_POINTS:
        points = points[numpy.linspace(0, len(points) - 1, _MOST_POINTS).round().astype(int)]
    return _numbers(points)


def _numbers(array: Any) -> Numbers:
    import numpy

    with numpy.errstate(over="ignore"):  # what float32 does not reach is shown as not finite
        single = array.astype("<f4")
    return Numbers(
        single.shape, numpy.where(numpy.isfinite(single), single, numpy.float32("nan")).astype("<f4").tobytes()
    )


def _shades(array: Any) -> Shades:
    import numpy

    finite = numpy.isfinite(array)
    seen = numpy.clip(array[finite], -1e30, 1e30)  # so that their span is finite, too
    low, high = (float(seen.min()), float(seen.max())) if seen.size else (0.0, 0.0)
    levels = numpy.zeros(array.shape) if high == low else (numpy.clip(array, low, high) - low) / (high - low) * _LEVELS
    shades = numpy.where(finite, numpy.nan_to_num(levels).round(), _LEVELS + 1).astype(numpy.uint8)
    return Shades(shades.shape, shades.tobytes(), low, high)
