"""What stands over the points that were judged, in a line each: what being late cost, and what a teacher decided."""

from __future__ import annotations

from datetime import datetime

from grader.classroom.gradebook import Cell
from grader.classroom.records import KataFacts
from grader.messages.language import Language
from grader.reports.table import amount


def lines(cell: Cell, language: Language) -> list[str]:
    """Nothing where the points that count are those that were judged."""
    found = []
    if cell.late.days and not cell.excused and cell.given is None:
        found.append(late(cell, language))
    for each in cell.decided:
        said = {"reason": each.reason, "author": each.author}
        if each.points is not None:
            told = "{points} points were given by hand: {reason} ({author})"
            found.append(language.text(told, points=amount(each.points), **said))
        elif each.due is not None:
            found.append(language.text("due {moment} by hand: {reason} ({author})", moment=shown(each.due), **said))
        else:
            found.append(language.text("excused: {reason} ({author})", **said))
    return found


def late(cell: Cell, language: Language) -> str:
    """By how much it was late, and what that costs."""
    one, many = "{count} day late: {percent} % less", "{count} days late: {percent} % less"
    return language.plural(one, many, cell.late.days, percent=amount(cell.late.percent))


def title(kata: KataFacts, language: Language) -> str:
    """What a kata is called in this language."""
    return kata.title_zh if language.code == "zh" and kata.title_zh else kata.title


def shown(moment: datetime) -> str:
    """A moment as a person reads it, with its zone."""
    return f"{moment:%Y-%m-%d %H:%M} {moment:%Z}"
