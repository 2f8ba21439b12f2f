"""The scorecard as Markdown: a table of the katas, and what fails first in each. What a learner wrote stands in fences."""

from __future__ import annotations

import re

from grader.messages.language import Language
from grader.reports.layout import disarmed
from grader.reports.story import first_failing
from grader.reports.table import KINDS, amount, mark, row_lines, word
from grader.scorecard import KataResult, Scorecard, TestResult, Verdict

_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~@&$])")
_OUTPUT = 4_000  # characters of what a test printed


def render(card: Scorecard, *, language: Language | None = None, most: int | None = None) -> str:
    """A document of at most `most` bytes; what is left out for their sake is said."""
    language = language or Language()
    head = "\n\n".join(filter(None, [_total(card, language), _table(card, language)]))
    stories = [_story(kata, language) for kata in card.katas if _is_told(kata)]
    left = 0
    while True:
        parts = [head, *stories]
        if left:
            parts.append(
                language.plural("{count} kata more is left out here", "{count} katas more are left out here", left)
            )
        text = disarmed("\n\n".join(parts) + "\n")
        if most is None or len(text.encode()) <= most or not stories:
            return text
        stories.pop()
        left += 1


def plain(text: str) -> str:
    """Text that Markdown shows as it stands, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def fenced(text: str) -> str:
    """Lines that Markdown shows as they stand: no fence within is longer than the one around them."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text.rstrip()}\n{fence}"


def _is_told(kata: KataResult) -> bool:
    return kata.verdict not in (Verdict.PASS, Verdict.TODO)


def _total(card: Scorecard, language: Language) -> str:
    passed = sum(kata.verdict is Verdict.PASS for kata in card.katas)
    asked = len(card.katas) + len(card.unbegun)
    points = language.text("{points} of {most} points", points=amount(card.score.points), most=amount(card.score.max))
    katas = language.plural("{passed} of {count} kata passes", "{passed} of {count} katas pass", asked, passed=passed)
    early = "" if card.complete else f" · {language.text('stopped early')}"
    return f"**{plain(points)}** · {plain(katas)}{early}"


def _table(card: Scorecard, language: Language) -> str:
    kinds = [kind for kind in KINDS if any(kind in kata.by_kind for kata in card.katas)]
    heads = ["", language.text("kata"), *(language.say(KINDS[kind][0]) for kind in kinds), language.text("points")]
    lines = ["| " + " | ".join(heads) + " |", "|---|---|" + "---:|" * (len(kinds) + 1)]
    for kata in card.katas:
        cells = [_cell(kata, kind) for kind in kinds]
        points = f"{amount(kata.points)}/{amount(kata.max)}"
        name = plain(f"{kata.id} {kata.title}")
        lines.append(
            f"| {mark(kata.verdict)} {word(kata.verdict, language)} | {name} | {' | '.join([*cells, points])} |"
        )
    not_run = f"{mark(Verdict.NOT_RUN)} {word(Verdict.NOT_RUN, language)}"
    lines += [f"| {not_run} | {plain(id)} |{' |' * (len(kinds) + 1)}" for id in card.unbegun]
    return "\n".join(lines)


def _cell(kata: KataResult, kind: str) -> str:
    score = kata.by_kind.get(kind)
    return f"{score.passed}/{score.total}" if score and score.total else ""


def _story(kata: KataResult, language: Language) -> str:
    head = f"### {mark(kata.verdict)} {plain(kata.id)}: {plain(kata.title)}"
    parts = [head]
    if kata.message:
        parts.append(fenced(kata.message))
    test = first_failing(kata)
    if test is not None:
        parts += _test(kata, test, language)
    return "\n\n".join(parts)


def _test(kata: KataResult, test: TestResult, language: Language) -> list[str]:
    lines = [test.message]
    lines += row_lines(test.cause, language)
    if test.line and kata.stub:
        lines += [f"{kata.stub}:{test.line.number}", f"> {test.line.source.strip()}"]
    parts = [f"**{plain(test.title)}**", fenced("\n".join(line for line in lines if line))]
    if test.output.strip():
        parts += [language.text("your code printed"), fenced(test.output[:_OUTPUT])]
    return parts
