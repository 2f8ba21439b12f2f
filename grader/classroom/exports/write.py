"""A gradebook in the formats that are asked for, in one pass over its students, put into a folder all at once."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

from msgspec.structs import replace as edited

from grader.classroom.exports import data, gradescope, tables
from grader.classroom.exports.folder import file_name, into
from grader.classroom.exports.pages import Pages
from grader.classroom.exports.statistics import OfClass
from grader.classroom.exports.tables import Canvas
from grader.classroom.gradebook import Gradebook, Sheet, scorecard
from grader.messages import Message
from grader.messages.language import Language
from grader.scorecard import Scorecard

BOM = "\ufeff"  # by which spreadsheets know that names are UTF-8
_KINDS = {  # the first parts of the paths of each of FORMATS
    "csv": ("gradebook.csv", "totals.csv"),
    "canvas": ("canvas.csv",),
    "gradescope": ("gradescope",),
    "json": ("gradebook.json",),
    "html": ("teacher.html", "students"),
}


@dataclass(frozen=True)
class Written:
    """What an export came to. open: students of whom not everything is judged, who are in no results.json and have empty
    cells for Canvas; unknown: those whom Canvas does not know; absent: those whom Canvas alone has; apart: where it has other
    points; unnamed: katas whose failures a page cannot name."""

    files: int
    students: int
    open: tuple[str, ...]
    unknown: tuple[str, ...]
    absent: tuple[str, ...]
    apart: tuple[Message, ...]
    unnamed: tuple[str, ...]


def write(
    book: Gradebook,
    folder: Path,
    formats: Collection[str],
    language: Language,
    worded: Callable[[Scorecard], Scorecard] = lambda card: card,
    exported: Canvas | None = None,
) -> Written:
    """Write the formats into a folder, or change nothing there and raise UsageFault.

    worded: a scorecard in the language; exported: what Canvas exported, for canvas.csv.
    """
    pages, found = Pages(book.facts, language), OfClass.of(book.facts, book.known)
    plain: list[Sheet] = []  # without what was found, for the tables of whole classes
    rows: list[tuple[object, ...]] = [tables.ROWS]
    learners: list[str] = []
    with into(folder, [kind for form in formats for kind in _KINDS[form]]) as export:
        for sheet in book:
            if "csv" in formats:
                rows += [tables.row(sheet, cell, book.facts) for cell in sheet.cells]
            if "json" in formats:
                learners.append(data.learner(sheet))
            if {"gradescope", "html"} & set(formats):
                card = worded(scorecard(sheet, book.facts))
                name = file_name(sheet.student.id)
                if "gradescope" in formats and sheet.complete:
                    export.add(f"gradescope/{name}/results.json", gradescope.results(sheet, card, language))
                if "html" in formats:
                    told = sheet.with_results(card)
                    found.add(told)
                    pages.note(told)
                    export.add(f"students/{name}.html", pages.student(told))
            plain.append(_slim(sheet))
        if "csv" in formats:
            export.add("gradebook.csv", BOM + tables.table(rows, as_they_are=1))
            export.add("totals.csv", BOM + tables.totals(plain, book.facts))
        if "canvas" in formats:
            export.add("canvas.csv", tables.canvas(plain, book.facts, exported))
        if "json" in formats:
            export.add("gradebook.json", data.start(book) + ",\n".join(learners) + data.END)
        if "html" in formats:
            export.add("teacher.html", pages.teacher(found))
        files = len(export.paths)
    unknown, absent, apart = [], [], []
    if exported is not None:
        unknown, absent = tables.unknown_to(exported, plain), tables.absent_from(plain, exported)
        apart = tables.other_points(exported, book.facts)
    still = tuple(sheet.student.id for sheet in plain if not sheet.complete)
    unnamed = tuple(sorted(found.unnamed))
    return Written(files, len(plain), still, tuple(unknown), tuple(absent), tuple(apart), unnamed)


def _slim(sheet: Sheet) -> Sheet:
    """The sheet with verdicts and points, and without the tests."""
    slim = [
        replace(
            cell,
            result=None if cell.result is None else edited(cell.result, tests=()),
            entry=edited(cell.entry, given=None),
        )
        for cell in sheet.cells
    ]
    return replace(sheet, cells=tuple(slim), remarks=())
