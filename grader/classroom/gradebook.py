"""A gradebook: what the journal of a class holds, with the late policy and a teacher's overrides over it.

Read from a journal at any time and never kept: the points in the journal are those that were judged. What is not judged
yet, or failed by a fault of ours, has no points, and no total is given that leaves it out. The points of each kata are
rounded once, half up to hundredths, and a total is the sum of what is rounded, so that what is shown adds up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property
from math import fsum

from msgspec import structs

from grader.classroom.journal import Journal
from grader.classroom.late import Late, Policy, in_zone
from grader.classroom.overrides import Override, Overrides
from grader.classroom.records import Entry, Facts, KataFacts, Remark, Row, Student
from grader.diagnosis import Fingerprints, diagnosed
from grader.scorecard import KataResult, Score, Scorecard, Verdict

_HUNDREDTH = Decimal("0.01")


@dataclass(frozen=True)
class Cell:
    """One student on one kata. `due`: the student's own deadline; `decided`: the overrides that stand."""

    kata: KataFacts
    entry: Entry
    result: KataResult | None
    due: datetime | None
    late: Late
    decided: tuple[Override, ...]

    @property
    def ours(self) -> bool:
        """Whether it failed by a fault of ours."""
        return self.result is not None and self.result.verdict is Verdict.INTERNAL

    @property
    def raw(self) -> float | None:
        """The points that were judged; None where there are none yet."""
        return None if self._judged is None else rounded(self._judged)

    @property
    def _judged(self) -> float | None:
        return None if self.result is None or self.ours else self.result.points

    @property
    def excused(self) -> bool:
        """Whether it does not count for this student."""
        return any(each.excused for each in self.decided) and self.given is None

    @property
    def given(self) -> float | None:
        """The points that a teacher gave; None where none did."""
        return next((each.points for each in self.decided if each.points is not None), None)

    @property
    def points(self) -> float | None:
        """The points that count; None where there are none yet, and where it is excused."""
        if self.excused:
            return None
        if self.given is not None:
            return rounded(self.given)
        return None if self._judged is None else rounded(self.late.of(self._judged))

    @property
    def max(self) -> float:
        """The points that there are: none where it is excused."""
        return 0.0 if self.excused else self.kata.max

    @property
    def open(self) -> bool:
        """Whether points are still to come."""
        return self.points is None and not self.excused


@dataclass(frozen=True)
class Sheet:
    """One student: a cell for each kata of the run, in the course's order."""

    student: Student
    cells: tuple[Cell, ...]
    remarks: tuple[Remark, ...]

    @property
    def complete(self) -> bool:
        """Whether every kata that counts has its points."""
        return not any(cell.open for cell in self.cells)

    @cached_property
    def points(self) -> float:
        """Of what has any; not to be shown as a total unless it is complete."""
        return rounded(fsum(cell.points or 0.0 for cell in self.cells))

    @cached_property
    def max(self) -> float:
        return fsum(cell.max for cell in self.cells)

    def only(self, kata: str, result: KataResult) -> Sheet:
        """One kata of it, with another result."""
        return replace(self, cells=tuple(replace(cell, result=result) for cell in self.cells if cell.kata.id == kata))

    def with_results(self, card: Scorecard) -> Sheet:
        """The same with the results of a card, such as one in another language."""
        results = {result.id: result for result in card.katas}
        return replace(self, cells=tuple(replace(cell, result=results.get(cell.kata.id)) for cell in self.cells))


@dataclass(frozen=True)
class Gradebook:
    """A class as it stands in its journal. Sheets are read one at a time, so that a large class needs no large memory.

    known: the mistakes of katas, on the class's seed (see `grader.classroom.mistakes`)
    """

    journal: Journal
    policy: Policy
    overrides: Overrides
    known: Mapping[str, Fingerprints] = field(default_factory=dict)

    @cached_property
    def facts(self) -> Facts:
        return self.journal.facts()

    @cached_property
    def students(self) -> list[Student]:
        return self.journal.students()

    def __iter__(self) -> Iterator[Sheet]:
        return map(self.sheet, self.students)

    def sheet(self, student: Student) -> Sheet:
        """What one student has."""
        katas = {kata.id: kata for kata in self.facts.katas}
        rows = self.journal.rows(student.id)
        cells = tuple(self._cell(student, katas[row.entry.kata], row) for row in rows)
        return Sheet(student, cells, tuple(self.journal.remarks(student.id)))

    def _cell(self, student: Student, kata: KataFacts, row: Row) -> Cell:
        decided = self.overrides.of(student.id, kata.id)
        own = next((each.due for each in decided if each.due is not None), None)
        due = own or _moment(student.due) or self.policy.due_of(kata.id)
        closes = None if own else _moment(student.late)
        marked = row.entry.marked_late and own is None
        late = self.policy.late(due, _moment(row.entry.time), closes=closes, marked=marked)
        return Cell(kata, row.entry, self._diagnosed(row.result), due, late, decided)

    def _diagnosed(self, result: KataResult | None) -> KataResult | None:
        if result is None or result.verdict in (Verdict.PASS, Verdict.INTERNAL) or result.id not in self.known:
            return result
        return diagnosed(result, self.known[result.id])


def scorecard(sheet: Sheet, facts: Facts) -> Scorecard:
    """What was judged of a student, as if in a run of its own, with raw points; nothing of anybody else's."""
    results = tuple(cell.result for cell in sheet.cells if cell.result is not None)
    return Scorecard(
        course=facts.course,
        grader=facts.grader,
        versions=facts.versions,
        seed=None,
        seed_sha256=facts.seed_sha256,
        sandbox=facts.sandbox,
        jobs=1,
        started=facts.started,
        seconds=round(fsum(result.seconds for result in results), 3),
        score=Score(fsum(result.points for result in results), fsum(cell.kata.max for cell in sheet.cells)),
        complete=len(results) == len(sheet.cells),
        katas=results,
        unfinished=tuple(cell.kata.id for cell in sheet.cells if cell.result is None),
    )


def in_hundredths(card: Scorecard) -> Scorecard:
    """The card as a gradebook shows it: the points of each kata rounded, and a total that is their sum."""
    katas = tuple(structs.replace(kata, points=rounded(kata.points)) for kata in card.katas)
    return structs.replace(card, katas=katas, score=Score(fsum(kata.points for kata in katas), card.score.max))


def rounded(points: float) -> float:
    """Points in hundredths, half of one up."""
    exact = Decimal(f"{points:.9f}")  # without what binary fractions leave over
    return float(exact.quantize(_HUNDREDTH, ROUND_HALF_UP))


def _moment(written: str) -> datetime | None:
    """An ISO 8601 date with a time; None for "" and for what is none."""
    try:
        return in_zone(datetime.fromisoformat(written))
    except ValueError:
        return None
