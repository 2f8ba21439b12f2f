"""Mutation: which small slips in the reference does no test see? Those that are left are a list to judge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from grader.authoring import measures
from grader.authoring.bench import Bench
from grader.authoring.case import Case, Role
from grader.authoring.evidence import Evidence
from grader.authoring.finding import Finding
from grader.authoring.mistakes import Excuse
from grader.authoring.outcome import Trial
from grader.errors import CourseFault, UsageFault

_FIRST = 3  # tests that are tried on every mutant before all the others
_PATIENCE = 10  # times the slowest test of the reference: what takes longer runs for ever
_LEAST_SECONDS = 2.0


@dataclass(frozen=True)
class Fate:
    """What became of one mutant: the tests that failed on it, or why it is excused."""

    case: Case
    killed_by: tuple[str, ...] = ()
    slow_only: bool = False  # whether convergence tests alone saw it
    excuse: Excuse | None = None

    @property
    def survived(self) -> bool:
        """Whether an author has to look at it."""
        return self.excuse is None and (self.slow_only or not self.killed_by)


def score(fates: Sequence[Fate]) -> float:
    """The share that was killed, of those that are not excused."""
    counted = [fate for fate in fates if fate.excuse is None]
    return sum(not fate.survived for fate in counted) / len(counted) if counted else 1.0


def judge(evidence: Sequence[Evidence], bench: Bench) -> dict[str, list[Fate]]:
    """The fate of every mutant of every kata, by the kata's id.

    First the tests that catch most mistakes, then for those that live the others, and at last the convergence tests: as plain
    pytest runs them, with a time limit of their own, since a mutant may run for ever.
    """
    cases = {each.subject.id: _cases(each) for each in evidence}
    killed: dict[tuple[str, Case], tuple[str, ...]] = {}
    slow: set[tuple[str, Case]] = set()
    for round_ in range(3):
        trials = []
        for each in evidence:
            only = _rounds(each)[round_]
            seconds = _patience(each)
            left = [case for case in cases[each.subject.id] if only and (each.subject.id, case) not in killed]
            trials += [(each.subject, Trial(case, local=True, only=only, seconds=seconds)) for case in left]
        for (subject, trial), outcome in zip(trials, bench.run(trials), strict=True):
            if outcome.failed or outcome.faults:
                blind = {ran.name for ran in outcome.tests if not ran.failed}  # where a judge died, not all have ended
                killed[subject.id, trial.case] = tuple(test for test in trial.only if test not in blind)
                slow |= {(subject.id, trial.case)} if round_ == 2 else set()
    fates = {}
    for each in evidence:
        id, excuses = each.subject.id, {excuse.mutant: excuse for excuse in each.subject.mistakes.excuses}
        fates[id] = [
            Fate(case, killed.get((id, case), ()), (id, case) in slow, excuses.get(case.name)) for case in cases[id]
        ]
    return fates


def excused(evidence: Evidence, fates: Iterable[Fate]) -> Iterator[Finding]:
    """Every excuse is for a mutant that there is, and that no test kills."""
    by_name = {fate.case.name: fate for fate in fates}
    for excuse in evidence.subject.mistakes.excuses:
        fate = by_name.get(excuse.mutant)
        if fate is None:
            message = f"there is no mutant {excuse.mutant!r}: take its name from the list of survivors"
        elif fate.killed_by and not fate.slow_only:
            message = f"{excuse.mutant!r} is excused, and {fate.killed_by[0]} kills it"
        else:
            continue
        yield Finding("mutants", evidence.subject.mistakes_file, excuse.line, message)


def _cases(evidence: Evidence) -> list[Case]:
    try:
        from grader.authoring.mutate import mutants
    except ModuleNotFoundError as error:
        raise UsageFault(f"--mutate needs {error.name}", "install it with `pip install libcst`") from None
    subject = evidence.subject
    if subject.reference is None or not subject.tests:
        return []
    try:
        found = mutants(subject.reference)
    except CourseFault:
        return []  # its markers do not pair, which a rule says
    return [Case(Role.MUTANT, each.name, each.text.encode(), subject.reference_file, each.line) for each in found]


def _rounds(evidence: Evidence) -> tuple[tuple[str, ...], ...]:
    """The tests of the three rounds: those that together catch most mistakes, the others, the convergence tests."""
    quick = [test.name for test in evidence.subject.tests if test.name not in evidence.slow]
    caught = [set(evidence.caught_by(case)) for case in evidence.subject.of(Role.MISTAKE)]
    first: list[str] = []
    while quick and len(first) < min(_FIRST, len(quick)):
        open_ = [names for names in caught if not names & set(first)]
        rest = [name for name in quick if name not in first]
        first.append(max(rest, key=lambda name: sum(name in names for names in open_)))
    return tuple(first), tuple(name for name in quick if name not in first), evidence.slow


def _patience(evidence: Evidence) -> float:
    slowest = max(measures.seconds(evidence).values(), default=0.0)
    return max(_LEAST_SECONDS, float(round(_PATIENCE * slowest + 0.5)))
