"""The course as a table, for the page on which a visitor looks for it."""

from __future__ import annotations

from collections.abc import Iterator

from grader.course import Course


def course_table(course: Course) -> str:
    """A line of Markdown for each kata: its statement, what it is about, track, difficulty, minutes, what it requires."""
    return "\n".join(_lines(course))


def _lines(course: Course) -> Iterator[str]:
    yield "| kata | what you build | track | difficulty | minutes | after |"
    yield "|---|---|---|---|---:|---|"
    for kata in course.katas:
        after = ", ".join(each.partition("_")[0] for each in kata.requires)
        stars = "★" * kata.difficulty + "☆" * (5 - kata.difficulty)
        link = f"[{kata.id}](katas/{kata.id}/README.md)"
        yield f"| {link} | {kata.blurb} | {kata.track} | {stars} | {kata.minutes} | {after} |"
    hours = sum(kata.minutes for kata in course.katas) / 60
    yield ""
    yield f"{len(course.katas)} katas, about {hours:.0f} hours."
