"""What there is to tell of a class: a fold over its sheets, which holds counts and no student's work."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from grader.classroom.gradebook import Cell, Sheet
from grader.classroom.records import Facts, KataFacts, Remark, State
from grader.scorecard import TestResult, Verdict

BINS = 10  # of the distribution
_UNTRIED = (Verdict.TODO, Verdict.NOT_RUN, Verdict.INTERNAL)  # say nothing of how hard a test is


@dataclass
class OfTest:
    """One test: how many tried it, and how many of these passed."""

    kata: str
    name: str
    title: str
    kind: str
    tried: int = 0
    passed: int = 0

    @property
    def rate(self) -> float:
        return self.passed / self.tried if self.tried else 0.0


@dataclass
class OfKata:
    """One kata: how its files ended, and what they took."""

    kata: KataFacts
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    handed_in: int = 0
    waiting: int = 0  # files that are not judged yet
    late: int = 0
    tests: dict[str, OfTest] = field(default_factory=dict)
    points: list[float] = field(default_factory=list)  # that were judged, of files
    seconds: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)  # the peak of each file, in MB

    @property
    def judged(self) -> int:
        return len(self.points)

    @property
    def passed(self) -> int:
        return self.verdicts[Verdict.PASS]


@dataclass(frozen=True)
class Bug:
    """A known mistake, in English and Chinese, and the ids of those who made it."""

    kata: str
    says: str
    says_zh: str


@dataclass
class OfClass:
    """The whole class, as far as it was added."""

    katas: dict[str, OfKata]
    known: Collection[str] = ()  # katas whose mistakes were judged on the class's seed
    unnamed: set[str] = field(default_factory=set)  # katas with failures whose mistakes were not
    students: int = 0
    complete: int = 0  # students of whom everything is judged
    shares: list[float] = field(default_factory=list)  # of the points that there are, of those who have a total
    bugs: dict[Bug, set[str]] = field(default_factory=lambda: defaultdict(set))
    internal: list[tuple[str, str, str]] = field(default_factory=list)  # student, kata, what is at fault
    decided: list[tuple[str, Cell]] = field(default_factory=list)  # student and the cell that a teacher changed
    remarks: list[Remark] = field(default_factory=list)

    @classmethod
    def of(cls, facts: Facts, known: Collection[str] = ()) -> OfClass:
        return cls({kata.id: OfKata(kata) for kata in facts.katas}, known)

    def add(self, sheet: Sheet) -> None:
        """One student more."""
        self.students += 1
        self.remarks += sheet.remarks
        if sheet.complete:
            self.complete += 1
            self.shares += [sheet.points / sheet.max] if sheet.max else []
        for cell in sheet.cells:
            self._add(sheet.student.id, cell)

    def distribution(self) -> list[int]:
        """How many students have 0 to under 10 % of the points, 10 to under 20 %, and so on; 100 % is in the last."""
        found = [0] * BINS
        for share in self.shares:
            found[min(max(int(share * BINS + 1e-9), 0), BINS - 1)] += 1
        return found

    def hardest(self, most: int = 10) -> list[OfTest]:
        """The tests that the fewest pass of those who tried; none that everybody passes."""
        tests = [test for kata in self.katas.values() for test in kata.tests.values() if test.tried > test.passed]
        return sorted(tests, key=lambda test: (test.rate, -test.tried, test.kata, test.name))[:most]

    def worst_bugs(self, most: int = 20) -> list[tuple[Bug, int]]:
        """The known mistakes with the number of students who made each, the most frequent first."""
        counted = [(bug, len(who)) for bug, who in self.bugs.items()]
        return sorted(counted, key=lambda each: (-each[1], each[0].kata, each[0].says))[:most]

    def _add(self, student: str, cell: Cell) -> None:
        of, result = self.katas[cell.kata.id], cell.result
        if cell.decided:
            self.decided.append((student, cell))
        of.late += bool(cell.late.days)
        of.handed_in += cell.entry.state not in (State.MISSING, State.STUB)
        if result is None:
            of.waiting += 1
            return
        of.verdicts[result.verdict] += 1
        if cell.ours:
            at_fault = [test.message for test in result.tests if test.verdict is Verdict.INTERNAL]
            self.internal.append((student, cell.kata.id, result.message or next(iter(at_fault), "")))
            return
        if cell.entry.state is not State.FILE:
            return
        of.points.append(result.points)
        of.seconds.append(result.seconds)
        peaks = [test.peak_memory_mb for test in result.tests if test.peak_memory_mb is not None]
        of.memory += [max(peaks)] if peaks else []
        for test in result.tests:
            self._add_test(student, of, test)

    def _add_test(self, student: str, of: OfKata, test: TestResult) -> None:
        about = of.tests.setdefault(test.name, OfTest(of.kata.id, test.name, test.title, test.kind))
        if test.verdict not in _UNTRIED:
            about.tried += 1
            about.passed += test.verdict is Verdict.PASS
        if test.verdict is Verdict.FAIL and of.kata.id not in self.known:
            self.unnamed.add(of.kata.id)
        if test.cause is not None and test.cause.diagnosis:
            self.bugs[Bug(of.kata.id, test.cause.diagnosis, test.cause.diagnosis_zh)].add(student)


def median(values: Iterable[float]) -> float | None:
    """None where there are none."""
    found = list(values)
    return statistics.median(found) if found else None
