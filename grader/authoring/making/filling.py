"""What an author need not count or copy: the number of tests, points of kinds that have none, and the table of shapes.

All of it is read off the suite and the reference, and put where it belongs; what an author wrote there stays.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from grader.authoring.making import manifest
from grader.authoring.proving import statement, suite
from grader.course import Course
from grader.errors import CourseFault, UsageFault
from grader.kata import Kata
from grader.messages import Message, text
from grader.reports.table import KINDS
from grader.settings import Settings, load
from grader.writing import write as write_file


@dataclass(frozen=True)
class Filled:
    """One file with what it lacked, and what that was, a message each."""

    path: Path
    text: str
    said: tuple[Message, ...]


def missing(root: Path) -> Iterator[Filled]:
    """The manifests that cannot be read because a number that can be counted, or points, are missing."""
    try:
        settings = load(root)
    except CourseFault:
        settings = Settings()
    for path in sorted(root.glob("katas/*/kata.toml")):
        fields = _fields(path)
        if fields is not None and not {"tests", "points"} <= fields.keys():
            yield from _manifest(root, path, settings)


def stale(course: Course, kata: Kata, stub: str) -> Iterator[Filled]:
    """The manifest and the pages of one kata that are not in step with its suite and its stub."""
    yield from _manifest(course.root, kata.folder / "kata.toml", course.settings)
    meanings = statement.docstring_meanings(stub)
    for name, _ in (statement.PAGES[language] for language in course.languages):
        page = kata.folder / name
        if page.is_file():
            yield from _page(page, meanings)


def write(filled: Filled) -> None:
    """Put the file in its place, in one step."""
    try:
        write_file(filled.path, filled.text.encode())
    except OSError as error:
        raise UsageFault(text("cannot write {file}: {reason}", file=str(filled.path), reason=error.strerror)) from None


def _fields(path: Path) -> dict[str, object] | None:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return None  # which whoever reads it in earnest says


def _manifest(root: Path, path: Path, settings: Settings) -> Iterator[Filled]:
    fields, slug = _fields(path), path.parent.name.partition("_")[2]
    paths = [path.with_name(f"test_{slug}.py"), root / "reference" / path.parent.name / "test_hidden.py"]
    suites = [suite.read(each, each.name) for each in paths if each.is_file()]
    tests = [test for each in suites for test in each.tests]
    if fields is None or path.is_symlink() or not tests or not all(each.whole for each in suites):
        return
    before = after = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    said = []
    if fields.get("tests") != len(tests):
        after = manifest.with_number(after, "tests", len(tests))
        said.append(text("tests = {count}, as many as there are", count=len(tests)))
    given = fields.get("points", {})
    kinds = [kind for kind in KINDS if any(test.kind == kind for test in tests)]
    if isinstance(given, dict) and (lacking := {kind: settings.points[kind] for kind in kinds if kind not in given}):
        after = manifest.with_points(after, lacking)
        points = ", ".join(f"{kind} = {value:g}" for kind, value in lacking.items())
        said.append(text("points of kinds that had none: {points}", points=points))
    if after != before and _fields_of(after):
        yield Filled(path, after, tuple(said))


def _fields_of(content: str) -> bool:
    """Whether this is still TOML: an author may have written it as no edit of lines foresees."""
    try:
        return bool(tomllib.loads(content))
    except tomllib.TOMLDecodeError:
        return False


def _page(page: Path, meanings: dict[str, str]) -> Iterator[Filled]:
    """The page with a row for each shape that its table lacks; without any table, with one before the hints."""
    try:
        before = page.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return
    shown = statement.table_shapes(before)
    lacking = {shape: meaning for shape, meaning in meanings.items() if shape not in shown}
    if not lacking or page.is_symlink():
        return
    lines = before.splitlines()
    if shown:
        end = max(shown.values())
        while end < len(lines) and lines[end].startswith("|"):
            end += 1
        empty = " |" * (lines[end - 1].count("|") - 3)
    else:
        end = next((number for number, line in enumerate(lines) if line.startswith("<details")), len(lines))
        empty = ""
    rows = [f"| `{shape}` | {meaning.replace('|', ' ')} |{empty}" for shape, meaning in lacking.items()]
    if not shown:
        rows = ["| | |", "|---|---|", *rows, ""]
    said = text("rows in the table of shapes: {shapes}", shapes=[*lacking])
    yield Filled(page, "\n".join([*lines[:end], *rows, *lines[end:]]) + "\n", (said,))
