"""The course as a list: a row for each kata, with how far it is, how long it takes, and how hard it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.cells import cell_len

from grader.messages import text
from grader.messages.language import Language
from grader.reports.layout import cut, pad
from grader.standing import Place, Standing, State
from grader.study.paths import StudyPath

WORDS = {
    State.NEW: text("new"),
    State.BEGUN: text("begun"),
    State.PASSED: text("passed"),
    State.CHANGED: text("changed"),
}
SIGNS = {State.NEW: "○", State.BEGUN: "◐", State.PASSED: "✓", State.CHANGED: "~"}
STYLES = {State.NEW: "dim", State.BEGUN: "cyan", State.PASSED: "green", State.CHANGED: "yellow"}
_WIDE = 100  # cells from which tracks and requirements are listed too


class Row(NamedTuple):
    """A kata, and the line that shows it, which begins with its state."""

    place: Place
    state: str
    rest: str


def rows(places: Sequence[Place], width: int, language: Language) -> list[Row]:
    """A row for each place, all columns as wide as each other, in at most `width` cells."""
    shown = [_columns(place, width, language) for place in places]
    widths = [max((cell_len(row[column]) for row in shown), default=0) for column in range(7)]
    found = []
    for place, row in zip(places, shown, strict=True):
        state, *cells = (pad(cell, size) for cell, size in zip(row, widths, strict=True))
        head, tail = ("".join(f"  {cell}" for cell in part if cell.strip()).rstrip() for part in (cells[:4], cells[4:]))
        room = width - cell_len(f"{state}{head}  {tail}")
        title = cut(place.kata.title_in(language.code), max(room, 0))
        found.append(Row(place, state, cut(f"{head}  {title}{tail}", width - cell_len(state)).rstrip()))
    return found


def state_of(place: Place, language: Language) -> str:
    """How far a kata is, with its sign."""
    return f"{SIGNS[place.state]} {language.say(WORDS[place.state])}"


def stars(difficulty: int) -> str:
    return "★" * difficulty + "☆" * (5 - difficulty)


def summary(found: Standing, language: Language) -> str:
    """How many katas pass, and how long the others may take."""
    passed = sum(place.state is State.PASSED for place in found.places)
    total = sum(place.kata.minutes for place in found.places if not place.solved)
    count = len(found.places)
    told = language.plural("{passed} of {count} kata passes", "{passed} of {count} katas pass", count, passed=passed)
    return told + language.text("; about {hours:.1f} hours are left", hours=total / 60) * bool(total)


def on_paths(paths: Iterable[StudyPath], language: Language) -> str:
    """The paths of the course, each with its hours, and how to see one."""
    found = [*paths]
    told = [language.text("{path} ({hours:.0f} h)", path=path.name, hours=path.hours) for path in found]
    return language.text("paths: {paths}; `grade list --path {name}` shows one", paths=told, name=found[0].name)


def all_done(found: Standing, language: Language) -> str:
    """What is said where nothing is left to take up."""
    if any(place.state is State.CHANGED for place in found.places):
        return language.text("All katas of this course have passed.")
    return language.text("All katas of this course pass.")


def changed(places: Iterable[Place], language: Language) -> str:
    """Which katas passed with another file than they have now, and what is made of that; "" where none did."""
    found = [place.kata for place in places if place.state is State.CHANGED]
    if not found:
        return ""
    one = "{katas} has passed, and its file is another one since: it still counts, and `grade next` goes on; `{command}` judges it as it is now"
    many = "{katas} have passed, and their files are others since: they still count, and `grade next` goes on; `{command}` judges them as they are now"
    command = f"grade {found[0].slug}" if len(found) == 1 else "grade"
    return language.plural(one, many, len(found), katas=[kata.id for kata in found], command=command)


def matching(places: Iterable[Place], words: str, language: Language) -> list[Place]:
    """The places of which each word stands in the id, the title or the state, in whatever case."""
    return [
        place
        for place in places
        if all(
            word in f"{place.kata.id} {place.kata.title} {place.kata.title_zh} {state_of(place, language)}".casefold()
            for word in words.casefold().split()
        )
    ]


def _columns(place: Place, width: int, language: Language) -> list[str]:
    """State, id, track, minutes and difficulty; and, beside the title, what is required and that the kata was given up."""
    kata, wide = place.kata, width >= _WIDE
    needs = language.text("after {katas}", katas=[each.partition("_")[0] for each in kata.requires])
    return [
        state_of(place, language),
        kata.id,
        kata.track_in(language.code) * wide,
        language.text("{minutes} min", minutes=kata.minutes),
        stars(kata.difficulty),
        needs * bool(kata.requires and wide),
        language.text("solution shown") * place.given_up,
    ]
