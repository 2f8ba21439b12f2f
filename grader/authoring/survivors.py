"""Slips: which small changes to the reference does no test see? Those that are left are a list to judge."""

from __future__ import annotations

from collections.abc import Sequence

from grader.authoring import measures
from grader.authoring.bench import Bench
from grader.authoring.case import Case, Role
from grader.authoring.evidence import Evidence
from grader.authoring.fate import Fate, excuse_of
from grader.authoring.outcome import Ran, Trial
from grader.authoring.subject import Subject
from grader.errors import CourseFault, UsageFault
from grader.messages import text

_FIRST = 3  # tests that are tried on every mutant before all the others
_PATIENCE = 10  # times the slowest test of the reference: what takes longer runs for ever
_LEAST_SECONDS = 2.0


def judge(evidence: Sequence[Evidence], bench: Bench) -> dict[str, list[Fate]]:
    """The fate of every mutant of every kata, by the kata's id.

    First the tests that catch most mistakes, then for those that live the others, and at last the convergence tests: as plain
    pytest runs them, with a time limit of their own, since a mutant may run for ever.
    """
    cases = {each.subject.id: slips(each.subject) for each in evidence}
    killed: dict[tuple[str, Case], tuple[str, ...]] = {}
    slow: set[tuple[str, Case]] = set()
    ran: dict[tuple[str, Case], tuple[Ran, ...]] = {}
    for round_ in range(3):
        trials = []
        for each in evidence:
            only = _rounds(each)[round_]
            seconds = _patience(each)
            left = [case for case in cases[each.subject.id] if only and (each.subject.id, case) not in killed]
            trials += [(each.subject, Trial(case, local=True, only=only, seconds=seconds)) for case in left]
        for (subject, trial), outcome in zip(trials, bench.run(trials), strict=True):
            ran[subject.id, trial.case] = (*ran.get((subject.id, trial.case), ()), *outcome.tests)
            if outcome.failed or outcome.faults:
                blind = {
                    each.name for each in outcome.tests if not each.failed
                }  # where a judge died, not all have ended
                killed[subject.id, trial.case] = tuple(test for test in trial.only if test not in blind)
                slow |= {(subject.id, trial.case)} if round_ == 2 else set()
    fates = {}
    for each in evidence:
        id, excuses = each.subject.id, each.subject.mistakes.excuses
        fates[id] = [
            Fate(
                case,
                killed.get((id, case), ()),
                (id, case) in slow,
                excuse_of(case.name, excuses),
                tests=ran.get((id, case), ()),
            )
            for case in cases[id]
        ]
    return fates


def slips(subject: Subject) -> list[Case]:
    """All mutants of one kata, as cases."""
    try:
        from grader.authoring.mutate import mutants
    except ModuleNotFoundError as error:
        raise UsageFault(
            text("--mutate needs {name}", name=error.name), text("install it with `pip install libcst`")
        ) from None
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
