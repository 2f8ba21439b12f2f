"""Where a learner stands in the course: what passes, what is under way, what comes next; from attempts, judging nothing."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from grader import submission
from grader.course import Course
from grader.kata import Kata
from grader.scorecard import Verdict
from grader.store import NOTEBOOK, Attempt, Store

OWN = ("", NOTEBOOK)  # origins of attempts that count for the learner: the file of the course, and a cell
GIVEN_UP = "given up"  # the note of a kata whose solution was shown before it passed
_QUESTION = re.compile(r"^\*\*(.+?[?？])\*\*", re.MULTILINE | re.DOTALL)


class State(StrEnum):
    """How far a kata is."""

    NEW = "new"
    BEGUN = "begun"
    PASSED = "passed"
    CHANGED = "changed"  # it passed, and its file is another one since


@dataclass(frozen=True)
class Place:
    """One kata, and the attempts on the learner's own file or in a notebook, oldest first."""

    kata: Kata
    state: State
    attempts: tuple[Attempt, ...]
    given_up: bool = False  # whether its solution was shown before it passed

    @property
    def solved(self) -> bool:
        """Whether the kata has passed before, whatever became of the file."""
        return self.state in (State.PASSED, State.CHANGED)

    @property
    def best(self) -> float:
        """The most points of any attempt."""
        return max((attempt.points for attempt in self.attempts), default=0.0)


@dataclass(frozen=True)
class Standing:
    """All katas of a course, in its order."""

    places: tuple[Place, ...]

    def of(self, kata: Kata) -> Place:
        """The place of one kata."""
        return next(place for place in self.places if place.kata.id == kata.id)

    def next(self, passing: Iterable[str] = (), among: Collection[str] | None = None) -> Kata | None:
        """What to take up: what is begun before what is new, and nothing whose requirements do not pass yet.

        passing: ids of katas that pass as well; among: those that are asked about. None where all of these pass.
        """
        solved = {place.kata.id for place in self.places if place.solved} | set(passing)
        solved -= set(among or ())  # one of them may have passed before, and does not now
        left = [place for place in self.places if place.kata.id not in solved]
        left = left if among is None else [place for place in left if place.kata.id in among]
        ready = [place for place in left if solved.issuperset(place.kata.requires)]
        begun = [place for place in ready if place.state is State.BEGUN]
        return next((place.kata for place in (*begun, *ready, *left)), None)

    def unlocked_by(self, kata: Kata) -> tuple[Kata, ...]:
        """The katas that become ready as this one passes."""
        solved = {place.kata.id for place in self.places if place.solved}
        return tuple(
            place.kata
            for place in self.places
            if kata.id in place.kata.requires
            and {*solved, kata.id}.issuperset(place.kata.requires)
            and not place.solved
        )


def standing(course: Course, store: Store) -> Standing:
    """Where the learner whose course this is stands."""
    given_up = store.noted(GIVEN_UP).keys()
    return Standing(tuple(_place(course, kata, store, kata.id in given_up) for kata in course.katas))


def _place(course: Course, kata: Kata, store: Store, given_up: bool) -> Place:
    names = (kata.id, *kata.aliases)
    found = [attempt for name in names for attempt in store.attempts(name) if attempt.origin in OWN]
    attempts = tuple(sorted(found, key=lambda attempt: attempt.time))
    passes = [attempt for attempt in attempts if attempt.verdict is Verdict.PASS]
    if passes:
        now = submission.read(kata, None, course).sha256
        by_file = {each.sha256 for each in passes if not each.origin}  # none where it passed in notebooks alone
        return Place(kata, State.PASSED if now in by_file or not by_file else State.CHANGED, attempts, given_up)
    begun = any(attempt.verdict is not Verdict.TODO or attempt.points for attempt in attempts)
    return Place(kata, State.BEGUN if begun else State.NEW, attempts, given_up)


def follow_up(kata: Kata, language: str = "en") -> list[str]:
    """The follow-up questions of a statement: in the last of its parts that are folded away, what is bold and asks."""
    page = kata.statement(language)
    try:
        text = (page if page.is_file() else kata.statement()).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return []
    _, folded, last = text.rpartition("<details>")
    return [" ".join(each.split()) for each in _QUESTION.findall(last)] if folded else []
