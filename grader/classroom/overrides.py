"""What a teacher decided by hand, in a file of its own: each decision with its reason and its author, and shown with the points.

    [[override]]
    student = "s17"
    kata = "04_lstm"            # without it: all katas
    points = 8.5                # instead of what was judged; being late costs nothing then
    reason = "the submission site was down"
    author = "the name of whoever decided"

Instead of `points` stands one of `due` (a deadline of the student's own: a date with a time) and `excused = true` (the
kata does not count for the student).
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from grader.classroom.late import in_zone
from grader.errors import CourseFault, Fault, UsageFault, did_you_mean
from grader.messages import text

_DECISIONS = ("points", "due", "excused")
_WORDS = ("student", "kata", "reason", "author")


@dataclass(frozen=True)
class Override:
    """One decision, for one student, on one kata or ("") all. Just one of points, due and excused is set."""

    student: str
    kata: str
    reason: str
    author: str
    points: float | None = None
    due: datetime | None = None
    excused: bool = False


@dataclass(frozen=True)
class Overrides:
    """The decisions of one file. One on a kata stands before one on all katas."""

    all: tuple[Override, ...] = ()

    def of(self, student: str, kata: str) -> tuple[Override, ...]:
        """What was decided on this kata of this student: at most one of each sort, points last."""
        mine = [each for each in self.all if each.student == student and each.kata in ("", kata)]
        chosen = {_sort(each): each for each in sorted(mine, key=lambda each: each.kata)}
        return tuple(chosen[sort] for sort in ("due", "excused", "points") if sort in chosen)


def read(path: Path, students: Collection[str], most: dict[str, float]) -> Overrides:
    """The decisions in a file, on these students and katas, which have at most so many points.

    Raises UsageFault where the file cannot be read, and CourseFault with everything in it that makes no sense.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageFault(text("{file} cannot be read: {reason}", file=str(path), reason=str(error))) from None
    tables = found.get("override", [])
    faults = [
        Fault(path.name, key, text("is not a known field"), help=did_you_mean(key, ["override"]))
        for key in found
        if key != "override"
    ]
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        raise CourseFault([*faults, Fault(path.name, "override", text("must be a list"))])
    for number, table in enumerate(tables):
        faults += _faults(path.name, f"override[{number}]", table, students, most)
    if not faults:
        faults += _twice(path.name, tables)
    if faults:
        raise CourseFault(faults)
    return Overrides(tuple(map(_override, tables)))


def _override(table: dict[str, Any]) -> Override:
    words = {name: table.get(name, "").strip() for name in _WORDS}
    points, due = table.get("points"), table.get("due")
    return Override(
        **words,
        points=None if points is None else float(points),
        due=None if due is None else in_zone(due),
        excused=table.get("excused", False),
    )


def _sort(each: Override) -> str:
    return "points" if each.points is not None else "due" if each.due is not None else "excused"


def _faults(
    file: str, place: str, table: dict[str, Any], students: Collection[str], most: dict[str, float]
) -> Iterator[Fault]:
    for name in table:
        if name not in (*_WORDS, *_DECISIONS):
            help = did_you_mean(name, [*_WORDS, *_DECISIONS])
            yield Fault(file, f"{place}.{name}", text("is not a known field"), help=help)
    for name in _WORDS:
        value = table.get(name, "" if name == "kata" else None)
        if value is None:
            yield Fault(file, f"{place}.{name}", text("is missing"))
        elif not isinstance(value, str):
            yield Fault(file, f"{place}.{name}", text("must be text"), str(value))
        elif not value.strip() and name != "kata":
            yield Fault(file, f"{place}.{name}", text("must not be empty"))
        elif name in ("student", "kata") and value and value not in (students if name == "student" else most):
            known = students if name == "student" else most
            wanted = text("must name students of this class" if name == "student" else "must name katas of this course")
            yield Fault(file, f"{place}.{name}", wanted, value, did_you_mean(value, known))
    decided = [name for name in _DECISIONS if name in table]
    if len(decided) != 1:
        yield Fault(file, place, text("must have one of {names}", names=_DECISIONS), ", ".join(decided))
    yield from _decision(file, place, table, most.get(str(table.get("kata", "")), math.inf))


def _decision(file: str, place: str, table: dict[str, Any], most: float) -> Iterator[Fault]:
    points, due, excused = (table.get(name) for name in _DECISIONS)
    if points is not None and (isinstance(points, bool) or not isinstance(points, int | float)):
        yield Fault(file, f"{place}.points", text("must be a number"), str(points))
    elif points is not None and not 0 <= points < math.inf:
        yield Fault(file, f"{place}.points", text("must be >= {value}", value=0), str(points))
    elif points is not None and points > most:
        yield Fault(file, f"{place}.points", text("must be <= {value}", value=most), str(points))
    if points is not None and not table.get("kata"):
        yield Fault(file, f"{place}.kata", text("is missing"), help=text("points are those of one kata"))
    if due is not None and not isinstance(due, datetime):
        example = "2026-10-01T23:59:00+08:00"
        yield Fault(file, f"{place}.due", text("must look like {example}", example=example), str(due))
    if excused is not None and excused is not True:
        yield Fault(file, f"{place}.excused", text("must be {value}", value="true"), str(excused))


def _twice(file: str, tables: Sequence[dict[str, Any]]) -> Iterator[Fault]:
    seen: set[tuple[str, str, str]] = set()
    for number, table in enumerate(tables):
        each = _override(table)
        if (same := (each.student, each.kata, _sort(each))) in seen:
            yield Fault(file, f"override[{number}]", text("must not say the same twice"))
        seen.add(same)
