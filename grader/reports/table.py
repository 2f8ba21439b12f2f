"""One line per kata: how it ended, its kinds as columns, points and time, in whatever width there is."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.cells import cell_len

from grader.messages import text
from grader.messages.language import Language
from grader.reports.layout import Paint, pad
from grader.scorecard import Cause, KataResult, Scorecard, Verdict

# The kinds in the order of the ladder, by the names that they have in wide, usual and narrow terminals.
KINDS = {
    "shape": (text("shape"), text("shape"), text("shp")),
    "value": (text("value"), text("value"), text("val")),
    "gradient": (text("gradient"), text("grad"), text("grd")),
    "convergence": (text("convergence"), text("conv"), text("cnv")),
    "behaviour": (text("behaviour"), text("behav"), text("bhv")),
}
WORDS = {
    Verdict.PASS: text("pass"),
    Verdict.FAIL: text("fail"),
    Verdict.TODO: text("to do"),
    Verdict.ERROR: text("error"),
    Verdict.TIMEOUT: text("timeout"),
    Verdict.CRASH: text("crash"),
    Verdict.MEMORY: text("memory"),
    Verdict.FORBIDDEN: text("forbidden"),
    Verdict.INTERNAL: text("our fault"),
    Verdict.NOT_RUN: text("not run"),
}
LABELS = (text("where"), text("got"), text("expected"), text("look at"), text("your bug"))
MARKS = {Verdict.PASS: "✓", Verdict.TODO: "○", Verdict.INTERNAL: "!", Verdict.NOT_RUN: "-"}
STYLES = {Verdict.PASS: "green", Verdict.TODO: "dim", Verdict.INTERNAL: "magenta", Verdict.NOT_RUN: "yellow"}
TITLE = 20  # cells below which titles are left out
GAP = "  "


def word(verdict: Verdict, language: Language) -> str:
    """A verdict as the learner reads it."""
    return language.say(WORDS[verdict])


def rows(cause: Cause, language: Language) -> list[tuple[str, str]]:
    """What there is to say under a message, each under the words that the learner reads before it."""
    bug = cause.diagnosis_zh if language.code == "zh" and cause.diagnosis_zh else cause.diagnosis
    said = (cause.where, cause.actual, cause.expected, cause.help, bug)
    return [(language.say(label), each) for label, each in zip(LABELS, said, strict=True) if each]


def row_lines(cause: Cause | None, language: Language) -> list[str]:
    """The same, a line each, where nothing is laid out."""
    told = rows(cause, language) if cause else []
    return [language.text("{label}: {said}", label=label, said=said) for label, said in told]


def ended(kata: KataResult, language: Language) -> str:
    """How a kata ended, after its mark; that of which only some tests were chosen and pass did so in part."""
    in_part = kata.verdict is Verdict.NOT_RUN and len(kata.chosen) < len(kata.tests)
    return f"{mark(kata.verdict)} {language.text('in part') if in_part else word(kata.verdict, language)}"


def mark(verdict: Verdict) -> str:
    return MARKS.get(verdict, "✗")


def style(verdict: Verdict) -> str:
    return STYLES.get(verdict, "red")


def amount(points: float) -> str:
    """Points with at most two decimals, rounded down: nothing looks full that is not."""
    hundredths = points * 100 + 1e-6
    return f"{math.floor(hundredths) / 100 if math.isfinite(hundredths) else points:g}"


def table(card: Scorecard, width: int, paint: Paint, language: Language) -> str:
    """The rows of all katas that were asked for, under a row of headings."""
    begun = [kata for kata in card.katas if kata.verdict is not Verdict.TODO or kata.points]
    unbegun = card.unbegun
    kinds = [kind for kind in KINDS if any(kind in kata.by_kind for kata in begun)]
    left = f"{mark(Verdict.NOT_RUN)} {word(Verdict.NOT_RUN, language)}"
    ends = [ended(kata, language) for kata in card.katas]
    points = [f"{amount(kata.points)}/{amount(kata.max)}" for kata in card.katas]
    times = [language.text("stored") if kata.from_store else f"{kata.seconds:.1f} s" for kata in card.katas]
    heads = [language.text("kata"), language.text("points"), language.text("time")]
    outer = [
        _widest([*ends, *[left] * bool(unbegun)]),
        _widest([kata.id for kata in card.katas] + list(unbegun) + heads[:1]),
        _widest([*points, heads[1]]),
        _widest([*times, heads[2]]),
    ]
    title, labels = _columns(card, kinds, width - sum(outer) - 3 * len(GAP), language)

    def line(first: str, id: str, name: str, cells: Sequence[str], points: str, time: str, *styles: str) -> str:
        columns = [paint(pad(first, outer[0]), *styles), pad(id, outer[1])]
        columns += [pad(name, title)] * bool(title) + list(cells)
        return GAP.join([*columns, pad(points, outer[2], right=True), pad(time, outer[3], right=True)]).rstrip()

    head = line("", heads[0], "", labels, heads[1], heads[2])
    rows = [paint(head, "dim")]
    for kata, end, points_, time in zip(card.katas, ends, points, times, strict=True):
        cells = [_cell(kata, kind, cell_len(label), paint) for kind, label in zip(kinds, labels, strict=False)]
        rows.append(line(end, kata.id, kata.title, cells, points_, time, style(kata.verdict)))
    blank = [" " * cell_len(label) for label in labels]
    rows += [line(left, id, "", blank, "", "", style(Verdict.NOT_RUN)) for id in unbegun]
    return "\n".join(rows)


def _columns(card: Scorecard, kinds: Sequence[str], room: int, language: Language) -> tuple[int, list[str]]:
    """The width of the titles, 0 for none, and the headings of the kinds, none where they find no room."""
    longest = _widest([kata.title for kata in card.katas])
    for size, least in ((0, TITLE), (1, TITLE), (1, 0), (2, 0)):
        labels = [_heading(card, kind, language.say(KINDS[kind][size])) for kind in kinds]
        left = room - sum(len(GAP) + cell_len(label) for label in labels) - len(GAP)
        if left >= min(least, longest) - (0 if least else len(GAP)):
            return (min(longest, left) if least else 0), labels
    return 0, []


def _heading(card: Scorecard, kind: str, label: str) -> str:
    """The name of a kind above its scores, as wide as the widest of these."""
    scores = [score for kata in card.katas if (score := kata.by_kind.get(kind))]
    widest = _widest([label, *(f"{score.passed}/{score.total}" for score in scores)])
    return pad(label, widest, right=True)


def _cell(kata: KataResult, kind: str, width: int, paint: Paint) -> str:
    score = kata.by_kind.get(kind)
    if score is None:
        return " " * width
    if not score.total or (kata.verdict is Verdict.TODO and not score.passed):
        return paint(pad("·", width, right=True), "dim")
    passed = pad(f"{score.passed}/{score.total}", width, right=True)
    full = score.passed == score.total
    return paint(passed, "green" if full else "cyan" if kata.verdict is Verdict.TODO else "red")


def _widest(texts: Sequence[str]) -> int:
    return max((cell_len(text) for text in texts), default=0)
