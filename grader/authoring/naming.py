"""How well mistakes are named, found by machine: never falsely on what is no mistake of the list, and often on what is.

Mutants are bugs that nobody put on the list. Naming one is *false* where, in the test for which it is named, it returned
other values than the mistake does. Every mistake that is written once more into a variant, in another style, should be
named: the share that is, is the *recall*.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from grader import diagnosis
from grader.authoring import fingerprints
from grader.authoring.case import Role
from grader.authoring.evidence import Evidence
from grader.authoring.fate import Fate
from grader.authoring.outcome import Ran
from grader.diagnosis import Fingerprints, Known, Print
from grader.scorecard import Verdict

_TIGHT = 0.01  # share of the room that diagnosis leaves two traces: what differs by more returned other values


class Naming(msgspec.Struct, frozen=True, kw_only=True):
    """How many mutants were named, and how many falsely; how many mistakes in another style, of how many, and falsely."""

    mutants: int
    named: int
    false: tuple[str, ...]  # mutant, test and mistake of each
    again: int
    recalled: int
    missed: tuple[str, ...]


def measured(evidence: Evidence, fates: Sequence[Fate]) -> Naming | None:
    """What diagnosis says of all mutants, and of the mistakes in another style; None where there are no fingerprints."""
    known = fingerprints.measured(evidence)
    if known is None:
        return None
    named, false = 0, []
    for fate in fates:
        found = _named(fate.tests, known)
        named += bool(found)
        false += [f"{fate.case.name}: {each}" for each in _false(fate.tests, found)]
    again = evidence.subject.of(Role.AGAIN)
    missed = []
    for case in again:
        ran = [*evidence.ran(case).values()]
        found = _named(ran, known)
        if not any(each.id == case.again for names in found.values() for each in names):
            missed.append(case.name)
        false += [f"{case.name}: {each}" for each in _false(ran, found)]
    return Naming(
        mutants=len(fates),
        named=named,
        false=tuple(false),
        again=len(again),
        recalled=len(again) - len(missed),
        missed=tuple(missed),
    )


def _named(tests: Iterable[Ran], known: Fingerprints) -> dict[str, list[Known]]:
    ended = {ran.name: _print(ran) for ran in tests if ran.verdict not in (Verdict.NOT_RUN, Verdict.PASS)}
    passed = {ran.name for ran in tests if ran.passed}
    return diagnosis.named(ended, passed, known)


def _print(ran: Ran) -> Print | None:
    return Print(ran.said, ran.trace) if ran.verdict is Verdict.FAIL and ran.said is not None else None


def _false(tests: Iterable[Ran], found: dict[str, list[Known]]) -> Iterable[str]:
    traces = {ran.name: ran.trace for ran in tests}
    for test, names in found.items():
        if not any(diagnosis.same_trace(traces[test], each.tests[test].trace, _TIGHT) for each in names):
            yield f"{test} names {', '.join(each.id for each in names)}"
