"""What a check found, as frozen values: from these the tables are drawn, and their JSON is a contract with other programs."""

from __future__ import annotations

import math
from typing import Final, Literal

import msgspec

from grader.authoring.mutating import naming
from grader.authoring.mutating.fate import Fate, score
from grader.authoring.mutating.naming import Naming
from grader.authoring.proving import measures
from grader.authoring.proving.case import Role
from grader.authoring.proving.evidence import Evidence
from grader.authoring.proving.finding import Finding
from grader.authoring.proving.proof import Depth
from grader.scorecard import Verdict

FORMAT_VERSION: Final = 2


class TestRow(msgspec.Struct, frozen=True, kw_only=True):
    """One test, and what it is good for. None stands for what was not measured, or is no finite number."""

    __test__ = False  # pytest collects classes by the name

    name: str
    kind: str
    title: str
    file: str
    line: int
    catches: tuple[str, ...]  # mistakes
    named_by: tuple[str, ...]  # mistakes that say that it catches them
    passed_by: tuple[str, ...]  # members of the zoo
    right: float | None  # largest error / tolerance of a right solution
    wrong: float | None  # smallest of a mistake that names the test, where it was caught by a number
    margin: float | None  # standard deviations between the worst seed of a right solution and the bar
    bar: float | None  # where the bar stands, from the nearest ablation (0) to the worst right run (1)
    seconds: float | None  # with the reference, at the best of its runs


class CaseRow(msgspec.Struct, frozen=True, kw_only=True):
    """One case: its verdicts on seed 0 and one thread, by test; a test that was not run is not there."""

    role: Role
    name: str
    file: str
    line: int | None
    caught_by: str
    ablation: bool
    verdicts: dict[str, Verdict]  # before a judge, or as plain pytest gives them where no judge was asked
    plain: dict[str, Verdict]
    failures: dict[str, tuple[int, ...]]  # of a right solution: the seeds on which a test failed


class MutantRow(msgspec.Struct, frozen=True, kw_only=True):
    """One mutant of the reference, and its fate. hint: what a suite lacks that lets this wrapper live."""

    name: str
    kind: Literal["slip", "wrapper"]  # a small change to the source, or code round it
    file: str
    line: int | None
    fate: Literal["killed", "survived", "convergence", "excused"]
    killed_by: tuple[str, ...]
    reason: str
    hint: str


class Mutation(msgspec.Struct, frozen=True, kw_only=True):
    """All mutants of a kata. The shares that were killed, of those that are not excused: of slips, and of wrappers."""

    score: float
    wrappers: float
    mutants: tuple[MutantRow, ...]
    naming: Naming | None = None


class KataCheck(msgspec.Struct, frozen=True, kw_only=True):
    """One kata: what is wrong with it, and the evidence."""

    id: str
    title: str
    proved: Depth
    holds: bool
    findings: tuple[Finding, ...]
    right: float | None
    wrong: float | None
    margin: float | None
    seconds: float | None
    tests: tuple[TestRow, ...]
    cases: tuple[CaseRow, ...]
    mutation: Mutation | None


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The gates that the numbers are held to."""

    right: float = measures.RIGHT_RATIO
    wrong: float = measures.WRONG_RATIO
    margin: float = measures.MARGIN
    seconds: float = measures.BUDGET_SECONDS
    allowance: float = measures.ALLOWANCE


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One run of `grade check`. `findings` are the course's, beside those of its katas."""

    format_version: Literal[2] = FORMAT_VERSION
    course: str
    grader: str
    versions: dict[str, str]
    seeds: int
    limits: Limits
    seconds: float
    judged: int  # trials; all others were known
    holds: bool
    findings: tuple[Finding, ...]
    katas: tuple[KataCheck, ...]

    @property
    def all_findings(self) -> list[Finding]:
        return [*self.findings, *(finding for kata in self.katas for finding in kata.findings)]


def kata_check(evidence: Evidence, findings: list[Finding], fates: list[Fate] | None) -> KataCheck:
    """All about one kata."""
    right, wrong = measures.right_ratios(evidence), measures.mildest(measures.wrong_ratios(evidence))
    seconds = measures.seconds(evidence)
    bars, margins = measures.bars(evidence), dict[str, float]()
    for margin in measures.margins(evidence):
        margins[margin.test] = min(margin.deviations, margins.get(margin.test, math.inf))
    mistakes, zoo = evidence.subject.of(Role.MISTAKE), evidence.subject.of(Role.ZOO)
    tests = tuple(
        TestRow(
            name=test.name,
            kind=test.kind,
            title=test.title,
            file=test.file,
            line=test.line,
            catches=tuple(case.name for case in mistakes if test.name in evidence.caught_by(case)),
            named_by=tuple(case.name for case in mistakes if case.caught_by == test.name),
            passed_by=tuple(case.name for case in zoo if (r := evidence.ran(case).get(test.name)) and r.passed),
            right=_finite(right[test.name].value) if test.name in right else None,
            wrong=_finite(wrong[test.name].value) if test.name in wrong else None,
            margin=_finite(margins.get(test.name)),
            bar=bars.get(test.name),
            seconds=seconds.get(test.name),
        )
        for test in evidence.subject.tests
    )
    return KataCheck(
        id=evidence.subject.id,
        title=evidence.subject.kata.title,
        proved=evidence.depth,
        holds=not findings,
        findings=tuple(findings),
        right=_finite(max((each.value for each in right.values()), default=None)),
        wrong=_finite(min((each.value for each in wrong.values()), default=None)),
        margin=_finite(min(margins.values(), default=None)),
        seconds=round(sum(seconds.values()), 3) if seconds else None,
        tests=tests,
        cases=tuple(_cases(evidence)),
        mutation=_mutation(evidence, fates) if fates is not None else None,
    )


def _cases(evidence: Evidence) -> list[CaseRow]:
    failures: dict[str, dict[str, list[int]]] = {}
    for trial, outcome in evidence.right():
        for test in outcome.failed:
            failures.setdefault(trial.case.file, {}).setdefault(test, []).append(int(trial.seed))
    return [
        CaseRow(
            role=case.role,
            name=case.name,
            file=case.file,
            line=case.line,
            caught_by=case.caught_by,
            ablation=case.ablation,
            verdicts={name: ran.verdict for name, ran in evidence.ran(case).items()},
            plain={name: ran.verdict for name, ran in evidence.plain(case).items()},
            failures={test: tuple(seeds) for test, seeds in failures.get(case.file, {}).items()} if case.right else {},
        )
        for case in evidence.subject.cases
    ]


def _mutation(evidence: Evidence, fates: list[Fate]) -> Mutation:
    rows = []
    for fate in fates:
        word: Literal["killed", "survived", "convergence", "excused"]
        word = (
            "excused"
            if fate.excuse
            else "convergence"
            if fate.slow_only
            else "killed"
            if fate.killed_by
            else "survived"
        )
        reason = fate.excuse.reason if fate.excuse else ""
        case = fate.case
        row = MutantRow(
            name=case.name,
            kind="wrapper" if fate.hint else "slip",
            file=case.file,
            line=case.line,
            fate=word,
            killed_by=fate.killed_by,
            reason=reason,
            hint=fate.hint,
        )
        rows.append(row)
    slips, wrappers = (score([fate for fate in fates if bool(fate.hint) == wrapped]) for wrapped in (False, True))
    return Mutation(
        score=round(slips, 4), wrappers=round(wrappers, 4), mutants=tuple(rows), naming=naming.measured(evidence, fates)
    )


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None
