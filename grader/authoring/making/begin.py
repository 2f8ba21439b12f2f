"""`grade init`: a course that is complete from the first minute, in a folder that may have a few files already."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from grader.authoring.making import pages
from grader.authoring.making.new import new
from grader.course import Course
from grader.errors import UsageFault
from grader.messages import Message, text
from grader.settings import FILE, load

FIRST = "01_line"
_TITLES = {"title": "A line by gradient descent", "title_zh": "用梯度下降拟合直线"}


def begin(root: Path, languages: Sequence[str]) -> tuple[list[Path], list[Path]]:
    """Make a course of one kata at `root`; returns the files that were written, and those that were there and stay.

    Raises UsageFault, before anything is written, where there is a course already, or a part of one.
    """
    parts = [path for name in ("katas", "reference", FILE) if os.path.lexists(path := root / name)]
    if parts:
        raise UsageFault(
            text("{folder} has a course already, or a part of one: {name}", folder=str(root), name=parts[0].name),
            text("`grade new my_topic` begins a kata in it; for another course, name an empty folder"),
        )
    files = {
        FILE: pages.filled("course.toml", name=_quoted(root.resolve().name), languages=_quoted(list(languages))),
        **pages.beginning(root.resolve().name, languages),
        ".gitignore": pages.verbatim("gitignore"),
        **pages.on_github(),
    }
    written: list[Path] = []
    kept: list[Path] = []

    def put(name: str, content: str) -> None:
        path = root / name
        if os.path.lexists(path):
            kept.append(path)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        written.append(path)

    try:
        for name, content in files.items():
            put(name, content)
        course = Course(root, (), load(root))
        put("pyproject.toml", pages.project(course, published=True))
    except OSError as error:
        raise UsageFault(
            text("cannot write {file}: {reason}", file=str(error.filename), reason=error.strerror)
        ) from None
    return written + new(course, FIRST, **_TITLES), kept


def next_steps() -> Message:
    """What an author does after `grade init`."""
    return text(_NEXT_STEPS)


_NEXT_STEPS = """\
This is a course of one kata, which holds. What comes next:

  grade check --record       proves it, and puts on record how strict its suite is
  grade --from reference     grades the authors' solution: every point
  grade new my_topic         begins a kata of your own
  grade release ../class     writes the learners' repository, without an answer
  course.toml                is where the settings of the course stand"""


def _quoted(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
