"""What tests recorded, as PNG: curves, images and matrices, drawn without a look at, or a change to, anybody's pyplot."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

from grader.messages.language import Language
from grader.reports.page.charts import array
from grader.scorecard import Curve, Image, Images, Matrix, Picture, Shades

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 100
_PER_ROW = 8  # images, where a test asks for no number
_LEVELS = 254  # beyond which a shade stands for a pixel that was not finite
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

    match picture:
        case Curve():
            figure = Figure((5.5, 2.4), dpi=_DPI, layout="constrained")
            _curve(figure, picture)
        case Image():
            figure = Figure((2.5, 2.5), dpi=_DPI, layout="constrained")
            _grey(figure.add_subplot(), _shades(picture.pixels))
        case Images():
            images = _shades(picture.pixels)
            columns = picture.columns or min(_PER_ROW, max(1, len(images)))
            rows = max(1, math.ceil(len(images) / columns))
            figure = Figure((0.7 * columns + 0.2, 0.7 * rows + 0.2), dpi=_DPI, layout="constrained")
            for place, image in enumerate(images, 1):
                _grey(figure.add_subplot(rows, columns, place), image)
        case Matrix():
            figure = Figure((4.0, 3.4), dpi=_DPI, layout="constrained")
            _matrix(figure, picture)
    FigureCanvasAgg(figure)
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue()


def _curve(figure: Figure, curve: Curve) -> None:
    axes = figure.add_subplot()
    lines = [(curve.values, "-", "C0")] + ([(curve.ablation, ":", "C1")] if curve.ablation is not None else [])
    for numbers, style, colour in lines:
        values = array(numbers).ravel()
        axes.plot(range(1, len(values) + 1), values, linestyle=style, color=colour)
    if curve.baseline is not None:
        axes.axhline(curve.baseline, linestyle="--", color="0.5")
    axes.margins(x=0.01)


def _matrix(figure: Figure, matrix: Matrix) -> None:
    axes = figure.add_subplot()
    values = array(matrix.values)
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


def _grey(axes: Any, image: Any) -> None:
    axes.imshow(image, cmap="gray", interpolation="nearest", vmin=0, vmax=_LEVELS)
    axes.set_axis_off()


def _shades(shades: Shades) -> Any:
    """Levels from 0 to 254 (..., H, W), float64; NaN where a pixel was not finite."""
    import numpy

    levels = numpy.frombuffer(shades.data, numpy.uint8).reshape(shades.shape).astype(float)
    return numpy.where(levels > _LEVELS, numpy.nan, levels)
