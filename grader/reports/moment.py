"""A kata passes for the first time: what was learnt, how long it took, what to think about, and what it opens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, repeat

from rich.cells import cell_len

from grader.messages import text
from grader.messages.language import Language
from grader.reports.layout import Paint, cut, pad, wrap
from grader.reports.table import mark
from grader.scorecard import Verdict

_LABELS = (text("you built"), text("it took"), text("think of"), text("it opens"), text("course"))


@dataclass(frozen=True)
class Moment:
    """One kata that passes for the first time."""

    kata: str
    title: str
    learnt: str
    seconds: float | None = None  # since the first attempt
    attempts: int = 1
    questions: Sequence[str] = ()  # of the statement, which has the answers
    opens: Sequence[str] = ()  # ids of katas
    passed: int = 0  # of the course
    katas: int = 0


def moment(each: Moment, width: int, paint: Paint, language: Language) -> str:
    """A block of lines."""
    done = language.plural(
        "{passed} of {count} kata passes", "{passed} of {count} katas pass", each.katas, passed=each.passed
    )
    rows = [[each.learnt], [_took(each, language)], each.questions, [", ".join(each.opens)], [done]]
    indent = max(cell_len(language.say(label)) for label in _LABELS)
    head = cut(f"{mark(Verdict.PASS)} {each.kata}  {each.title}", width)
    lines = [paint(head, "green", "bold")]
    for label, said in zip(_LABELS, rows, strict=True):
        starts = chain([pad(language.say(label), indent)], repeat(" " * indent))
        told = [line for one in said if one for line in wrap(one, width - indent - 4)]
        lines += [f"  {paint(start, 'dim')}  {line}" for start, line in zip(starts, told, strict=False)]
    return "\n".join(lines)


def _took(each: Moment, language: Language) -> str:
    """How long since the first attempt, in the largest unit that it fills, and how many attempts."""
    tries = language.plural("{count} attempt", "{count} attempts", each.attempts)
    if each.seconds is None:
        return tries
    minutes = max(int(each.seconds // 60), 1)
    if minutes < 60:
        span = language.plural("{count} minute", "{count} minutes", minutes)
    elif minutes < 24 * 60:
        span = language.plural("{count} hour", "{count} hours", minutes // 60)
    else:
        span = language.plural("{count} day", "{count} days", minutes // (24 * 60))
    return f"{span} · {tries}"
