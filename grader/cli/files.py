"""For learners: `grade reset`, `undo` and `solution`. Whatever replaces a file keeps a copy first."""

from __future__ import annotations

import shutil
import sys
from itertools import zip_longest
from pathlib import Path

import click

from grader import copies
from grader.cli.options import course_option, here
from grader.cli.speech import language
from grader.cli.spoken import command, option
from grader.cli.study import one_kata, opened
from grader.course import Course, find
from grader.errors import UsageFault
from grader.kata import Kata
from grader.messages import text
from grader.reports.layout import cut, pad
from grader.standing import standing

_SIDE_BY_SIDE = 120  # cells from which two files stand beside each other


@command
@click.argument("kata")
@option("--yes", is_flag=True, help="Do not ask.")
@course_option
def reset(kata: str, yes: bool, root: Path | None) -> int:
    """Begin KATA again from its stub. Your file is kept, and `grade undo` brings it back.

    Example: grade reset lstm
    """
    spoken, course = language(), find(here(), root)
    chosen = one_kata(course, kata)
    content = _original(course, chosen)
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


def _original(course: Course, kata: Kata) -> bytes:
    """The stub as its learner found it: from the reference, or from the copy that a release has of it."""
    if course.reference(kata).is_file():
        from grader.authoring.making.stubs import generated

        return generated(course, kata).encode()
    content = copies.stub(kata)
    if content is None:
        raise UsageFault(
            text("the stub of {kata} is not kept in this course", kata=kata.id),
            text("git may have it: git checkout -- katas/{kata}/{file}", kata=kata.id, file=kata.stub.name),
        )
    return content


@command
@click.argument("kata")
@course_option
def undo(kata: str, root: Path | None) -> int:
    """Bring back the file of KATA that `grade reset` replaced. A second time takes that back.

    Example: grade undo lstm
    """
    course = find(here(), root)
    chosen = one_kata(course, kata)
    copy = copies.take_back(course, chosen)
    if copy is None:
        raise UsageFault(
            text("there is nothing to undo in {kata}", kata=chosen.id), text("copies are kept by `grade reset`")
        )
    print(language().text("katas/{kata}/{file} is as it was before", kata=chosen.id, file=chosen.stub.name))
    return 0


@command
@click.argument("kata")
@option("--give-up", is_flag=True, help="Show it although the kata does not pass; this is noted.")
@course_option
def solution(kata: str, give_up: bool, root: Path | None) -> int:
    """Show the solution of KATA beside yours, once yours passes.

    Example: grade solution lstm
    """
    spoken = language()
    with opened(root) as (course, store):
        chosen = one_kata(course, kata)
        path = course.reference(chosen)
        if not path.is_file():
            raise UsageFault(
                text("this course is a release, which has no solutions"), text("ask whoever gave you the course")
            )
        solved = standing(course, store).of(chosen).solved
        if not solved and not give_up and not store.note(chosen.id, "given up"):
            raise UsageFault(
                text("{kata} does not pass yet", kata=chosen.id),
                text(
                    "`grade hint {kata}` helps; with --give-up the solution is shown, and that is noted",
                    kata=chosen.slug,
                ),
            )
        if not solved:
            store.put_note(chosen.id, "given up", "yes")
            print(spoken.text("given up, which is noted: solve it again without looking, tomorrow"), file=sys.stderr)
    from grader.authoring.making.stub import unmarked  # which a release has no use for

    mine = chosen.stub.read_text(encoding="utf-8", errors="replace") if chosen.stub.is_file() else ""
    sys.stdout.write(_beside(mine, unmarked(path.read_text(encoding="utf-8"))))
    return 0


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
