"""The zip that Gradescope takes as an autograder: the course with its hidden suites, the grader, and two scripts."""

from __future__ import annotations

import ast
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from grader import seeds
from grader.authoring.making import pages
from grader.authoring.making.choice import Choice
from grader.authoring.making.release import Files, grader_files, katas
from grader.autograder import CONFIG, SEED, Config
from grader.course import Course
from grader.errors import CourseFault, Fault, UsageFault
from grader.kata import SETTINGS
from grader.messages import text
from grader.writing import in_place_of

_SCRIPTS = ("setup.sh", "run_autograder")


def contents(choice: Choice, config: Config, *, published: bool = False) -> Files:
    """Every file of the zip; raises CourseFault with all faults of all katas. The solutions are not in it."""
    course = choice.course
    files = katas(course, hidden=True) | dict(_hidden(course))
    if not published:
        files |= grader_files()
    if (course.root / SETTINGS).is_file():
        files[SETTINGS] = (course.root / SETTINGS).read_bytes()
    files["pyproject.toml"] = pages.project(course, published=published).encode()
    files[CONFIG] = msgspec.json.encode(config)
    files[SEED] = f"{seeds.draw().digits}\n".encode()  # one for all submissions, which none of them knows
    for script in _SCRIPTS:
        files[script] = pages.verbatim(f"gradescope.{script}").encode()
    return files


def pack(files: Files, out: Path) -> None:
    """Write the zip in one step. Raises UsageFault where another file is in its place, which stays."""
    if os.path.lexists(out) and not _is_autograder(out):
        raise UsageFault(
            text("{file} is there already, and is no autograder", file=str(out)), text("name a file that is not there")
        )
    try:
        with in_place_of(out) as beside, zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in sorted(files.items()):
                entry = zipfile.ZipInfo(name)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = (0o100755 if name in _SCRIPTS else 0o100644) << 16
                archive.writestr(entry, content)
    except OSError as error:
        raise UsageFault(text("cannot write {file}: {reason}", file=str(out), reason=error.strerror)) from None


def _hidden(course: Course) -> Iterator[tuple[str, bytes]]:
    """The hidden suites and their texts. Raises CourseFault where one asks for the reference, which is not there."""
    for kata in course.katas:
        if kata.hidden is None:
            continue
        content, name = kata.hidden.read_bytes(), f"reference/{kata.id}/{kata.hidden.name}"
        if any(isinstance(node, ast.arg) and node.arg == "reference" for node in ast.walk(ast.parse(content))):
            wanted = text("asks for the reference, which an autograder does not hold")
            help = text("write what it should be into the test")
            raise CourseFault([Fault(name, wanted=wanted, help=help)])
        yield name, content
        for path in sorted(kata.hidden.parent.glob("*.po")):
            yield f"reference/{kata.id}/{path.name}", path.read_bytes()


def _is_autograder(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return CONFIG in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False
