"""When a run ends with 1: where anything does not pass, where something got worse, or where the course says so."""

from __future__ import annotations

import sys
from pathlib import Path

from grader import solved
from grader.cli.options import write_report
from grader.cli.speech import language
from grader.course import Course
from grader.messages import Message, text
from grader.reports.table import amount
from grader.scorecard import Scorecard, Verdict, exit_code
from grader.standing import standing
from grader.store import Store

FAIL_ON = ("any", "worse", "course")


class Gate:
    """What passed before the run, from `.grade/` and from the file that `--solved` names, and what that makes of its end."""

    def __init__(self, fail_on: str, course: Course, store: Store, path: Path | None) -> None:
        if fail_on == "course":
            fail_on = "worse" if course.fail_under is None else "under"
        self._fail_on, self._course, self._path = fail_on, course, path
        self._solved = solved.read(path) if path else solved.Solved()
        known = {kata.id: found.sha256 for kata in course.katas if (found := self._solved.of(kata))}
        self._before = (_passed(course, store) if fail_on == "worse" else {}) | known

    def keep(self, card: Scorecard) -> None:
        """Add what passes on this scorecard to the file."""
        if self._path:
            write_report(self._path, self._solved.and_now(card, self._course.katas).json())

    def code(self, card: Scorecard) -> int:
        """The exit code of a run that came to this scorecard; says why on standard error."""
        if self._fail_on == "any":
            return exit_code(card)
        said = self._under(card) if self._fail_on == "under" else self._worse(card)
        for each in said:
            print(language().say(each), file=sys.stderr)
        ours = any(kata.verdict is Verdict.INTERNAL for kata in card.katas)
        return 3 if ours else 1 if said else 0

    def _worse(self, card: Scorecard) -> list[Message]:
        ours = "{kata} passed before, and does not now: your file is the same, so the course or the grader has changed"
        return [
            text(ours, kata=id) if same else text("{kata} passed before, and does not now", kata=id)
            for id, same in solved.lost(card, self._before).items()
        ]

    def _under(self, card: Scorecard) -> list[Message]:
        least = self._course.fail_under
        assert least is not None
        if 100 * card.score.points >= least * card.score.max - 1e-9 * card.score.max:
            return []
        told = "{points} of {most} points are less than the {least} % that course.toml asks for"
        numbers = {"points": amount(card.score.points), "most": amount(card.score.max), "least": f"{least:g}"}
        return [text(told, **numbers)]


def _passed(course: Course, store: Store) -> dict[str, str]:
    """The SHA-256 of the file that passed last, of every kata that did on this machine."""
    found = {}
    for place in standing(course, store).places:
        for attempt in place.attempts:
            if attempt.verdict is Verdict.PASS:
                found[place.kata.id] = attempt.sha256
    return found
