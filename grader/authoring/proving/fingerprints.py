"""The fingerprints of a kata's mistakes: what each test says of each, by which a scorecard names a learner's bug.

`grade check --record` writes them, from the mistakes on seed 0. What solves nothing at all often fails as some mistake
does, and is no trace of it: a failure that a member of the zoo shares is left out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import msgspec

from grader import diagnosis
from grader.authoring.proving.case import Case, Role
from grader.authoring.proving.evidence import Evidence
from grader.authoring.proving.finding import Finding
from grader.authoring.proving.subject import Subject
from grader.diagnosis import FILE, Fingerprints, Known, Print, agree
from grader.scorecard import Verdict

_RULE = "fingerprints"
_NAMED = 3


def measured(evidence: Evidence) -> Fingerprints | None:
    """What each test says of each mistake now; None where not all of them ran, or one of them is no edit yet."""
    cases = {case.name: case for case in evidence.subject.of(Role.MISTAKE)}
    if (
        not cases
        or evidence.subject.mistakes.findings
        or not all(case.caught_by in evidence.ran(case) for case in cases.values())
    ):
        return None
    return of(evidence, cases.values())


def of(evidence: Evidence, cases: Collection[Case]) -> Fingerprints:
    """What each test says of these mistakes, and of no member of the zoo."""
    idle = [_failures(evidence, case) for case in evidence.subject.of(Role.ZOO)]
    told = {mistake.id: mistake for mistake in evidence.subject.mistakes.mistakes}
    known = []
    for case in cases:
        tests = {
            test: print
            for test, print in _failures(evidence, case).items()
            if not any(test in of_zoo and agree(of_zoo[test], print) for of_zoo in idle)
        }
        known.append(Known(case.name, told[case.name].says, told[case.name].says_zh, tests))
    return Fingerprints(tuple(known))


def write(evidence: Evidence) -> Path | None:
    """Put the fingerprints on record; returns the file, None where nothing is known or nothing changed."""
    now, path = measured(evidence), evidence.subject.behind / FILE
    if now is None or (path.is_file() and not list(stale(evidence))):
        return None
    path.write_bytes(render(now))
    return path


def render(prints: Fingerprints) -> bytes:
    return msgspec.json.format(msgspec.json.encode(prints), indent=1) + b"\n"


def released(subject: Subject) -> bytes | None:
    """The fingerprints on record, without those of hidden tests; None where there are none."""
    on_record = diagnosis.load(subject.course, subject.kata)
    public = {test.name for test in subject.suites[0].tests}
    mistakes = tuple(
        Known(each.id, each.says, each.says_zh, {name: one for name, one in each.tests.items() if name in public})
        for each in on_record.mistakes
    )
    return render(Fingerprints(mistakes)) if mistakes else None


def stale(evidence: Evidence) -> Iterator[Finding]:
    """What is on record, if anything is, is what the mistakes do now."""
    subject, now = evidence.subject, measured(evidence)
    if now is None or not (subject.behind / FILE).is_file():
        return
    file, command = subject.name(subject.behind / FILE), f"`grade check {subject.id} --record`"
    there = {each.id: each for each in diagnosis.load(subject.course, subject.kata).mistakes}
    changed = [each.id for each in now.mistakes if each.id not in there or not _same(each, there[each.id])]
    if changed:
        yield Finding(_RULE, file, None, f"is not in step with {_listed(changed)}: {command} writes it anew")
    gone = [name for name in there if name not in {each.id for each in now.mistakes}]
    if gone:
        yield Finding(_RULE, file, None, f"has what is no mistake any more, {_listed(gone)}: {command} writes it anew")


def _listed(mistakes: list[str]) -> str:
    """The first few by name, the others by number."""
    more = len(mistakes) - _NAMED
    return ", ".join(mistakes[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _same(one: Known, other: Known) -> bool:
    return (one.says, one.says_zh, one.tests.keys()) == (other.says, other.says_zh, other.tests.keys()) and all(
        agree(print, other.tests[name]) for name, print in one.tests.items()
    )


def _failures(evidence: Evidence, case: Case) -> dict[str, Print]:
    """What the tests that fail on it say; convergence tests apart, whose numbers another machine would not repeat."""
    return {
        name: Print(ran.said, ran.trace)
        for name, ran in evidence.ran(case).items()
        if ran.verdict is Verdict.FAIL and ran.said is not None and name not in evidence.slow
    }
