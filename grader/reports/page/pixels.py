"""Grey images as PNG in data addresses: a page holds them, and asks nobody for them."""

from __future__ import annotations

import io
from base64 import b64encode
from typing import Any

from grader.scorecard import Shades

_LEVELS = 254
_MISSING = (214, 60, 60)  # where a pixel was not finite
_PER_ROW = 8


def addresses(shades: Shades) -> list[str]:
    """One for each image (H, W) of an array (..., H, W)."""
    import numpy

    levels = numpy.frombuffer(shades.data, numpy.uint8).reshape(-1, *shades.shape[-2:])
    grey = (numpy.minimum(levels, _LEVELS) * (255 / _LEVELS)).round().astype(numpy.uint8)
    colours = numpy.where((levels > _LEVELS)[..., None], numpy.array(_MISSING, numpy.uint8), grey[..., None])
    return [_png(image) for image in colours]


def per_row(count: int) -> int:
    """How many images stand side by side where nobody asked for a number."""
    return min(count, _PER_ROW)


def _png(image: Any) -> str:
    from matplotlib.image import imsave

    file = io.BytesIO()
    nothing: dict[str, Any] = {"Software": None}  # else the version of matplotlib
    imsave(file, image, format="png", metadata=nothing, origin="upper")
    return f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"
