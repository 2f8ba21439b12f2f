"""For authors who begin a course or a kata: `grade init`, `grade new` and `grade stub`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grader.cli.options import authors_place, completed_track, course_option, here, katas_argument
from grader.cli.speech import language, note
from grader.cli.spoken import command, option
from grader.course import find
from grader.store import Store
from grader.stub import generated

if TYPE_CHECKING:
    from grader.authoring.making.filling import Filled


@command
@click.argument("folder", required=False, metavar="[DIR]", type=click.Path(path_type=Path))
def init(folder: Path | None) -> int:
    """Begin a course in DIR, or here: its settings, one kata that holds, a workflow and a README.

    Nothing is asked. What is there already stays as it is.

    Example: grade init my_course
    """
    from grader.authoring.making.begin import begin, next_steps
    from grader.messages.language import SOURCE

    spoken, root = language(), (here() / (folder or "")).resolve()
    written, kept = begin(root, [*dict.fromkeys([SOURCE, spoken.code])])
    for path in written:
        print(path.relative_to(root).as_posix())
    for path in kept:
        print(spoken.text("{file} was there, and stays as it was", file=path.relative_to(root).as_posix()))
    print()
    print(spoken.say(next_steps()))
    return 0


@command
@click.argument("id")
@option("--worker", type=click.Choice(["torch", "numpy"]), default="torch", help="What learners write with (torch).")
@option("--title", default="", metavar="TEXT", help="The title; otherwise from the id.")
@option("--title-zh", default="", metavar="TEXT", help="The title in Chinese.")
@option(
    "--track",
    default="",
    metavar="TEXT",
    shell_complete=completed_track,
    help="The track; otherwise that of the last kata.",
)
@course_option
def new(id: str, worker: str, title: str, title_zh: str, track: str, root: Path | None) -> int:
    """Begin the kata ID, such as my_topic or 51_my_topic: small, complete, and in order, for you to change.

    An id without a number gets the next one that is free.

    Example: grade new my_topic --worker numpy
    """
    from grader.authoring.making.new import new as make
    from grader.authoring.making.new import next_steps, numbered

    place = authors_place(root)
    course = find(place, place)
    id = numbered(course, id)
    for path in make(course, id, worker=worker, title=title, title_zh=title_zh, track=track):
        print(path.relative_to(course.root).as_posix())
    print()
    print(language().say(next_steps(id)))
    return 0


@command
@katas_argument
@option("--check", is_flag=True, help="Write nothing; exit code 1 says that something is not in step.")
@course_option
def stub(katas: Sequence[str], check: bool, root: Path | None) -> int:
    """Write the stubs of KATAs (all without a name) from their references, and fill in what can be counted.

    That is the number of tests and points in kata.toml, and rows of the statement's table of shapes. A file that may be
    somebody's work is kept beside the stub, as <slug>.py.bak.

    Example: grade stub lstm
    """
    from grader.authoring.making import filling, stubs

    spoken = language()
    place = authors_place(root)
    first = _filled(filling.missing(place), place, check)
    if check and first:
        return 1
    course = find(place, place)
    asked = course.select(katas)
    store = Store(course.root, note)
    try:
        found = stubs.pending(course, asked, store)
        for each in found:
            if check:
                behind = "{file} is not in step with its reference: `grade stub {kata}` writes it"
                print(spoken.text(behind, file=each.shown, kata=each.kata.id))
                continue
            stubs.write(each, store)
            print(spoken.text("{file} is written", file=each.shown))
            if each.saved_as is not None:
                kept = "what was there was not generated: it is kept as {file}"
                print(f"  {spoken.text(kept, file=each.saved_as.name)}")
    finally:
        store.close()
    lacking = (one for each in asked for one in filling.stale(course, each, generated(course, each)))
    apart = first + _filled(lacking, place, check) + len(found)
    same = len(asked) - len(found)
    if same:
        print(spoken.plural("{count} stub is in step", "{count} stubs are in step", same))
    return 1 if check and apart else 0


def _filled(found: Iterable[Filled], root: Path, check: bool) -> int:
    """Fill in what was found to be missing, or with `check` only say so; returns how many files it was in."""
    from grader.authoring.making.filling import write

    filled, spoken = list(found), language()
    for each in filled:
        if not check:
            write(each)
        file = each.path.relative_to(root).as_posix()
        for said in each.said:
            told = "`grade stub` fills in {file}: {what}" if check else "{file}: filled in {what}"
            print(spoken.text(told, file=file, what=said))
    return len(filled)
