"""For learners between two runs: the course and its next kata, statements, hints, and what was done so far."""

from __future__ import annotations

import shutil
import sys
from datetime import datetime
from pathlib import Path

from grader import nudges, submission
from grader.cli.options import coloured, course_option, kata_argument, one_kata, opened
from grader.cli.speech import language
from grader.cli.spoken import command, named, option
from grader.errors import UsageFault
from grader.messages import text
from grader.nudges import Nudge
from grader.reports.layout import Paint, cut, pad, wrap
from grader.reports.table import amount, mark, style, word
from grader.standing import GIVEN_UP, Place, State, standing
from grader.store import Attempt

_WORDS = {
    State.NEW: text("new"),
    State.BEGUN: text("begun"),
    State.PASSED: text("passed"),
    State.CHANGED: text("changed"),
}
_TRACKS = {
    "foundations": text("foundations"),
    "vision": text("vision"),
    "sequences": text("sequences"),
    "generative": text("generative"),
    "attention": text("attention"),
}
_WIDE = 100  # cells from which tracks and requirements are listed too
_SIGNS = {State.NEW: "○", State.BEGUN: "◐", State.PASSED: "✓", State.CHANGED: "~"}
_STYLES = {State.NEW: "dim", State.BEGUN: "cyan", State.PASSED: "green", State.CHANGED: "yellow"}


@named("list")
@option("--track", metavar="TRACK", help="List the katas of one track only.")
@course_option
def list_(track: str | None, root: Path | None) -> int:
    """List the katas of the course: how far you are, the track, how long each takes, and how hard it is.

    Example: grade list --track sequences
    """
    width, paint, spoken = shutil.get_terminal_size().columns, Paint(coloured()), language()
    with opened(root) as (course, store):
        places = standing(course, store).places
    tracks = list(dict.fromkeys(place.kata.track for place in places))
    if track is not None and track not in tracks:
        raise UsageFault(
            text("there is no track {track!r}", track=track), text("the tracks are {tracks}", tracks=tracks)
        )
    shown = [place for place in places if track in (None, place.kata.track)]
    rows = [_row(place, width) for place in shown]
    widths = [max(_cells(row[column]) for row in rows) for column in range(len(rows[0]))]
    for place, row in zip(shown, rows, strict=True):
        cells = [pad(cell, size) for cell, size in zip(row, widths, strict=True)]
        head, tail = ("  ".join(filter(str.strip, part)).rstrip() for part in (cells[:5], cells[5:]))
        tail = f"  {tail}" * bool(tail)
        title = cut(place.kata.title_in(spoken.code), max(width - _cells(f"{head}  {tail}"), 0))
        line = cut(f"{head}  {title}{tail}", width)
        print(line.rstrip().replace(cells[0], paint(cells[0], _STYLES[place.state]), 1))
    passed = sum(place.state is State.PASSED for place in shown)
    total = sum(place.kata.minutes for place in shown if not place.solved)
    print()
    print(
        spoken.plural("{passed} of {count} kata passes", "{passed} of {count} katas pass", len(shown), passed=passed)
        + spoken.text("; about {hours:.1f} hours are left", hours=total / 60) * bool(total)
    )
    return 0


def _row(place: Place, width: int) -> list[str]:
    """State, id, track, minutes and difficulty of a kata; and, beside its title, what it requires and that it was given up."""
    kata, spoken, wide = place.kata, language(), width >= _WIDE
    given_up = spoken.text("solution shown") * place.given_up
    needs = spoken.text("after {katas}", katas=[each.partition("_")[0] for each in kata.requires])
    return [
        f"{_SIGNS[place.state]} {spoken.say(_WORDS[place.state])}",
        kata.id,
        spoken.say(_TRACKS.get(kata.track, kata.track)) * wide,
        spoken.text("{minutes} min", minutes=kata.minutes),
        "★" * kata.difficulty + "☆" * (5 - kata.difficulty),
        needs * bool(kata.requires and wide),
        given_up,
    ]


def _cells(line: str) -> int:
    from rich.cells import cell_len

    return cell_len(line)


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
    print()
    print(spoken.text("  statement  `grade show {kata}`", kata=kata.slug))
    print(spoken.text("  your file  katas/{kata}/{file}", kata=kata.id, file=kata.stub.name))
    print(spoken.text("  judge it   `grade {kata}`", kata=kata.slug))
    print(spoken.text("  a hint     `grade hint {kata}`", kata=kata.slug))
    return 0


@command
@kata_argument()
@course_option
def show(kata: str, root: Path | None) -> int:
    """Show the statement of KATA.

    Example: grade show lstm --lang zh
    """
    with opened(root) as (course, _):
        chosen = one_kata(course, kata)
    pages = [chosen.folder / f"README.{language().code}.md", chosen.folder / "README.md"]
    page = next((path for path in pages if path.is_file()), None)
    if page is None:
        raise UsageFault(text("{kata} has no statement", kata=chosen.id), text("it should stand in README.md"))
    statement = page.read_text(encoding="utf-8")
    if not sys.stdout.isatty():
        sys.stdout.write(statement)
        return 0
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console(no_color=not coloured(), width=min(shutil.get_terminal_size().columns, 110))
    with console.pager(styles=coloured()):
        console.print(Markdown(statement))
    return 0


@command
@kata_argument()
@option("--again", is_flag=True, help="Show the hints that were given already, and no new one.")
@course_option
def hint(kata: str, again: bool, root: Path | None) -> int:
    """Give a hint for KATA: each time one more, the last with most of the code.

    Example: grade hint lstm
    """
    spoken, width = language(), min(shutil.get_terminal_size().columns, 100)
    with opened(root) as (course, store):
        chosen = one_kata(course, kata)
        before = nudges.given(store, chosen)
        more = None if again else nudges.next_nudge(store, chosen, submission.read(chosen, None, course).sha256)
    shown = before if again else [more] if more else before[-1:]
    for each in shown:
        print(_headed(each, len(chosen.hints)))
        print("\n".join(f"  {line}" for line in wrap(each.words(spoken.code), width - 2)))
    if not chosen.hints:
        print(spoken.text("{kata} has no hints", kata=chosen.id))
    elif not shown:
        print(spoken.text("no hint was given yet"))
    elif not again and more is None:
        print(
            spoken.text(
                "  this was the last one; `grade solution {kata} --give-up` shows the solution", kata=chosen.slug
            )
        )
    return 0


def _headed(each: Nudge, count: int) -> str:
    if not each.number:
        return language().text("your bug, by its traces")
    return language().text("hint {number} of {count}", number=each.number, count=count)


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
    own = [each for each in attempts if not each.origin]
    others = [each for each in attempts if each.origin]
    if not attempts:
        print(spoken.text("no attempts yet: `grade` makes the first"))
    for each in own:
        print(_attempt(each))
    for one in chosen:
        if one.id in given_up:
            print(spoken.text("{kata}: its solution was shown before it passed", kata=one.id))
    if others:
        print("\n" * bool(own) + spoken.text("files from elsewhere (--from), which count for nothing here"))
    for each in others:
        print(f"{_attempt(each)}  {spoken.text('from {folder}', folder=each.origin)}")
    return 0


def _attempt(each: Attempt) -> str:
    when = datetime.fromtimestamp(each.time).strftime("%Y-%m-%d %H:%M")
    ended = pad(f"{mark(each.verdict)} {word(each.verdict, language())}", 12)
    points = pad(f"{amount(each.points)}/{amount(each.max)}", 8, right=True)
    return f"{when}  {each.kata}  {Paint(coloured())(ended, style(each.verdict))}{points}"
