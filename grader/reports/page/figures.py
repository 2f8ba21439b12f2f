"""Recorded pictures as what a page shows: a drawing or images, with words for who does not see them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from grader.messages.language import Language
from grader.reports.page import charts, pixels
from grader.scorecard import Curve, Image, Images, Matrix, Picture, Text

_TABLE = 16  # rows and columns up to which the numbers of a heat map are told, too


@dataclass(frozen=True)
class Figure:
    """One picture. It has a drawing (SVG, safe as it is), images (data addresses), or a text.

    legend: which line is which, by the name of its colour; table: the numbers of a heat map, under their headings.
    """

    kind: str
    name: str
    told: str = ""
    drawing: str = ""
    images: tuple[str, ...] = ()
    columns: int = 1
    text: str = ""
    legend: tuple[tuple[str, str], ...] = ()
    heads: tuple[str, ...] = ()
    table: tuple[tuple[str, ...], ...] = ()


@lru_cache(maxsize=512)  # a report file is written anew after every kata of a run
def figure(picture: Picture, name: str, language: Language) -> Figure:
    """A picture as it is shown; `name` is that of no other of the page."""
    match picture:
        case Curve():
            told = _curve(picture, language)
            drawing = charts.curve(picture, name, told) if picture.values.data else ""
            return Figure("curve", picture.name, told, drawing, legend=tuple(_legend(picture, language)))
        case Matrix():
            return _matrix(picture, name, language)
        case Text():
            return Figure("text", picture.name, text=picture.text)
        case Image() | Images():
            return _images(picture, language)


def _curve(curve: Curve, language: Language) -> str:
    """Its ends, as the terminal tells them, and its least and greatest value."""
    values = curve.values.floats()
    if not values:
        return language.text("no value was recorded")
    ends = " → ".join(
        language.text("not finite") if each is None else f"{each:.3g}" for each in (values[0], values[-1])
    )
    finite = [each for each in values if each is not None]
    if not finite:
        return ends
    told = "{ends}; least {low:.3g}, greatest {high:.3g}"
    return language.text(told, ends=ends, low=min(finite), high=max(finite))


def _legend(curve: Curve, language: Language) -> Iterator[tuple[str, str]]:
    if curve.baseline is None and curve.ablation is None:
        return
    yield "curve", language.text("yours")
    if curve.baseline is not None:
        yield "baseline", language.text("baseline {value:.3g}", value=curve.baseline)
    if curve.ablation is not None:
        ends = [each for each in curve.ablation.floats() if each is not None]
        told = "ablation, which lacks what it takes: {value:.3g}"
        yield "ablation", language.text(told, value=ends[-1]) if ends else language.text("ablation")


def _matrix(matrix: Matrix, name: str, language: Language) -> Figure:
    rows, columns = matrix.values.shape
    values = matrix.values.floats()
    finite = [value for value in values if value is not None]
    if not finite:
        return Figure("matrix", matrix.name, language.text("no value was recorded"))
    told = "{rows} rows, {columns} columns; least {low:.3g}, greatest {high:.3g}"
    said = language.text(told, rows=rows, columns=columns, low=min(finite), high=max(finite))
    drawing = charts.matrix(matrix, name, said)
    if rows > _TABLE or columns > _TABLE:
        return Figure("matrix", matrix.name, said, drawing)
    labels = [str(number) for number in range(max(rows, columns))]
    downward = matrix.labels if len(matrix.labels) == rows else labels[:rows]
    across = matrix.labels if len(matrix.labels) == columns else labels[:columns]
    table = tuple(
        (head, *(charts.written(value) for value in values[row * columns : (row + 1) * columns]))
        for row, head in enumerate(downward)
    )
    return Figure("matrix", matrix.name, said, drawing, heads=tuple(across), table=table)


def _images(picture: Image | Images, language: Language) -> Figure:
    height, width = picture.pixels.shape[-2:]
    images = pixels.addresses(picture.pixels)
    one, many = "{count} image of {width} by {height} pixels", "{count} images of {width} by {height} pixels"
    told = language.plural(one, many, len(images), width=width, height=height)
    columns = (picture.columns if isinstance(picture, Images) else 0) or pixels.per_row(len(images))
    return Figure(
        "image" if isinstance(picture, Image) else "images", picture.name, told, images=tuple(images), columns=columns
    )
