"""Drawings of what was recorded: curves beside baseline and ablation, heat maps, and points over time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len

from grader.reports.layout import cut
from grader.reports.page.svg import ABLATION, BASELINE, CURVE, GRID, INK, drawn, markup
from grader.scorecard import Curve, Matrix, Numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 4.0  # inches, of every drawing: 288 units of it
_LETTER = 0.075  # inches that a cell of a label takes
_CELL = 0.5  # inches, at the most, of a side of a place in a heat map
_MOST_LABELS = 24
_LABEL = 14  # cells
_WRITTEN = 12  # rows and columns up to which each number is written in its place
_DEEPEST = 0.6  # how much of its colour the largest number has, so that ink is read on it in light and dark
_POSITIVE, _NEGATIVE = (58, 110, 224), (214, 106, 40)


def curve(picture: Curve, name: str, told: str) -> str:
    """A line over the steps, the ablation's beside it, and the baseline across."""
    with drawn(WIDTH, 2.0) as figure:
        axes = _axes(figure.add_axes((0.13, 0.13, 0.85, 0.82)))
        if picture.baseline is not None:
            axes.axhline(picture.baseline, color=BASELINE, linewidth=1.4, linestyle=(0, (4, 3)))
        if picture.ablation is not None:
            _line(axes, picture.ablation, ABLATION, 1.4)
        _line(axes, picture.values, CURVE, 1.8)
        axes.margins(x=0.02, y=0.08)
        axes.locator_params(axis="x", integer=True, nbins=6)
        axes.locator_params(axis="y", nbins=5)
        return markup(figure, name, picture.name, told)


def points(
    times: Sequence[float], totals: Sequence[float], most: float, zone: tzinfo | None, name: str, title: str, told: str
) -> str:
    """The points of a course over time, in seconds since 1970."""
    first, last = times[0], times[-1]
    pattern = "%Y-%m-%d" if last - first > 3 * 86_400 else "%m-%d %H:%M"
    with drawn(WIDTH, 1.3) as figure:
        axes = _axes(figure.add_axes((0.1, 0.2, 0.88, 0.72)))
        axes.step(times, totals, where="post", color=CURVE, linewidth=1.8)
        axes.fill_between(times, totals, step="post", color=CURVE, alpha=0.12, linewidth=0)
        axes.plot(times[-1:], totals[-1:], "o", color=CURVE, markersize=4, clip_on=False)
        axes.set_ylim(0, max(most, 1.0))
        axes.locator_params(axis="y", nbins=4)
        axes.set_xticks([first, last], [when(first, pattern, zone), when(last, pattern, zone)])
        begin, end = axes.get_xticklabels()
        begin.set_horizontalalignment("left")
        end.set_horizontalalignment("right")
        return markup(figure, name, title, told)


def matrix(picture: Matrix, name: str, told: str) -> str:
    """A heat map: the deeper the colour the larger the number, and in another colour where it is negative."""
    values = array(picture.values)
    rows, columns = values.shape
    labels = [cut(label, _LABEL) for label in picture.labels]
    upright = max(map(cell_len, labels), default=0) * _LETTER > min(2.6 / columns, _CELL) and len(labels) == columns
    widest = max(map(cell_len, labels), default=1) * _LETTER
    left, below = 0.2 + widest if len(labels) == rows else 0.4, 0.2 + widest if upright else 0.3
    cell = min((WIDTH - left - 0.1) / columns, _CELL)
    inner, height = cell * columns, min(max(cell, 0.12) * rows, WIDTH)
    with drawn(WIDTH, height + below + 0.1) as figure:
        whole = height + below + 0.1
        axes = figure.add_axes((left / WIDTH, below / whole, inner / WIDTH, height / whole))
        axes.imshow(_coloured(values), aspect="auto", interpolation="none")
        _ticks(axes, "x", columns, labels if len(labels) == columns else [], upright)
        _ticks(axes, "y", rows, labels if len(labels) == rows else [], False)
        axes.tick_params(length=0)
        if rows <= _WRITTEN and columns <= _WRITTEN:
            _write(axes, values, 9 if columns <= 8 else 7)
        return markup(figure, name, picture.name, told)


def array(numbers: Numbers) -> Any:
    """The numbers (numpy, float64); NaN where one was not finite."""
    import numpy

    return numpy.frombuffer(numbers.data, "<f4").reshape(numbers.shape).astype(float)


def written(value: float | None) -> str:
    """A number in few digits."""
    if value is None or value != value:
        return "nan"
    return (
        f"{value:g}"
        if value == int(value) and abs(value) < 1e6
        else f"{value:.2f}"
        if abs(value) < 10
        else f"{value:.3g}"
    )


def when(seconds: float, pattern: str = "%Y-%m-%d %H:%M", zone: tzinfo | None = None) -> str:
    """A time as it is shown."""
    return datetime.fromtimestamp(seconds, zone).strftime(pattern)


def _axes(axes: Axes) -> Axes:
    axes.grid(axis="y", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, pad=5)
    axes.spines["left"].set_visible(False)
    return axes


def _line(axes: Axes, numbers: Numbers, colour: str, width: float) -> None:
    values = array(numbers).ravel()
    axes.plot(range(1, len(values) + 1), values, color=colour, linewidth=width, marker="o" if len(values) == 1 else "")


def _ticks(axes: Axes, which: str, count: int, labels: Sequence[str], upright: bool) -> None:
    """Every place with its label or number, or as many of them as there is room for."""
    step = -(-count // _MOST_LABELS) if labels else max(-(-count // 8), 1)
    places = list(range(0, count, step))
    shown = [labels[place] for place in places] if labels else [str(place) for place in places]
    turned: dict[str, Any] = (
        {"rotation": 90, "rotation_mode": "anchor", "ha": "right", "va": "center"} if upright else {}
    )
    (axes.set_xticks if which == "x" else axes.set_yticks)(places, shown, parse_math=False, **turned)
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_color(GRID)


def _coloured(values: Any) -> Any:
    """RGBA (R, C, 4), bytes."""
    import numpy

    finite = numpy.nan_to_num(values)
    largest = numpy.abs(finite).max(initial=0.0) or 1.0
    colour = numpy.where((finite < 0)[..., None], _NEGATIVE, _POSITIVE)
    depth = numpy.abs(finite) / largest * _DEEPEST * 255
    return numpy.concatenate([colour, depth.round()[..., None]], axis=-1).astype(numpy.uint8)


def _write(axes: Axes, values: Any, size: int) -> None:
    for row, line in enumerate(values):
        for column, value in enumerate(line):
            axes.text(column, row, written(float(value)), ha="center", va="center_baseline", size=size, color=INK)
