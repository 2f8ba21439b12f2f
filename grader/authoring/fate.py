"""What became of a mutant: killed by tests, excused by name, or left to be judged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from grader.authoring.case import Case
from grader.authoring.evidence import Evidence
from grader.authoring.finding import Finding
from grader.authoring.mistakes import Excuse
from grader.authoring.outcome import Ran


@dataclass(frozen=True)
class Fate:
    """One mutant: the tests that failed on it, or why it is excused.

    hint: of a wrapper what a suite lacks that lets it live; "" for a slip in the source.
    """

    case: Case
    killed_by: tuple[str, ...] = ()
    slow_only: bool = False  # whether convergence tests alone saw it
    excuse: Excuse | None = None
    hint: str = ""
    tests: tuple[Ran, ...] = ()  # as far as they ran

    @property
    def survived(self) -> bool:
        """Whether an author has to look at it."""
        return self.excuse is None and (self.slow_only or not self.killed_by)


def score(fates: Sequence[Fate]) -> float:
    """The share that was killed, of those that are not excused."""
    counted = [fate for fate in fates if fate.excuse is None]
    return sum(not fate.survived for fate in counted) / len(counted) if counted else 1.0


def excuse_of(name: str, excuses: Iterable[Excuse]) -> Excuse | None:
    """The excuse that names the mutant; of wrappers several at once: `sigmoid/clamps-at-*`."""
    found = [each for each in excuses if each.mutant == name or (_is_pattern(each) and fnmatchcase(name, each.mutant))]
    return min(found, key=lambda each: each.mutant != name, default=None)


def excused(evidence: Evidence, fates: Sequence[Fate]) -> Iterator[Finding]:
    """Every excuse is for a mutant that there is, and that no test kills."""
    for excuse in evidence.subject.mistakes.excuses:
        meant = [fate for fate in fates if fate.excuse == excuse]
        killed = [fate for fate in meant if fate.killed_by and not fate.slow_only]
        if not meant:
            message = f"there is no mutant {excuse.mutant!r}: take its name from the list of survivors"
            yield Finding("mutants", evidence.subject.mistakes_file, excuse.line, message)
        for fate in killed:
            message = f"{fate.case.name!r} is excused, and {fate.killed_by[0]} kills it"
            yield Finding("mutants", evidence.subject.mistakes_file, excuse.line, message)


def _is_pattern(excuse: Excuse) -> bool:
    """The name of a slip is a statement, in which a star is a product."""
    return "/" in excuse.mutant and " " not in excuse.mutant
