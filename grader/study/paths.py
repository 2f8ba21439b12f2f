"""Named paths through a course, for those who have an evening, a weekend or a month. The course tells them in `course.toml`:

    [[paths]]
    name = "evening"                      # what `grade list --path` is given
    title = "An evening"
    about = "A network by hand, then what it is for."
    katas = ["01_mlp", "31_word2vec"]     # in this order, each after all that it requires

and `title_zh`, `about_zh` in a course that speaks Chinese too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from grader.course import Course
from grader.errors import Fault, UsageFault, did_you_mean
from grader.formats import read
from grader.kata import Kata
from grader.messages import text
from grader.messages.language import SOURCE
from grader.settings import FILE, FORMAT
from grader.standing import Standing

_TEXTS = ("title", "about")


@dataclass(frozen=True)
class StudyPath:
    """Some katas of a course, in the order in which to take them up."""

    name: str
    katas: tuple[Kata, ...]
    texts: Mapping[str, str]  # title, about, and both in other languages: title_zh, about_zh

    @property
    def hours(self) -> float:
        """How long all of its katas take."""
        return sum(kata.minutes for kata in self.katas) / 60

    def title_in(self, language: str) -> str:
        """Who it is for; in English where that language has none."""
        return self._in("title", language)

    def about_in(self, language: str) -> str:
        """Where it leads, in a sentence; likewise."""
        return self._in("about", language)

    def of(self, found: Standing) -> Standing:
        """Where a learner stands on it."""
        return Standing(tuple(found.of(kata) for kata in self.katas))

    def _in(self, field: str, language: str) -> str:
        return self.texts.get(f"{field}_{language}") or self.texts[field]


def load(course: Course) -> tuple[StudyPath, ...]:
    """The paths of a course: of each, the katas that there are, and none of which no kata is left.

    So a release of some katas, or a course one of whose manifests is broken, keeps what it can of them.
    """
    by_id = {kata.id: kata for kata in course.katas}
    found = (
        StudyPath(fields["name"], tuple(by_id[id] for id in fields["katas"] if id in by_id), fields)
        for fields in _told(course)
    )
    return tuple(path for path in found if path.katas)


def one(course: Course, name: str) -> StudyPath:
    """The path of this name. Raises UsageFault where there is none."""
    known = {path.name: path for path in load(course)}
    if name in known:
        return known[name]
    listed = text("the paths are {paths}", paths=[*known]) if known else text("this course names no paths")
    raise UsageFault(text("there is no path {name!r}", name=name), did_you_mean(name, known) or listed)


def faults(course: Course) -> Iterator[Fault]:
    """What an author has to mend: a name twice, a kata that is not there, or stands before what it requires, a text that a language lacks."""
    by_id = {kata.id: kata for kata in course.katas}
    names: set[str] = set()
    for place, fields in enumerate(_told(course)):
        if fields["name"] in names:
            yield Fault(FILE, f"paths.{place}.name", text("is the name of another path too"), fields["name"])
        names.add(fields["name"])
        for key in (f"{each}_{language}" for language in course.languages for each in _TEXTS if language != SOURCE):
            if key not in fields:
                yield Fault(FILE, f"paths.{place}.{key}", text("is missing"))
        before: set[str] = set()
        for id in fields["katas"]:
            kata = by_id.get(id)
            if kata is None:
                wanted = text("is no kata of this course")
                yield Fault(FILE, f"paths.{place}.katas", wanted, id, did_you_mean(id, by_id))
            elif missing := [each for each in kata.requires if each not in before]:
                wanted = text("must stand after {katas}, which it requires", katas=missing)
                yield Fault(FILE, f"paths.{place}.katas", wanted, id)
            before.add(id)


def _told(course: Course) -> list[dict[str, Any]]:
    """What `course.toml` says of paths; it was held to its schema when the course was found."""
    path = course.root / FILE
    if not path.is_file():
        return []
    told: list[dict[str, Any]] = read(course.root, path, FORMAT, known_good=lambda digest: True).get("paths", [])
    return told
