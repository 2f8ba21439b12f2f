"""For learners: `grade reset`, `undo`, `solution`, `export` and `import`. Whatever replaces a file keeps a copy first."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click

from grader import moving
from grader.cli.options import confirm, course_option, kata_argument, one_kata, opened, readable
from grader.cli.speech import language, note
from grader.cli.spoken import command, named, option
from grader.messages import Message, text
from grader.moving import Moved
from grader.reports.beside import SIDE_BY_SIDE, beside
from grader.study import desk


@command
@kata_argument()
@option("--yes", is_flag=True, help="Do not ask.")
@course_option
def reset(kata: str, yes: bool, root: Path | None) -> int:
    """Begin KATA again from its stub. Your file is kept, and `grade undo` brings it back.

    Example: grade reset lstm
    """
    with opened(root) as (course, _):
        chosen = one_kata(course, kata)
    if not desk.is_stub(course, chosen):
        confirm(text("put the stub in the place of {file}?", file=desk.file_of(chosen)), yes)
    print(language().say(desk.reset(course, chosen)))
    return 0


@command
@kata_argument()
@course_option
def undo(kata: str, root: Path | None) -> int:
    """Bring back the file of KATA that `grade reset` replaced. A second time takes that back.

    Example: grade undo lstm
    """
    with opened(root) as (course, _):
        print(language().say(desk.undo(course, one_kata(course, kata))))
    return 0


@command
@kata_argument()
@option("--give-up", "gives_up", is_flag=True, help="Show it although the kata does not pass; this is noted.")
@course_option
def solution(kata: str, gives_up: bool, root: Path | None) -> int:
    """Show the solution of KATA, once yours passes. It stands beside yours where a terminal has 120 columns, else alone.

    Example: grade solution lstm
    """
    with opened(root) as (course, store):
        found = desk.solution(course, store, one_kata(course, kata), give_up=gives_up)
    if found.given_up:
        note(text("given up, which is noted: solve it again without looking, tomorrow"))
    width = shutil.get_terminal_size().columns
    if sys.stdout.isatty() and width >= SIDE_BY_SIDE:
        sys.stdout.write(beside(found.mine, found.theirs, width, language()))
    else:
        sys.stdout.write(found.theirs)
    return 0


@command
@click.argument("file", type=click.Path(path_type=Path))
@course_option
def export(file: Path, root: Path | None) -> int:
    """Write your attempts, notes and kept copies to FILE, to take them to another machine.

    Example: grade export progress.zip
    """
    with opened(root) as (course, store):
        moved = moving.export(course, store, readable(file))
    print(_moved(text("{file} holds {attempts} and {copies}"), moved, file))
    return 0


@named("import")
@click.argument("file", type=click.Path(path_type=Path))
@course_option
def import_(file: Path, root: Path | None) -> int:
    """Add what `grade export` wrote to FILE elsewhere. Nothing that is here is replaced.

    Example: grade import progress.zip
    """
    with opened(root) as (course, store):
        moved = moving.take_in(course, store, readable(file))
    print(_moved(text("from {file}: {attempts} and {copies} are new"), moved, file))
    return 0


def _moved(told: Message, moved: Moved, file: Path) -> str:
    spoken = language()
    return spoken.text(
        told.code,
        file=str(file),
        attempts=spoken.plural("{count} attempt", "{count} attempts", moved.attempts),
        copies=spoken.plural("{count} copy", "{count} copies", moved.copies),
    )
