"""A course in a learner's language: scorecards and single results, with the catalogues of their katas."""

from __future__ import annotations

from dataclasses import dataclass, field

from grader.course import Course
from grader.messages.language import Language, texts_of
from grader.messages.message import Texts
from grader.reports.worded import Told, in_language, kata_in_language, worded
from grader.scorecard import KataResult, Scorecard, TestResult


@dataclass(frozen=True)
class Speaker:
    """Words what was found in a course; catalogues are read once."""

    course: Course
    language: Language
    _read: dict[str, Texts] = field(default_factory=dict)

    def card(self, card: Scorecard) -> Scorecard:
        """The scorecard, all of whose sentences are in that language."""
        return worded(card, self.language, {kata.id: self._told(kata.id, kata.readme) for kata in card.katas})

    def kata(self, result: KataResult) -> KataResult:
        """One kata, likewise."""
        return kata_in_language(result, self.language, self._told(result.id, result.readme))

    def test(self, kata: str, result: TestResult) -> TestResult:
        """One test, likewise."""
        return in_language(result, self.language, self._texts(kata))

    def _told(self, kata: str, readme: str) -> Told:
        (found,) = self.course.select([kata])
        page = found.statement(self.language.code)
        shown = f"katas/{kata}/{page.name}" if readme and page.is_file() else readme
        return Told(found.title_in(self.language.code), shown, self._texts(kata))

    def _texts(self, kata: str) -> Texts:
        if kata not in self._read:
            (found,) = self.course.select([kata])
            behind = self.course.reference(found).parent
            self._read[kata] = {**texts_of(behind, self.language), **texts_of(found.folder, self.language)}
        return self._read[kata]
