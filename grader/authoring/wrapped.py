"""Wrappers before a suite: which code that is right until something about the call changes does no test see?"""

from __future__ import annotations

from collections.abc import Sequence

from grader.authoring.bench import Bench
from grader.authoring.case import Case, Role
from grader.authoring.evidence import Evidence
from grader.authoring.fate import Fate, excuse_of
from grader.authoring.outcome import Outcome, Trial
from grader.authoring.subject import Subject
from grader.authoring.wrappers import Wrapper, wrappers
from grader.authoring.wrappers.calls import seen, watching
from grader.authoring.wrappers.entries import entries

_PATIENCE = 10  # times the slowest test of the reference: what takes longer runs for ever
_LEAST_SECONDS = 5.0


def judge(evidence: Sequence[Evidence], bench: Bench) -> dict[str, list[Fate]]:
    """The fate of every wrapper of every kata, by the kata's id.

    A wrapper meets the tests that make a call in which it may be wrong, those first that catch most mistakes, and no more
    once one has failed. What convergence tests alone would see is no proof, so these are not asked.
    """
    watched = {each.subject.id: outcome for each, outcome in _watched(evidence, bench)}
    asked: list[tuple[Subject, Trial]] = []
    plans: dict[str, list[tuple[Wrapper, Case, Trial | None]]] = {}
    for each in evidence:
        subject = each.subject
        plans[subject.id] = [
            (wrapper, case, _trial(each, wrapper, case, watched[subject.id]))
            for wrapper, case in _made(subject, watched.get(subject.id))
        ]
        asked += [(subject, trial) for _, _, trial in plans[subject.id] if trial]
    outcomes = {(subject.id, trial): outcome for (subject, trial), outcome in zip(asked, bench.run(asked), strict=True)}
    fates: dict[str, list[Fate]] = {}
    for each in evidence:
        id, excuses = each.subject.id, each.subject.mistakes.excuses
        fates[id] = []
        for wrapper, case, trial in plans[id]:
            killed = _killers(outcomes[id, trial], trial) if trial else ()
            hint = (
                wrapper.kind.hint if wrapper.reached - set(each.slow) else "no test but those of convergence calls it"
            )
            tests = outcomes[id, trial].tests if trial else ()
            fates[id].append(Fate(case, killed, excuse=excuse_of(case.name, excuses), hint=hint, tests=tests))
    return fates


def cases(subject: Subject, bench: Bench) -> list[Case]:
    """All wrappers of one kata, none of which is judged."""
    watched = _watched([Evidence(subject, 1)], bench)
    return [case for each, outcome in watched for _, case in _made(each.subject, outcome)]


def _made(subject: Subject, watched: Outcome | None) -> list[tuple[Wrapper, Case]]:
    """The wrappers that a run of the suite on the reference calls for, and their cases."""
    if subject.reference is None or watched is None:
        return []
    found = wrappers(subject.reference, seen(watched, entries(subject.reference)))
    file = subject.reference_file
    return [(each, Case(Role.MUTANT, each.name, each.text.encode(), file, each.line)) for each in found]


def _watched(evidence: Sequence[Evidence], bench: Bench) -> list[tuple[Evidence, Outcome]]:
    """Each kata's suite, seen as it runs the reference in plain pytest."""
    runs = []
    for each in evidence:
        reference = each.subject.reference
        if reference is not None and each.subject.tests:
            text = watching(reference, entries(reference))
            case = Case(Role.MUTANT, "the reference, watched", text.encode(), each.subject.reference_file, 1)
            runs.append((each, Trial(case, local=True)))
    outcomes = bench.run([(each.subject, trial) for each, trial in runs])
    return [(each, outcome) for (each, _), outcome in zip(runs, outcomes, strict=True)]


def _trial(evidence: Evidence, wrapper: Wrapper, case: Case, watched: Outcome) -> Trial | None:
    """None where no quick test makes a call in which it may be wrong."""
    caught = [evidence.caught_by(mistake) for mistake in evidence.subject.of(Role.MISTAKE)]
    names = [test.name for test in evidence.subject.tests if test.name in wrapper.tests - set(evidence.slow)]
    names.sort(key=lambda name: -sum(name in tests for tests in caught))
    slowest = max((ran.seconds for ran in watched.tests if ran.name in names), default=0.0)
    seconds = max(_LEAST_SECONDS, float(round(_PATIENCE * slowest + 0.5)))
    return Trial(case, local=True, only=tuple(names), seconds=seconds, stop=True) if names else None


def _killers(outcome: Outcome, trial: Trial) -> tuple[str, ...]:
    """The test that failed; where the wrapper took its judge down, the one that had not ended."""
    failed = tuple(ran.name for ran in outcome.tests if not ran.passed)
    if failed or not outcome.faults:
        return failed
    ended = {ran.name for ran in outcome.tests}
    return tuple(name for name in trial.only if name not in ended)[:1]
