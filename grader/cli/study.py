"""For learners between two runs: the course and its next kata, statements, hints, and what was done so far."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import click

from grader.cli.options import coloured, course_option, here, learners_course
from grader.cli.speech import language, note
from grader.cli.spoken import command, named, option
from grader.course import Course
from grader.kata import Kata
from grader.reports.layout import Paint, pad, wrap
from grader.reports.table import amount, mark, style, word
from grader.standing import standing
from grader.store import NOTEBOOK, Store
from grader.study import desk, listing


@contextmanager
def opened(root: Path | None) -> Iterator[tuple[Course, Store]]:
    """The course around here, and its store."""
    course = learners_course(here(), root)
    store = Store(course.root, note)
    try:
        yield course, store
    finally:
        store.close()


def one_kata(course: Course, name: str) -> Kata:
    """The kata of this name. Raises UsageFault where there is none."""
    return course.select([name])[0]


@named("list")
@course_option
def list_(root: Path | None) -> int:
    """List the katas of the course: how far you are, how long each takes, and how hard it is.

    Example: grade list
    """
    width, paint, spoken = shutil.get_terminal_size().columns, Paint(coloured()), language()
    with opened(root) as (course, store):
        found = standing(course, store)
    for row in listing.rows(found.places, width, spoken):
        print(paint(row.state, listing.STYLES[row.place.state]) + row.rest)
    print()
    print(listing.summary(found, spoken))
    return 0


@named("next")
@course_option
def next_(root: Path | None) -> int:
    """Say which kata to take up: one that is begun, else the first whose requirements pass.

    Example: grade next
    """
    spoken = language()
    with opened(root) as (course, store):
        found = standing(course, store)
    kata = found.next()
    if kata is None:
        print(spoken.text("All katas of this course pass."))
        return 0
    print(f"{kata.id}  {kata.title_in(spoken.code)}")
    print(f"  {kata.blurb_in(spoken.code)}")
    if kata.recommends:
        print(f"  {spoken.text('good to have done before: {katas}', katas=[*kata.recommends])}")
    print()
    print(spoken.text("  statement  `grade show {kata}`", kata=kata.slug))
    print(spoken.text("  your file  katas/{kata}/{file}", kata=kata.id, file=kata.stub.name))
    print(spoken.text("  judge it   `grade {kata}`", kata=kata.slug))
    print(spoken.text("  a hint     `grade hint {kata}`", kata=kata.slug))
    return 0


@command
@click.argument("kata")
@course_option
def show(kata: str, root: Path | None) -> int:
    """Show the statement of KATA.

    Example: grade show lstm --lang zh
    """
    course = learners_course(here(), root)
    chosen = one_kata(course, kata)
    statement = desk.statement(chosen, language())
    if not sys.stdout.isatty():
        sys.stdout.write(statement)
        return 0
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console(no_color=not coloured(), width=min(shutil.get_terminal_size().columns, 110))
    with console.pager(styles=coloured()):
        console.print(Markdown(desk.unfolded(statement)))
    return 0


@command
@click.argument("kata")
@option("--again", is_flag=True, help="Show the hints that were given already, and no new one.")
@course_option
def hint(kata: str, again: bool, root: Path | None) -> int:
    """Give a hint for KATA: each time one more, the last with most of the code.

    Example: grade hint lstm
    """
    spoken, width = language(), min(shutil.get_terminal_size().columns, 100)
    with opened(root) as (course, store):
        chosen = one_kata(course, kata)
        found = desk.hints(course, store, chosen, spoken, again=again)
    if found.bug:
        print(spoken.text("your bug, by its traces"))
        print("\n".join(f"  {line}" for line in wrap(found.bug, width - 2)))
        return 0
    if not found.count:
        print(spoken.text("{kata} has no hints", kata=chosen.id))
        return 0
    if again and not found.given:
        print(spoken.text("no hint was given yet"))
        return 0
    for number, words in enumerate(found.given, 1):
        if again or number == len(found.given):
            print(spoken.text("hint {number} of {count}", number=number, count=found.count))
            print("\n".join(f"  {line}" for line in wrap(words, width - 2)))
    if found.exhausted and not again:
        print(
            spoken.text(
                "  this was the last one; `grade solution {kata} --give-up` shows the solution", kata=chosen.slug
            )
        )
    return 0


@command
@click.argument("kata", required=False)
@course_option
def history(kata: str | None, root: Path | None) -> int:
    """Show your attempts at KATA, or at all katas, oldest first.

    Example: grade history lstm
    """
    spoken, paint = language(), Paint(coloured())
    with opened(root) as (course, store):
        chosen = [one_kata(course, kata)] if kata else list(course.katas)
        attempts = [each for one in chosen for name in (one.id, *one.aliases) for each in store.attempts(name)]
    if not attempts:
        print(spoken.text("no attempts yet: `grade` makes the first"))
    for each in sorted(attempts, key=lambda attempt: attempt.time):
        when = datetime.fromtimestamp(each.time).strftime("%Y-%m-%d %H:%M")
        ended = pad(f"{mark(each.verdict)} {word(each.verdict, spoken)}", 12)
        points = pad(f"{amount(each.points)}/{amount(each.max)}", 8, right=True)
        origin = f"  {_origin(each.origin)}" if each.origin else ""
        print(f"{when}  {each.kata}  {paint(ended, style(each.verdict))}{points}{origin}")
    return 0


def _origin(folder: str) -> str:
    return language().text("in a notebook") if folder == NOTEBOOK else language().text("from {folder}", folder=folder)
