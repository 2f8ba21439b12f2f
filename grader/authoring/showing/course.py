"""The course for the pages on which a visitor looks for it: as one table, track by track, and path by path."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from grader.course import Course
from grader.kata import Kata
from grader.study import paths
from grader.study.listing import stars
from grader.study.paths import StudyPath


def course_table(course: Course) -> str:
    """A line of Markdown for each kata: its statement, what it is about, track, difficulty, minutes, what it requires."""
    return "\n".join(_lines(course))


def course_tracks(course: Course) -> str:
    """A heading for each track that has katas, in English and Chinese, and a line of Markdown for each of its katas.

    Links are seen from `katas/`; requirements that stand in another track are links too.
    """
    tracks = dict.fromkeys([*course.settings.tracks, *(kata.track for kata in course.katas)])
    parts = ((track, [kata for kata in course.katas if kata.track == track]) for track in tracks)
    return "\n\n".join("\n".join(_track(katas)) for _, katas in parts if katas)


def course_paths(course: Course) -> str:
    """A part of the page with a heading for each path, in English and Chinese, and its katas in their order.

    Links are seen from `katas/`; "" where the course names no paths.
    """
    found = ["\n".join(_path(path)) for path in paths.load(course)]
    return "\n\n".join(["## Paths", *found]) if found else ""


def relisted(page: str, listed: str, mark: str = "course") -> str:
    """The page with this list between the two marks that it has for it; as it is where it has none."""
    between = re.compile(rf"(<!-- {mark} -->\n)(.*?)(<!-- /{mark} -->)", re.DOTALL)
    return between.sub(lambda found: f"{found[1]}{listed}\n{found[3]}", page, count=1)


def _lines(course: Course) -> Iterator[str]:
    yield "| kata | what you build | track | difficulty | minutes | after |"
    yield "|---|---|---|---|---:|---|"
    for kata in course.katas:
        after = ", ".join(each.partition("_")[0] for each in kata.requires)
        link = f"[{kata.id}](katas/{kata.id}/README.md)"
        yield f"| {link} | {kata.blurb} | {kata.track} | {stars(kata.difficulty)} | {kata.minutes} | {after} |"
    hours = sum(kata.minutes for kata in course.katas) / 60
    yield ""
    yield f"{len(course.katas)} katas, about {hours:.0f} hours."


def _track(katas: Sequence[Kata]) -> Iterator[str]:
    names = dict.fromkeys((katas[0].track, katas[0].track_in("zh")))
    yield f"### {' · '.join(names)}"
    yield ""
    yield "| kata | 题目 | difficulty | minutes | after |"
    yield "|---|---|---|---:|---|"
    for kata in katas:
        after = ", ".join(f"[{each}]({each}/README.md)" for each in kata.requires)
        english, chinese = (f"[{kata.title_in(code)}]({kata.id}/{kata.statement(code).name})" for code in ("en", "zh"))
        yield f"| {kata.number:02} {english} | {chinese} | {stars(kata.difficulty)} | {kata.minutes} | {after} |"


def _path(path: StudyPath) -> Iterator[str]:
    names = dict.fromkeys(path.title_in(code) for code in ("en", "zh"))
    yield f"### {' · '.join(names)}"
    yield ""
    yield f"`grade list --path {path.name}` · {len(path.katas)} katas, about {path.hours:.0f} hours"
    for about in dict.fromkeys(path.about_in(code) for code in ("en", "zh")):
        yield ""
        yield about
    yield ""
    yield " → ".join(f"[{kata.id}]({kata.id}/README.md)" for kata in path.katas)
