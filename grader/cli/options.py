"""What several commands have in common: their options, and how they write a report."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grader import machine, reports, seeds
from grader.cli.speech import OPTION
from grader.errors import UsageFault
from grader.seeds import Secret

_DIGITS = 18  # of a public seed: what other programs read from JSON as a whole number

course_option = click.option(
    "--course", "root", type=click.Path(path_type=Path), metavar="DIR", help="The course, if it is not around here."
)
jobs_option = click.option("-j", "--jobs", type=click.IntRange(1, 64), metavar="N", help="Judge N katas at a time.")
language_option = click.option(
    OPTION,
    metavar="CODE",
    expose_value=False,
    help="The language to speak: en or zh; else that of GRADE_LANG or the locale.",
)


if TYPE_CHECKING:  # generic since click 8.4
    _Parameter = click.ParamType[tuple[str, Path | None]]
else:
    _Parameter = click.ParamType


class Report(_Parameter):
    """`FORMAT` or `FORMAT=PATH`."""

    name = "FORMAT[=PATH]"

    def __init__(self, formats: Sequence[str]) -> None:
        self.formats = tuple(formats)

    def convert(
        self, value: str, param: click.Parameter | None, context: click.Context | None
    ) -> tuple[str, Path | None]:
        form, given, path = value.partition("=")
        if form not in self.formats:
            self.fail(f"there is no report {form!r}; the reports are {', '.join(self.formats)}")
        if given and not path:
            self.fail(f"{value!r} names no path")
        return form, Path(path) if path else None


class Seed(click.ParamType[int | Secret]):
    """A number, `secret`, or `@FILE`."""

    name = "N|secret|@FILE"

    def convert(
        self, value: str | int | Secret, param: click.Parameter | None, context: click.Context | None
    ) -> int | Secret:
        if not isinstance(value, str):
            return value
        if value == "secret":
            return seeds.draw()
        if value.startswith("@") and value != "@":
            secret, new = seeds.kept_in(Path(value[1:]))
            if new:
                print(f"grade: a secret seed was drawn, and is kept in {value[1:]}", file=sys.stderr)
            return secret
        if not (value.isascii() and value.isdigit() and len(value) <= _DIGITS):
            self.fail(f"{value!r} is no seed: give a number of at most {_DIGITS} digits, `secret`, or @FILE")
        return int(value)


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def coloured() -> bool:
    """Whether standard output is a screen that wants colours."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def write_report(path: Path, text: str) -> None:
    """Write all of it or nothing. Raises UsageFault where that is not possible."""
    try:
        reports.write(path, text)
    except OSError as error:
        raise UsageFault(f"cannot write {path}: {error.strerror}", "name a path that can be written") from None


def here() -> Path:
    """The folder in which the command was started. Raises UsageFault where it is gone, or its name is no text."""
    try:
        found = Path.cwd()
    except OSError as error:
        raise UsageFault(
            f"the folder that you are in cannot be used: {error.strerror}", "change to the folder of your course"
        ) from None
    return readable(found)


def readable(path: Path) -> Path:
    """The path itself. Raises UsageFault where its name is not UTF-8: no report could show it."""
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError:
        raise UsageFault(f"{path}: this name is not UTF-8", "give the folder another name") from None
    return path


def ready_to_judge(jobs: int) -> None:
    """Raise UsageFault where no file can be judged.

    That is on Windows, which hands no descriptor to a process that is started, and where limits are too tight.
    """
    if sys.platform == "win32":
        raise UsageFault(
            "Windows itself cannot judge a file: its processes are not handed the lines between judge and worker",
            "run `grade` in WSL, the Linux of Windows, which `wsl --install` sets up; `pytest katas/04_lstm` works here too",
        )
    machine.make_room(jobs)
