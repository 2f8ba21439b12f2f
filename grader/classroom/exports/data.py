"""A gradebook as JSON for other programs: a contract, which `grader/schemas/gradebook.schema.json` describes."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from grader.classroom.gradebook import Cell, Gradebook, Sheet
from grader.classroom.records import State
from grader.scorecard import KindScore, Verdict

FORMAT_VERSION: Final = 1
Amount = Annotated[float, msgspec.Meta(ge=0)]
Count = Annotated[int, msgspec.Meta(ge=0)]


class Test(msgspec.Struct, frozen=True):
    """One test of a student's file."""

    name: str
    kind: str
    verdict: Verdict
    points: Amount
    max: Amount
    seconds: Amount
    diagnosis: str  # the known mistake that fails in just this way; "" where none is known


class Decision(msgspec.Struct, frozen=True):
    """What a teacher decided by hand. Just one of points, due and excused is set."""

    points: Amount | None
    due: str | None
    excused: bool
    reason: str
    author: str


class Judged(msgspec.Struct, frozen=True):
    """One student on one kata. `raw` are the points that were judged, `points` those that count; None: none yet."""

    kata: str
    state: State
    verdict: Verdict | None
    raw: Amount | None
    points: Amount | None
    max: Amount
    by_kind: dict[str, KindScore]
    late_days: Count
    late_percent: Amount
    decisions: tuple[Decision, ...]
    handed_in: str
    due: str
    sha256: str
    seconds: Amount | None
    peak_memory_mb: Amount | None
    tests: tuple[Test, ...]


class Learner(msgspec.Struct, frozen=True):
    """One student. A total is None where points are still to come."""

    id: str
    name: str
    section: str
    points: Amount | None
    max: Amount
    katas: tuple[Judged, ...]


class Asked(msgspec.Struct, frozen=True):
    """One kata of the run."""

    id: str
    title: str
    max: Amount
    tests: Count


class Book(msgspec.Struct, frozen=True):
    """A class as it stands: what was judged, and what counts of it."""

    format_version: Literal[1]
    course: str
    grader: str
    versions: dict[str, str]
    sandbox: str
    seed_sha256: str
    started: str
    katas: tuple[Asked, ...]
    students: tuple[Learner, ...]


def start(book: Gradebook) -> str:
    """The JSON up to its first student: the rest of it is `learner`s with commas between them, and END."""
    facts = book.facts
    head = Book(
        format_version=FORMAT_VERSION,
        course=facts.course,
        grader=facts.grader,
        versions=facts.versions,
        sandbox=facts.sandbox,
        seed_sha256=facts.seed_sha256,
        started=facts.started,
        katas=tuple(Asked(kata.id, kata.title, kata.max, kata.tests) for kata in facts.katas),
        students=(),
    )
    return msgspec.json.encode(head).decode().removesuffix(END.strip())


END = "]}\n"


def learner(sheet: Sheet) -> str:
    """One student as JSON, on one line."""
    total = sheet.points if sheet.complete else None
    who = sheet.student
    found = Learner(who.id, who.name, who.section, total, sheet.max, tuple(map(_judged, sheet.cells)))
    return msgspec.json.encode(found).decode()


def _judged(cell: Cell) -> Judged:
    result = cell.result
    tests = () if result is None else result.tests
    peaks = [test.peak_memory_mb for test in tests if test.peak_memory_mb is not None]
    return Judged(
        kata=cell.kata.id,
        state=cell.entry.state,
        verdict=None if result is None else result.verdict,
        raw=cell.raw,
        points=cell.points,
        max=cell.max,
        by_kind={} if result is None else result.by_kind,
        late_days=cell.late.days,
        late_percent=cell.late.percent,
        decisions=tuple(
            Decision(each.points, each.due.isoformat() if each.due else None, each.excused, each.reason, each.author)
            for each in cell.decided
        ),
        handed_in=cell.entry.time,
        due=cell.due.isoformat() if cell.due else "",
        sha256=cell.entry.sha256,
        seconds=None if result is None else result.seconds,
        peak_memory_mb=max(peaks, default=None),
        tests=tuple(
            Test(
                test.name, test.kind, test.verdict, test.points, test.max, test.seconds,
                test.cause.diagnosis if test.cause else "",
            )
            for test in tests
        ),
    )  # fmt: skip
