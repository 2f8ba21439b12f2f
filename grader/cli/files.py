"""For learners: `grade reset`, `undo` and `solution`. Whatever replaces a file keeps a copy first."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click

from grader.cli.options import course_option, here, learners_course
from grader.cli.speech import language
from grader.cli.spoken import command, option
from grader.cli.study import one_kata, opened
from grader.reports.beside import SIDE_BY_SIDE, beside
from grader.study import desk


@command
@click.argument("kata")
@option("--yes", is_flag=True, help="Do not ask.")
@course_option
def reset(kata: str, yes: bool, root: Path | None) -> int:
    """Begin KATA again from its stub. Your file is kept, and `grade undo` brings it back.

    Example: grade reset lstm
    """
    spoken, course = language(), learners_course(here(), root)
    chosen = one_kata(course, kata)
    if not yes and sys.stdin.isatty() and not desk.is_stub(course, chosen):
        click.confirm(spoken.text("put the stub in the place of {file}?", file=desk.file_of(chosen)), abort=True)
    print(spoken.say(desk.reset(course, chosen)))
    return 0


@command
@click.argument("kata")
@course_option
def undo(kata: str, root: Path | None) -> int:
    """Bring back the file of KATA that `grade reset` replaced. A second time takes that back.

    Example: grade undo lstm
    """
    course = learners_course(here(), root)
    print(language().say(desk.undo(course, one_kata(course, kata))))
    return 0


@command
@click.argument("kata")
@option("--give-up", is_flag=True, help="Show it although the kata does not pass; this is noted.")
@course_option
def solution(kata: str, give_up: bool, root: Path | None) -> int:
    """Show the solution of KATA beside yours, once yours passes.

    Example: grade solution lstm
    """
    with opened(root) as (course, store):
        found = desk.solution(course, store, one_kata(course, kata), give_up=give_up)
    if found.given_up:
        told = language().text("given up, which is noted: solve it again without looking, tomorrow")
        print(told, file=sys.stderr)
    width = shutil.get_terminal_size().columns
    if sys.stdout.isatty() and width >= SIDE_BY_SIDE:
        sys.stdout.write(beside(found.mine, found.theirs, width, language()))
    else:
        sys.stdout.write(found.theirs)
    return 0
