"""What tests recorded, as PNG: curves, images and matrices, drawn without a look at, or a change to, anybody's pyplot."""

from __future__ import annotations

import io
import math
import struct
from typing import TYPE_CHECKING, Any

from grader.messages.language import Language
from grader.reports.page.charts import array
from grader.reports.page.pixels import per_row
from grader.scorecard import Curve, Image, Images, Matrix, Numbers, Picture, Shades

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 100
_MISSING = 255  # of a grey value: it was not finite
_NOTHING = Numbers((1, 1), struct.pack("<f", math.nan))
_CELLS = 12  # the most rows and columns of a matrix whose numbers are written into it


def caption(kata: str, picture: Picture, language: Language) -> str:
    """What is to be seen, in words."""
    if isinstance(picture, Curve) and picture.baseline is not None:
        told = "{kata}: {name}; dashed: the baseline, {value:.3g}"
        return language.text(told, kata=kata, name=picture.name, value=picture.baseline)
    return language.text("{kata}: {name}", kata=kata, name=picture.name)


def png(picture: Curve | Image | Images | Matrix) -> bytes:
    """The picture as a file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=_size(picture), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    match picture:
        case Curve():
            _curve(figure, picture)
        case Image() | Images():
            rows, columns = _grid(picture)
            for place, pixels in enumerate(_grey(picture.pixels), 1):
                axes = figure.add_subplot(rows, columns, place)
                axes.imshow(pixels, cmap="gray", interpolation="nearest")
                axes.set_axis_off()
        case Matrix():
            _matrix(figure, picture)
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue()


def _size(picture: Picture) -> tuple[float, float]:
    """Width and height in inches."""
    if isinstance(picture, Images):
        rows, columns = _grid(picture)
        return 0.7 * columns + 0.2, 0.7 * rows + 0.2
    if isinstance(picture, Image):
        return 2.5, 2.5
    return (4.0, 3.4) if isinstance(picture, Matrix) else (5.5, 2.4)


def _grid(picture: Image | Images) -> tuple[int, int]:
    """Rows and columns of images, at least one of each."""
    count = math.prod(picture.pixels.shape[:-2])
    columns = max(1, (isinstance(picture, Images) and picture.columns) or per_row(count))
    return max(1, math.ceil(count / columns)), columns


def _curve(figure: Figure, curve: Curve) -> None:
    axes = figure.add_subplot()
    axes.plot(array(curve.values))
    if curve.ablation is not None:
        axes.plot(array(curve.ablation), color="0.7")
    if curve.baseline is not None:
        axes.axhline(curve.baseline, linestyle="--", color="0.5")
    axes.margins(x=0.01)


def _matrix(figure: Figure, matrix: Matrix) -> None:
    axes = figure.add_subplot()
    values = array(matrix.values) if matrix.values.data else array(_NOTHING)
    shown = axes.imshow(values, cmap="Blues", aspect="auto")
    figure.colorbar(shown)
    rows, columns = values.shape
    if len(matrix.labels) == columns:
        axes.set_xticks(range(columns), matrix.labels, rotation=45, parse_math=False)
    if len(matrix.labels) == rows:
        axes.set_yticks(range(rows), matrix.labels, parse_math=False)
    if max(rows, columns) <= _CELLS:
        middle = sum(shown.get_clim()) / 2
        for row, line in enumerate(values):
            for column, value in enumerate(line):
                colour = "white" if value > middle else "black"
                axes.text(column, row, f"{value:.3g}", ha="center", va="center", fontsize=7, color=colour)


def _grey(shades: Shades) -> Any:
    """Images (N, H, W) of grey values, NaN where one was not finite; one pixel of it where there are none."""
    import numpy

    if not shades.data:
        return numpy.full((1, 1, 1), numpy.nan)
    levels = numpy.frombuffer(shades.data, numpy.uint8).reshape(-1, *shades.shape[-2:]).astype(float)
    levels[levels == _MISSING] = numpy.nan
    return levels
