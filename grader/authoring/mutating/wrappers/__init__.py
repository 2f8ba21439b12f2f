"""Wrappers: mutants that are right in all they do, until something about the call changes.

Small slips in the source are one way to be wrong. Another is to be right for the calls that a suite happens to make. So the
suite is watched as it runs the reference (`watch.py`, `calls.py`), and round every entry point (`entries.py`) wrappers are put
that are wrong in one respect: these are the kinds of `kinds.py`. A wrapper is a learner's file: the reference with some
lines behind it (`change.py`, `pieces/`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from grader.authoring.mutating.wrappers.calls import Seen
from grader.authoring.mutating.wrappers.change import wrapped
from grader.authoring.mutating.wrappers.kinds import KINDS, Kind


@dataclass(frozen=True)
class Wrapper:
    """One mutant. `name` is `lstm/clamps-at-5`.

    reached: the tests that call its entry point; tests: those of them whose calls may show that it is wrong: in all others it
    does what the reference does.
    """

    name: str
    text: str
    line: int
    kind: Kind
    reached: frozenset[str]
    tests: frozenset[str]


def wrappers(reference: str, seen: list[Seen]) -> Iterator[Wrapper]:
    """All wrappers of all entry points, in the order of the source and of the kinds; none has the name of another."""
    for each in seen:
        told: set[str] = set()
        for kind in KINDS:
            for change in kind.changes(each):
                if change.name not in told:
                    told.add(change.name)
                    text = wrapped(reference, each.entry, change)
                    yield Wrapper(
                        f"{each.entry.name}/{change.name}",
                        text,
                        each.entry.line,
                        kind,
                        each.tests(),
                        each.tests(change.matters),
                    )
