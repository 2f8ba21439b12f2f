"""What comes after a run on the learner's own files: the katas that pass for the first time, and what to take up next."""

from __future__ import annotations

import time

from grader.course import Course
from grader.kata import Kata
from grader.messages.language import Language
from grader.reports.moment import Moment
from grader.reports.terminal import After
from grader.scorecard import Scorecard, Verdict
from grader.standing import Standing, State, follow_up, standing
from grader.store import Store

SHOWN = 3  # katas that pass for the first time, and are told of at length


def after_run(card: Scorecard, course: Course, store: Store, before: Standing, language: Language) -> After:
    """What there is to say; `before` is where the learner stood when the run began."""
    now = standing(course, store)
    passing = {kata.id for kata in card.katas if kata.verdict is Verdict.PASS}
    first = [place.kata for place in before.places if place.kata.id in passing and not place.solved]
    passed = {place.kata.id for place in now.places if place.state is State.PASSED} | passing
    moments = [_moment(kata, now, len(passed), language.code) for kata in first[:SHOWN]]
    left = {kata.id for kata in card.katas if kata.verdict is not Verdict.PASS} | set(card.unbegun)
    kata = now.next(passing, among=left) or now.next(passing)
    if kata is None:
        return After(moments=moments)
    statement = kata.statement(language.code)
    page = statement.name if statement.is_file() else "README.md"
    return After(f"katas/{kata.id}/{kata.stub.name}", f"katas/{kata.id}/{page}", moments)


def elsewhere(card: Scorecard, course: Course) -> After | None:
    """The same for files that are not the learner's own: that all is done, or None where there is nothing to say."""
    passing = {kata.id for kata in card.katas if kata.verdict is Verdict.PASS}
    return After() if passing.issuperset(kata.id for kata in course.katas) else None


def _moment(kata: Kata, now: Standing, passed: int, code: str) -> Moment:
    attempts = now.of(kata).attempts
    return Moment(
        kata=kata.id,
        title=kata.title_in(code),
        learnt=kata.blurb_in(code),
        seconds=time.time() - attempts[0].time if len(attempts) > 1 else None,
        attempts=max(len(attempts), 1),
        questions=follow_up(kata, code),
        opens=[each.id for each in now.unlocked_by(kata)],
        passed=passed,
        katas=len(now.places),
    )
