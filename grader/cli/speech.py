"""The language that the command speaks: one for the process, chosen before anything is said.

`--lang` wherever it stands among the arguments, else GRADE_LANG, else the locale.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from grader.course import Course
from grader.errors import UsageFault
from grader.messages import text
from grader.messages.language import Language, known, of_environment, texts_of
from grader.messages.message import Texts
from grader.reports.worded import in_language, worded
from grader.scorecard import Scorecard, TestResult

OPTION = "--lang"
_chosen = Language()


def choose(args: Sequence[str]) -> None:
    """Speak what the arguments or the environment ask for. Raises UsageFault for a language that the harness lacks."""
    global _chosen
    _chosen = of_environment(os.environ)
    wanted = _wanted(args)
    if wanted is None:
        return
    if wanted not in known():
        raise UsageFault(
            text("there is no language {name!r}", name=wanted), text("the languages are {names}", names=known())
        )
    _chosen = Language(wanted)


def language() -> Language:
    """The language of this process."""
    return _chosen


def _wanted(args: Sequence[str]) -> str | None:
    for place, arg in enumerate(args):
        if arg == "--":
            return None
        if arg == OPTION:
            return args[place + 1] if place + 1 < len(args) else None
        if arg.startswith(f"{OPTION}="):
            return arg.partition("=")[2]
    return None


@dataclass(frozen=True)
class Speaker:
    """A course in the language of this process."""

    course: Course
    _read: dict[str, Texts] = field(default_factory=dict)

    def card(self, card: Scorecard) -> Scorecard:
        """The scorecard, all of whose sentences are in that language."""
        spoken = language()
        titles = {kata.id: kata.title_in(spoken.code) for kata in self.course.katas}
        told = {kata.id for kata in card.katas}
        texts = {kata.id: self._texts(kata.id) for kata in self.course.katas if kata.id in told}
        return worded(card, spoken, texts, titles)

    def test(self, kata: str, result: TestResult) -> TestResult:
        """One test, likewise."""
        return in_language(result, language(), self._texts(kata))

    def _texts(self, kata: str) -> Texts:
        if kata not in self._read:
            (found,) = self.course.select([kata])
            behind = self.course.reference(found).parent
            self._read[kata] = {**texts_of(behind, language()), **texts_of(found.folder, language())}
        return self._read[kata]
