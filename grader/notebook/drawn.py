"""What tests recorded, as PNG: curves, images and matrices, drawn without a look at, or a change to, anybody's pyplot."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from grader.messages.language import Language
from grader.scorecard import Curve, Image, Images, Matrix, Picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 100
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
        case Image(_, pixels):
            _grey(figure.add_subplot(), pixels)
        case Images(_, images):
            columns = _columns(len(images))
            for place, pixels in enumerate(images, 1):
                _grey(figure.add_subplot(math.ceil(len(images) / columns), columns, place), pixels)
        case Matrix():
            _matrix(figure, picture)
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue()


def _size(picture: Picture) -> tuple[float, float]:
    """Width and height in inches."""
    if isinstance(picture, Images):
        columns = _columns(len(picture.images))
        return 0.7 * columns + 0.2, 0.7 * max(1, math.ceil(len(picture.images) / columns)) + 0.2
    if isinstance(picture, Image):
        return 2.5, 2.5
    return (4.0, 3.4) if isinstance(picture, Matrix) else (5.5, 2.4)


def _columns(count: int) -> int:
    return min(8, max(1, count))


def _curve(figure: Figure, curve: Curve) -> None:
    axes = figure.add_subplot()
    axes.plot(range(len(curve.values)), _finite(curve.values))
    if curve.baseline is not None:
        axes.axhline(curve.baseline, linestyle="--", color="0.5")
    axes.margins(x=0.01)


def _matrix(figure: Figure, matrix: Matrix) -> None:
    axes = figure.add_subplot()
    values = _rows(matrix.values)
    shown = axes.imshow(values, cmap="Blues", aspect="auto")
    figure.colorbar(shown)
    rows, columns = len(values), len(values[0])
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


def _grey(axes: Any, pixels: Sequence[Sequence[float | None]]) -> None:
    axes.imshow(_rows(pixels), cmap="gray", interpolation="nearest")
    axes.set_axis_off()


def _rows(rows: Sequence[Sequence[float | None]]) -> list[list[float]]:
    """Rows of numbers; one row of one, which is not a number, where there are none."""
    return [_finite(row) for row in rows if row] or [[math.nan]]


def _finite(values: Sequence[float | None]) -> list[float]:
    return [math.nan if value is None else value for value in values]
