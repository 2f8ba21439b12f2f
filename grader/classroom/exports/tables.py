"""A gradebook as tables for spreadsheets: a row for each student and kata, totals, and what Canvas imports.

A spreadsheet runs what begins like a formula. Every cell that is text is written so that it stands there as text; numbers
stay numbers.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from grader.classroom.gradebook import Cell, Sheet
from grader.classroom.records import Facts
from grader.errors import UsageFault
from grader.messages import Message, text
from grader.reports.table import amount
from grader.scorecard import visible

_LONGEST = 32_000  # characters that a spreadsheet takes in one cell
_RUN = ("=", "+", "-", "@", "|", "%", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_NO_BREAK = dict.fromkeys(map(ord, "\r\n\t"), " ")
ROWS = (
    "student", "name", "section", "kata", "title", "state", "verdict", "raw", "late_days", "late_percent", "points", "max",
    "decision", "reason", "author", "handed_in", "due", "passed", "tests", "seconds", "sha256", "sandbox", "grader",
    "seed_sha256",
)  # fmt: skip
CANVAS = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
POSSIBLE = "    Points Possible"
_NOBODY = ("student, test", "test student")


def inert(cell: object) -> str:
    """A cell: a number as it is, and of a text one line that no spreadsheet runs."""
    if cell is None:
        return ""
    if isinstance(cell, float):
        return amount(cell)
    if isinstance(cell, int):
        return str(cell)
    shown = visible(str(cell).translate(_NO_BREAK), _LONGEST)
    return f"'{shown}" if shown.lstrip(" \u00a0\u3000").startswith(_RUN) else shown


def table(rows: Iterable[Sequence[object]], *, as_they_are: int = 0) -> str:
    """The rows as CSV (RFC 4180); the first `as_they_are` rows are our own words."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")
    for number, row in enumerate(rows):
        writer.writerow(row if number < as_they_are else map(inert, row))
    return stream.getvalue()


def row(sheet: Sheet, cell: Cell, facts: Facts) -> tuple[object, ...]:
    """One student and kata, in the order of ROWS."""
    student, entry, result = sheet.student, cell.entry, cell.result
    passed = None if result is None else sum(test.verdict == "pass" for test in result.tests)
    return (
        student.id, student.name, student.section, cell.kata.id, cell.kata.title, entry.state.value,
        "" if result is None else result.verdict.value, cell.raw, cell.late.days, cell.late.percent, cell.points, cell.max,
        "; ".join(decision(cell)), "; ".join(each.reason for each in cell.decided),
        "; ".join(dict.fromkeys(each.author for each in cell.decided)), entry.time,
        cell.due.isoformat() if cell.due else "", passed, cell.kata.tests, None if result is None else result.seconds,
        entry.sha256, facts.sandbox, facts.grader, facts.seed_sha256,
    )  # fmt: skip


def decision(cell: Cell) -> list[str]:
    """What was decided by hand, in the words of the file in which it stands."""
    found = []
    for each in cell.decided:
        if each.points is not None:
            found.append(f"points = {amount(each.points)}")
        elif each.due is not None:
            found.append(f"due = {each.due.isoformat()}")
        else:
            found.append("excused")
    return found


def totals(sheets: Iterable[Sheet], facts: Facts) -> str:
    """A row for each student, with the points of each kata; no total where points are still to come."""
    katas = [kata.id for kata in facts.katas]
    head = ("student", "name", "section", *katas, "points", "max")
    rows = [head]
    for sheet in sheets:
        points = {cell.kata.id: "excused" if cell.excused else cell.points for cell in sheet.cells}
        who, total = sheet.student, sheet.points if sheet.complete else None
        rows.append((who.id, who.name, who.section, *map(points.get, katas), total, sheet.max))  # type: ignore[arg-type]
    return table(rows, as_they_are=1)


@dataclass(frozen=True)
class Canvas:
    """What an exported Canvas gradebook says: its columns of our katas, and the rows of its students, by their ids."""

    columns: Mapping[str, str]  # kata -> "Title (assignment)"
    students: Mapping[str, Sequence[str]]  # any of the row's ids -> the cells of CANVAS
    possible: Mapping[str, float] = field(default_factory=dict)  # kata -> its points in Canvas, which it keeps


def read_canvas(exported: str, katas: Iterable[tuple[str, str, str]]) -> Canvas:
    """The columns and students in a gradebook that Canvas exported, for katas by id, slug and title.

    Raises UsageFault where it is none, or where no column or more than one is of the same kata.
    """
    rows = list(csv.reader(io.StringIO(exported.removeprefix("\ufeff"))))
    head = rows[0] if rows else []
    if "Student" not in head or "ID" not in head:
        raise UsageFault(
            text("this is no gradebook that Canvas exported: it has no columns `Student` and `ID`"),
            text("in Canvas: Grades, Export, Export Entire Gradebook"),
        )
    columns: dict[str, str] = {}
    for id, slug, title in katas:
        named = [name for name in head if _names(name, (id, slug, title))]
        if len(named) > 1:
            raise UsageFault(
                text("Canvas has {count} columns for {kata}", count=len(named), kata=id),
                text("rename all but one of {names}", names=named),
            )
        columns |= {id: named[0]} if named else {}
    if not columns:
        raise UsageFault(
            text("Canvas has no column for any of the katas"),
            text("name an assignment by the id, the short name or the title of its kata"),
        )
    places = [head.index(name) if name in head else None for name in CANVAS]
    students: dict[str, list[str]] = {}
    possible: dict[str, float] = {}
    for row in rows[1:]:
        cells = ["" if place is None or place >= len(row) else row[place] for place in places]
        if cells[1].strip():  # the row of points possible, and the one above it, have no ID
            students |= {key.strip(): cells for key in cells[1:4] if key.strip()}
        elif cells[0].strip() == POSSIBLE.strip():
            told = dict(zip(head, row, strict=False))
            possible = {id: most for id, name in columns.items() if (most := _number(told.get(name, ""))) is not None}
    return Canvas(columns, students, possible)


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _names(column: str, names: Iterable[str]) -> bool:
    """Whether a column such as `LSTM (1234)` is named by one of these."""
    plain = column.rpartition(" (")[0] if column.endswith(")") else column
    return plain.strip().casefold() in {name.casefold() for name in names}


def canvas(sheets: Iterable[Sheet], facts: Facts, exported: Canvas | None = None) -> str:
    """What Canvas imports: an empty cell changes nothing there, so that is what has no points yet.

    `EX` excuses. Without what Canvas exported, columns are named by the katas, and Canvas asks what they are.
    """
    columns = {kata.id: f"{kata.id} {kata.title}" for kata in facts.katas} if exported is None else exported.columns
    most = {kata.id: kata.max for kata in facts.katas}
    rows: list[tuple[object, ...]] = [
        (*CANVAS, *columns.values()),
        (POSSIBLE, "", "", "", "", *(amount(most[kata]) for kata in columns)),
    ]
    for sheet in sheets:
        points = {cell.kata.id: "EX" if cell.excused else cell.points for cell in sheet.cells}
        if (who := _who(sheet, exported)) is not None:
            rows.append((*who, *map(points.get, columns)))
    return table(rows, as_they_are=2)


def unknown_to(exported: Canvas, sheets: Iterable[Sheet]) -> list[str]:
    """The ids of students of whom Canvas has no row: they are in none of what it imports."""
    return [sheet.student.id for sheet in sheets if _who(sheet, exported) is None]


def absent_from(sheets: Iterable[Sheet], exported: Canvas) -> list[str]:
    """The students whom Canvas has and the class has not, as Canvas calls them; its test student is nobody."""
    ours = {who for sheet in sheets if (who := _who(sheet, exported)) is not None}
    rows = dict.fromkeys(map(tuple, exported.students.values()))
    return [row[0] or row[1] for row in rows if row not in ours and row[0].strip().casefold() not in _NOBODY]


def other_points(exported: Canvas, facts: Facts) -> list[Message]:
    """Where an assignment in Canvas has other points than its kata."""
    told = "Canvas has {theirs} points for {kata}, the course {ours}: set its points in Canvas, which keeps its own"
    most = {kata.id: kata.max for kata in facts.katas}
    return [
        text(told, theirs=amount(theirs), kata=kata, ours=amount(most[kata]))
        for kata, theirs in exported.possible.items()
        if theirs != most[kata]
    ]


def _who(sheet: Sheet, exported: Canvas | None) -> tuple[object, ...] | None:
    student = sheet.student
    ids = [student.id, *(student.more.get(name, "") for name in CANVAS[1:4])]
    if exported is not None:
        found = next((exported.students[id] for id in ids if id and id in exported.students), None)
        return None if found is None else tuple(found)
    name = student.more.get("Student", student.name)
    return name, ids[1], ids[2], ids[3] or student.id, student.section
