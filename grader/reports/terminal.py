"""The scorecard on screen: a line per kata, what fails first and why, and what to open next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from grader.messages import text
from grader.messages.language import Language
from grader.reports.layout import Paint, cut, disarmed, sparkline, wrap
from grader.reports.moment import Moment, moment
from grader.reports.story import notes, story, told, under_way, whole_output
from grader.reports.table import amount, table
from grader.scorecard import Curve, KataResult, Scorecard, TestResult, Verdict

CURVES = 3  # shown per kata
BARS, FEWEST = 24, 8  # of a curve
FOOTER = ("python", "numpy", "torch")  # the libraries whose versions are shown


@dataclass(frozen=True)
class After:
    """What comes after what was asked for: the katas that pass for the first time, and the next one, if one is left."""

    file: str = ""
    statement: str = ""
    moments: Sequence[Moment] = ()


def render(
    card: Scorecard,
    *,
    width: int = 80,
    colour: bool = False,
    language: Language | None = None,
    after: After | None = None,
    every: bool = False,
    prints: bool = False,
    own: bool = True,
) -> str:
    """The whole scorecard as text of at most `width` cells a line.

    after: None where nobody knows what comes next; every: tell all failing tests; prints: what passing tests print too;
    own: its reader wrote what was judged, and may go on with what comes next.
    """
    language = language or Language()
    paint = Paint(colour)
    calm = [kata for kata in card.katas if kata.verdict in (Verdict.TODO, Verdict.NOT_RUN) and _ran(kata)]
    failing = [kata for kata in card.katas if kata.verdict not in (Verdict.PASS, Verdict.TODO, Verdict.NOT_RUN)]
    parts = [table(card, width, paint, language)]
    parts += [story(kata, width, paint, language, every=every) for kata in failing]
    parts += [under_way(kata, width, paint, language) for kata in calm]
    passing = [kata for kata in card.katas if kata.verdict is Verdict.PASS]
    parts += [line for kata in passing for said in notes(kata, language) for line in wrap(f"{kata.id}  {said}", width)]
    if prints:
        shown = {kata.id: told(kata, every) for kata in failing}
        parts += [whole_output(kata, shown.get(kata.id, ()), width, paint, language) for kata in card.katas]
    parts.append(_curves(card, width, paint, language))
    parts += [moment(each, width, paint, language) for each in after.moments] if after else []
    advice = _next(card, language, after) if own else ""
    parts += [_footer(card, width, paint, language, own=own), _closing(card, width, paint, language, advice)]
    return disarmed("\n\n".join(part for part in parts if part) + "\n")


def _ran(kata: KataResult) -> bool:
    """Whether there is more to say of a kata in which nothing is wrong than that it is untouched, or was not begun."""
    return bool(kata.points) or len(kata.chosen) < len(kata.tests)


def _curves(card: Scorecard, width: int, paint: Paint, language: Language) -> str:
    """The curves of one kata, or those of a run of several that were not shown by an earlier run."""
    shown = card.katas if len(card.katas) == 1 else [kata for kata in card.katas if not kata.from_store]
    lines = [line for kata in shown for line in curves(kata.tests, f"{kata.id}  ", width, paint, language)]
    return "\n".join(lines)


def curves(tests: Sequence[TestResult], before: str, width: int, paint: Paint, language: Language) -> list[str]:
    """The first curves that these tests drew, each after what stands `before` it."""
    drawn = [picture for test in tests for picture in test.pictures if isinstance(picture, Curve)]
    shown = [curve for curve in drawn if curve.values.data][:CURVES]
    return [line for curve in shown for line in _curve(f"{before}{curve.name}", curve, width, paint, language)]


def _curve(name: str, curve: Curve, width: int, paint: Paint, language: Language) -> list[str]:
    """The curve beside its name, or below a name that leaves it no room, with its ends and its baseline."""
    values = curve.values.floats()
    rest = "  " + " → ".join(language.text("not finite") if v is None else f"{v:.3g}" for v in (values[0], values[-1]))
    if curve.baseline is not None:
        rest += language.text(", baseline {value:.3g}", value=curve.baseline)
    beside = width - cell_len(f"{name}  {rest}") >= FEWEST
    head = f"{name}  " if beside else "    "
    bars = sparkline(values, min(BARS, max(width - cell_len(head + rest), FEWEST)))
    line = cut(head + bars + rest, width).replace(bars, paint(bars, "cyan"))
    return [line] if beside else [cut(name, width), line]


def _footer(card: Scorecard, width: int, paint: Paint, language: Language, *, own: bool) -> str:
    """What protected the run, and what it takes to repeat it; the JSON report has every version."""
    versions = ", ".join(f"{name} {card.versions[name]}" for name in FOOTER if name in card.versions)
    jobs = language.plural("{count} job", "{count} jobs", card.jobs)
    seed = language.text("seed {seed}", seed=card.seed)
    if card.seed is None:
        seed = language.text("secret seed (its SHA-256: {sha256})", sha256=card.seed_sha256)
    facts = [" · ".join(filter(None, [language.text("self-check") if own else "", seed, jobs, versions]))]
    facts.append(language.text("sandbox: {sandbox}", sandbox=text(card.sandbox)))
    recorded = sum(test.recorded for kata in card.katas for test in kata.tests)
    if recorded:
        one = "{count} test uses the recorded reference, and its seed in place of the run's"
        many = "{count} tests use the recorded reference, and its seed in place of the run's"
        facts.insert(1, language.plural(one, many, recorded))
    lines = [line for fact in facts for line in wrap(fact, width)]
    return "\n".join(paint(line, "dim") for line in lines)


def _closing(card: Scorecard, width: int, paint: Paint, language: Language, advice: str) -> str:
    passed = sum(kata.verdict is Verdict.PASS for kata in card.katas)
    asked = len(card.katas) + len(card.unbegun)
    facts = [
        language.text("{points} of {most} points", points=amount(card.score.points), most=amount(card.score.max)),
        language.plural("{passed} of {count} kata passes", "{passed} of {count} katas pass", asked, passed=passed),
        f"{card.seconds:.1f} s",
    ]
    if not card.complete:
        facts.insert(0, language.text("stopped early"))
    total = " · ".join(facts)
    together = f"{total}   {advice}".rstrip()
    lines = [together] if cell_len(together) <= width else [*wrap(total, width), *wrap(advice, width)]
    all_pass = card.complete and passed == asked
    return "\n".join(paint(line, "bold", "green") if all_pass else paint(line, "bold") for line in lines)


def _next(card: Scorecard, language: Language, after: After | None) -> str:
    """What to open next: what comes after, else the first kata that was asked for and does not pass."""
    if after is not None:
        file, statement = after.file, after.statement
        if not file:
            return language.text("All done.")
    else:
        kata = next((kata for kata in card.katas if kata.verdict not in (Verdict.PASS, Verdict.INTERNAL)), None)
        if kata is None:
            return ""
        file, statement = kata.stub or kata.id, kata.readme
    if not statement:
        return language.text("Next: {file}", file=file)
    return language.text("Next: {file} (statement: {statement})", file=file, statement=statement)
