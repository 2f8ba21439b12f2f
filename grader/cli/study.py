"""For learners between two runs: the course and its next kata, statements, hints, and what was done so far."""

from __future__ import annotations

import os
import shutil
import sys
from datetime import datetime
from pathlib import Path

from grader.cli.options import (
    coloured,
    completed_path,
    completed_track,
    course_option,
    kata_argument,
    one_kata,
    opened,
)
from grader.cli.speech import language
from grader.cli.spoken import command, named, option
from grader.errors import UsageFault
from grader.messages import text
from grader.messages.language import Language
from grader.reports.layout import Paint, pad, wrap
from grader.reports.table import amount, mark, style, word
from grader.standing import GIVEN_UP, OWN, Standing, standing
from grader.store import NOTEBOOK, Attempt
from grader.study import desk, listing, paths

path_option = option(
    "--path",
    metavar="PATH",
    shell_complete=completed_path,
    help="The katas of one of the course's paths only, in its order.",
)


@named("list")
@option("--track", metavar="TRACK", shell_complete=completed_track, help="List the katas of one track only.")
@path_option
@course_option
def list_(track: str | None, path: str | None, root: Path | None) -> int:
    """List the katas of the course: how far you are, the track, how long each takes, and how hard it is.

    Example: grade list --track sequences
    """
    width, paint, spoken = shutil.get_terminal_size().columns, Paint(coloured()), language()
    with opened(root) as (course, store):
        found = standing(course, store)
        ways = paths.load(course)
        chosen = paths.one(course, path) if path is not None else None
    tracks = list(dict.fromkeys(place.kata.track for place in found.places))
    if track is not None and track not in tracks:
        raise UsageFault(
            text("there is no track {track!r}", track=track), text("the tracks are {tracks}", tracks=tracks)
        )
    if chosen:
        found = chosen.of(found)
        told = text("{title}: {about}", title=chosen.title_in(spoken.code), about=chosen.about_in(spoken.code))
        print("\n".join(wrap(spoken.say(told), min(width, 100))))
        print()
    shown = Standing(tuple(place for place in found.places if track in (None, place.kata.track)))
    for row in listing.rows(shown.places, width, spoken):
        print(paint(row.state, listing.STYLES[row.place.state]) + row.rest)
    print()
    print(listing.summary(shown, spoken))
    if ways and not (chosen or track):
        print(listing.on_paths(ways, spoken))
    _tell_changed(shown, width, spoken)
    return 0


@named("next")
@path_option
@course_option
def next_(path: str | None, root: Path | None) -> int:
    """Say which kata to take up: one that is begun, else the first whose requirements pass.

    A kata that passed stays done, whatever became of its file since; that is said.

    Example: grade next --path weekend
    """
    width, spoken = shutil.get_terminal_size().columns, language()
    with opened(root) as (course, store):
        found = standing(course, store)
        if path is not None:
            found = paths.one(course, path).of(found)
    kata = found.next()
    if kata is None:
        print(spoken.text("All katas of this path have passed.") if path else listing.all_done(found, spoken))
        _tell_changed(found, width, spoken)
        return 0
    print(f"{kata.id}  {kata.title_in(spoken.code)}")
    print("\n".join(f"  {line}" for line in wrap(kata.blurb_in(spoken.code), min(width, 100) - 2)))
    if kata.recommends:
        print(f"  {spoken.text('good to have done before: {katas}', katas=[*kata.recommends])}")
    print()
    print(spoken.text("  statement  `grade show {kata}`", kata=kata.slug))
    print(spoken.text("  your file  katas/{kata}/{file}", kata=kata.id, file=kata.stub.name))
    print(spoken.text("  judge it   `grade {kata}`", kata=kata.slug))
    print(spoken.text("  a hint     `grade hint {kata}`", kata=kata.slug))
    _tell_changed(found, width, spoken)
    return 0


def _tell_changed(found: Standing, width: int, spoken: Language) -> None:
    """Name the katas whose file is another one than the one that passed."""
    if told := listing.changed(found.places, spoken):
        print()
        print("\n".join(wrap(told, min(width, 100))))


@command
@kata_argument()
@course_option
def show(kata: str, root: Path | None) -> int:
    """Show the statement of KATA.

    Example: grade show lstm --lang zh
    """

    with opened(root) as (course, _):
        chosen = one_kata(course, kata)
    statement = desk.statement(chosen, language())
    if not sys.stdout.isatty():
        sys.stdout.write(statement)
        return 0
    from rich.console import Console

    from grader.study.pages import Markdown

    console = Console(no_color=not coloured(), width=min(shutil.get_terminal_size().columns, 110))
    os.environ["LESS"] = f"{os.environ.get('LESS', '')} -R".strip()  # else it shows colours as their codes
    os.environ.setdefault("LESSCHARSET", "utf-8")  # which it tells from a locale, where that is installed
    with console.pager(styles=coloured()):
        console.print(Markdown(desk.unfolded(statement)))
    return 0


@command
@kata_argument()
@option("--again", is_flag=True, help="Show the hints that were given already, and no new one.")
@course_option
def hint(kata: str, again: bool, root: Path | None) -> int:
    """Give a hint for KATA: each time one more, and the last says nearly all.

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
@kata_argument(required=False)
@course_option
def history(kata: str | None, root: Path | None) -> int:
    """Show your attempts at KATA, or at all katas, oldest first; those on files from elsewhere apart.

    Example: grade history lstm
    """
    spoken = language()
    with opened(root) as (course, store):
        chosen = [one_kata(course, kata)] if kata else list(course.katas)
        attempts = [each for one in chosen for name in (one.id, *one.aliases) for each in store.attempts(name)]
        given_up = store.noted(GIVEN_UP)
    attempts.sort(key=lambda attempt: attempt.time)
    own = [each for each in attempts if each.origin in OWN]
    others = [each for each in attempts if each.origin not in OWN]
    widest = max((len(each.kata) for each in attempts), default=0)
    if not attempts:
        print(spoken.text("no attempts yet: `grade` makes the first"))
    for each in own:
        print(_attempt(each, widest))
    for one in chosen:
        if one.id in given_up:
            print(spoken.text("{kata}: its solution was shown before it passed", kata=one.id))
    if others:
        print("\n" * bool(own) + spoken.text("files from elsewhere (--from), which count for nothing here"))
    for each in others:
        print(f"{_attempt(each, widest)}  {spoken.text('from {folder}', folder=each.origin)}")
    return 0


def _attempt(each: Attempt, widest: int) -> str:
    """An attempt in a line, in which a kata's name takes `widest` cells."""
    when = datetime.fromtimestamp(each.time).strftime("%Y-%m-%d %H:%M")
    ended = pad(f"{mark(each.verdict)} {word(each.verdict, language())}", 12)
    points = pad(f"{amount(each.points)}/{amount(each.max)}", 8, right=True)
    return f"{when}  {pad(each.kata, widest)}  {Paint(coloured())(ended, style(each.verdict))}{points}{_typed(each)}"


def _typed(each: Attempt) -> str:
    return f"  {language().text('in a notebook')}" if each.origin == NOTEBOOK else ""
