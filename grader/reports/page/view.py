"""What stands on the page, in words: made of a scorecard, before anything is laid out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from grader.messages import text
from grader.messages.language import Language
from grader.reports.folded import folded
from grader.reports.page import charts
from grader.reports.page.figures import Figure, figure
from grader.reports.page.past import Past
from grader.reports.story import OUR_FAULT, first_failing
from grader.reports.table import KINDS, amount, mark, rows, word
from grader.scorecard import KataResult, Scorecard, TestResult, Verdict
from grader.store import Attempt

_ATTEMPTS = 30  # of a kata that are listed
_TONES = {Verdict.PASS: "good", Verdict.TODO: "open", Verdict.NOT_RUN: "open", Verdict.INTERNAL: "ours"}
# All words of the page that stand there whatever was found, by the names that the template has for them.
WORDS = {
    "skip": text("To the katas"),
    "course": text("The course"),
    "katas": text("The katas"),
    "points": text("points"),
    "over_time": text("Points over time"),
    "file": text("your file"),
    "statement": text("statement"),
    "printed": text("your code printed"),
    "pictures": text("What your model made"),
    "tests": text("All tests"),
    "numbers": text("The numbers"),
    "history": text("History"),
    "when": text("when"),
    "result": text("result"),
    "changed": text("Your file is another one since: `grade` judges it."),
    "about": text("About this page"),
    "top": text("to the top"),
}


@dataclass(frozen=True)
class Test:
    """One test, or the hidden ones as one, of no kind; `rows` say under which words what was found."""

    title: str
    kind: str
    mark: str
    word: str
    tone: str
    points: str
    message: str
    rows: tuple[tuple[str, str], ...]
    place: str
    source: str
    output: str


@dataclass(frozen=True)
class Kind:
    """The tests of one kind together: a tone for each, and how many pass."""

    name: str
    tones: tuple[str, ...]
    passed: str


@dataclass(frozen=True)
class Tried:
    """One attempt."""

    when: str
    mark: str
    word: str
    tone: str
    points: str


@dataclass(frozen=True)
class Kata:
    """One kata. `share` is what part of its points is earned, in per cent; `failing` is the test that is told first."""

    id: str
    anchor: str
    number: str
    title: str
    mark: str
    word: str
    tone: str
    points: str
    told_points: str
    share: float
    message: str
    file: str
    statement: str
    kinds: tuple[Kind, ...]
    failing: Test | None
    tests: tuple[Test, ...]
    summary: str
    figures: tuple[Figure, ...]
    changed: bool
    history: str
    attempts: tuple[Tried, ...]


@dataclass(frozen=True)
class View:
    """The whole page."""

    course: str
    points: str
    share: float
    katas_pass: str
    early: str
    katas: tuple[Kata, ...]
    unbegun: tuple[str, ...]
    not_run: str
    drawing: str
    facts: tuple[str, ...]
    words: dict[str, str]


def view(card: Scorecard, past: Past, language: Language) -> View:
    """What the page of a scorecard shows. The card is in the language already."""
    passed = sum(kata.verdict is Verdict.PASS for kata in card.katas)
    asked = len(card.katas) + len(card.unbegun)
    score = card.score
    return View(
        course=card.course,
        points=language.text("{points} of {most} points", points=amount(score.points), most=amount(score.max)),
        share=_share(score.points, score.max),
        katas_pass=language.plural(
            "{passed} of {count} kata passes", "{passed} of {count} katas pass", asked, passed=passed
        ),
        early="" if card.complete else language.text("stopped early"),
        katas=tuple(_kata(kata, past, language) for kata in card.katas),
        unbegun=card.unbegun,
        not_run=word(Verdict.NOT_RUN, language),
        drawing=_over_time(card, past, language),
        facts=tuple(_facts(card, language, of_a_run=not past.attempts)),
        words={name: language.say(said) for name, said in WORDS.items()},
    )


def _kata(kata: KataResult, past: Past, language: Language) -> Kata:
    number, _, name = kata.id.partition("_")
    anchor = re.sub(r"\W", "-", f"kata-{kata.id}", flags=re.ASCII)
    attempts = past.attempts.get(kata.id, ())
    told = folded(kata, language)
    failing = None if kata.verdict is Verdict.PASS else first_failing(told)
    untouched = kata.verdict is Verdict.TODO and not kata.points
    passed = sum(test.verdict is Verdict.PASS for test in kata.tests)
    summary = language.text("{passed} of {count} tests pass", passed=passed, count=len(kata.tests))
    message = kata.message
    if kata.verdict is Verdict.INTERNAL:
        message = "\n".join(filter(None, [language.text(OUR_FAULT.code, kata=kata.id), message]))
    pictures = [picture for test in told.tests for picture in test.pictures]
    return Kata(
        id=kata.id,
        anchor=anchor,
        number=number,
        title=kata.title or name,
        mark=mark(kata.verdict),
        word=word(kata.verdict, language),
        tone=_TONES.get(kata.verdict, "bad"),
        points=f"{amount(kata.points)}/{amount(kata.max)}",
        told_points=language.text("{points} points", points=f"{amount(kata.points)}/{amount(kata.max)}"),
        share=_share(kata.points, kata.max),
        message=message,
        file=kata.stub,
        statement=kata.readme,
        kinds=tuple(_kinds(kata, language)),
        failing=None if failing is None or untouched else _test(failing, kata.stub, language),
        tests=tuple(_test(test, kata.stub, language) for test in told.tests),
        summary=summary,
        figures=tuple(figure(each, f"{anchor}-{place}", language) for place, each in enumerate(pictures)),
        changed=kata.id in past.changed,
        history=_history(attempts, past, language),
        attempts=tuple(_tried(each, past, language) for each in reversed(attempts[-_ATTEMPTS:])),
    )


def _test(test: TestResult, stub: str, language: Language) -> Test:
    source = test.line.source.strip() if test.line else ""
    output = test.output.rstrip("\n")
    if test.output_dropped:
        output += "\n" + language.text("and {count} bytes more, which were not kept", count=test.output_dropped)
    return Test(
        title=test.title,
        kind="" if test.hidden else language.say(KINDS[test.kind][0]) if test.kind in KINDS else test.kind,
        mark=mark(test.verdict),
        word=word(test.verdict, language),
        tone=_TONES.get(test.verdict, "bad"),
        points=f"{amount(test.points)}/{amount(test.max)}",
        message=test.message,
        rows=tuple(rows(test.cause, language)) if test.cause else (),
        place=f"{stub}:{test.line.number}" if test.line and stub else "",
        source=source,
        output=output,
    )


def _kinds(kata: KataResult, language: Language) -> Iterator[Kind]:
    for kind in [
        *(kind for kind in KINDS if kind in kata.by_kind),
        *(kind for kind in kata.by_kind if kind not in KINDS),
    ]:
        score = kata.by_kind[kind]
        tones = tuple(_TONES.get(test.verdict, "bad") for test in kata.tests if test.kind == kind)
        name = language.say(KINDS[kind][0]) if kind in KINDS else kind
        yield Kind(name, tones, f"{score.passed}/{score.total}" if score.total else "")


def _history(attempts: Sequence[Attempt], past: Past, language: Language) -> str:
    """How often it was tried, and when it passed for the first time."""
    if not attempts:
        return ""
    count = language.plural("{count} attempt", "{count} attempts", len(attempts))
    first = next((each for each in attempts if each.verdict is Verdict.PASS), None)
    if first is None:
        return count
    date = charts.when(first.time, "%Y-%m-%d", past.zone)
    return language.text("{count}; passed for the first time on {date}", count=count, date=date)


def _tried(attempt: Attempt, past: Past, language: Language) -> Tried:
    verdict = attempt.verdict
    points = f"{amount(attempt.points)}/{amount(attempt.max)}"
    when = charts.when(attempt.time, zone=past.zone)
    return Tried(when, mark(verdict), word(verdict, language), _TONES.get(verdict, "bad"), points)


def _over_time(card: Scorecard, past: Past, language: Language) -> str:
    """The points of all katas after each attempt; nothing before there are two."""
    known = {kata.id: past.attempts.get(kata.id, ()) for kata in card.katas}
    tried = sorted(((each.time, id, each.points) for id, attempts in known.items() for each in attempts))
    if len(tried) < 2:
        return ""
    points, totals = dict.fromkeys(known, 0.0), []
    for _, id, earned in tried:
        points[id] = earned
        totals.append(sum(points.values()))
    times = [time for time, _, _ in tried]
    first, last = (charts.when(time, "%Y-%m-%d", past.zone) for time in (times[0], times[-1]))
    told = "from {first} to {last}: {points} of {most} points"
    said = language.text(told, first=first, last=last, points=amount(totals[-1]), most=amount(card.score.max))
    title = language.say(WORDS["over_time"])
    return charts.points(times, totals, card.score.max, past.zone, "over-time", title, said)


def _facts(card: Scorecard, language: Language, *, of_a_run: bool) -> Iterator[str]:
    """When it was, what it takes to repeat it, and what protected it; what was kept may be of several runs."""
    seed = language.text("seed {seed}", seed=card.seed)
    if card.seed is None:
        seed = language.text("secret seed (its SHA-256: {sha256})", sha256=card.seed_sha256)
    yield " · ".join([card.started, *([seed] if of_a_run else []), f"gradkata {card.grader}"])
    yield ", ".join(f"{name} {version}" for name, version in card.versions.items())
    if of_a_run:
        yield language.text("sandbox: {sandbox}", sandbox=text(card.sandbox))


def _share(points: float, most: float) -> float:
    return round(100 * points / most, 1) if most else 0.0
