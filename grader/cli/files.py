"""For learners: `grade reset`, `undo`, `solution`, `export` and `import`. Whatever replaces a file keeps a copy first."""

from __future__ import annotations

import shutil
import sys
from itertools import zip_longest
from pathlib import Path

import click

from grader import copies, moving
from grader.cli.options import course_option, kata_argument, one_kata, opened, readable
from grader.cli.speech import language, note
from grader.cli.spoken import command, named, option
from grader.course import Course
from grader.errors import UsageFault
from grader.kata import Kata
from grader.messages import Message, text
from grader.moving import Moved
from grader.reports.layout import cut, pad
from grader.standing import give_up, may_see_solution

_SIDE_BY_SIDE = 120  # cells from which two files stand beside each other


@command
@kata_argument()
@option("--yes", is_flag=True, help="Do not ask.")
@course_option
def reset(kata: str, yes: bool, root: Path | None) -> int:
    """Begin KATA again from its stub. Your file is kept, and `grade undo` brings it back.

    Example: grade reset lstm
    """
    from grader.authoring.making.stubs import original

    spoken = language()
    with opened(root) as (course, _):
        chosen = one_kata(course, kata)
    content = original(course, chosen)
    shown = f"katas/{chosen.id}/{chosen.stub.name}"
    if chosen.stub.is_file() and chosen.stub.read_bytes() == content:
        print(spoken.text("{file} is the stub already", file=shown))
        return 0
    if not yes and sys.stdin.isatty():
        click.confirm(spoken.text("put the stub in the place of {file}?", file=shown), abort=True)
    copy = copies.replace(course, chosen, content)
    print(spoken.text("{file} is the stub again", file=shown))
    if copy is not None:
        where = copy.relative_to(course.root).as_posix()
        print(
            spoken.text(
                "  what you had is kept in {copy}; `grade undo {kata}` brings it back", copy=where, kata=chosen.slug
            )
        )
    return 0


@command
@kata_argument()
@course_option
def undo(kata: str, root: Path | None) -> int:
    """Bring back the file of KATA that `grade reset` replaced. A second time takes that back.

    Example: grade undo lstm
    """
    with opened(root) as (course, _):
        chosen = one_kata(course, kata)
    copy = copies.take_back(course, chosen)
    if copy is None:
        raise UsageFault(
            text("there is nothing to undo in {kata}", kata=chosen.id), text("copies are kept by `grade reset`")
        )
    print(language().text("katas/{kata}/{file} is as it was before", kata=chosen.id, file=chosen.stub.name))
    return 0


@command
@kata_argument()
@option("--give-up", "gives_up", is_flag=True, help="Show it although the kata does not pass; this is noted.")
@course_option
def solution(kata: str, gives_up: bool, root: Path | None) -> int:
    """Show the solution of KATA beside yours, once yours passes.

    Example: grade solution lstm
    """
    with opened(root) as (course, store):
        chosen = one_kata(course, kata)
        theirs = _solution(course, chosen)
        if not gives_up and not may_see_solution(course, store, chosen):
            raise UsageFault(
                text("{kata} does not pass yet", kata=chosen.id),
                text(
                    "`grade hint {kata}` helps; with --give-up the solution is shown, and that is noted",
                    kata=chosen.slug,
                ),
            )
        if gives_up and give_up(course, store, chosen):
            note(text("given up, which is noted: solve it again without looking, tomorrow"))
    mine = chosen.stub.read_text(encoding="utf-8", errors="replace") if chosen.stub.is_file() else ""
    sys.stdout.write(_beside(mine, theirs))
    return 0


def _solution(course: Course, kata: Kata) -> str:
    """The reference without its marks. Raises UsageFault in a release, which has none."""
    from grader.authoring.making.stub import unmarked

    path = course.reference(kata)
    if not path.is_file():
        raise UsageFault(
            text("this course is a release, which has no solutions"), text("ask whoever gave you the course")
        )
    return unmarked(path.read_text(encoding="utf-8"))


def _beside(mine: str, theirs: str) -> str:
    """Two files side by side where there is room, else the solution alone."""
    width = shutil.get_terminal_size().columns
    if not sys.stdout.isatty() or width < _SIDE_BY_SIDE:
        return theirs
    half = (width - 3) // 2
    heads = (language().text("yours"), language().text("the solution"))
    pairs = zip_longest(
        [heads[0], "", *mine.expandtabs(4).split("\n")], [heads[1], "", *theirs.split("\n")], fillvalue=""
    )
    return "\n".join(f"{pad(left, half)} │ {cut(right, half)}".rstrip() for left, right in pairs) + "\n"


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
