"""What comes after a run: the kata to take up next, and what each new pass opens."""

from __future__ import annotations

from grader.course import Course
from grader.reports.terminal import After
from grader.scorecard import Scorecard, Verdict
from grader.standing import standing
from grader.store import Store


def after_run(card: Scorecard, course: Course, store: Store) -> After:
    """What comes after this run on the learner's own work."""
    found = standing(course, store)
    passing = {kata.id for kata in card.katas if kata.verdict is Verdict.PASS}
    fresh = {kata.id for kata in card.katas if not kata.from_store}
    opened = [kata for kata in course.katas if kata.id in passing & fresh]
    unlocked = {kata.id: [each.id for each in found.unlocked_by(kata)] for kata in opened}
    kata = found.next(passing)
    if kata is None:
        return After(unlocked=unlocked)
    return After(f"katas/{kata.id}/{kata.stub.name}", f"katas/{kata.id}/README.md", unlocked)
