"""The scorecard on screen: a line per kata, what fails first and why, and what to open next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len

from grader.messages import text
from grader.messages.language import Language
from grader.reports.layout import Paint, cut, disarmed, sparkline, wrap
from grader.reports.story import story, under_way
from grader.reports.table import amount, table
from grader.scorecard import Curve, KataResult, Scorecard, TestResult, Verdict

CURVES = 3  # shown per kata
BARS, FEWEST = 24, 8  # of a curve
FOOTER = ("python", "numpy", "torch")  # the libraries whose versions are shown


@dataclass(frozen=True)
class After:
    """What comes after what was asked for: the next kata of the course, if one is left, and what each new pass unlocks."""

    file: str = ""
    statement: str = ""
    unlocked: Mapping[str, Sequence[str]] = field(
        default_factory=dict
    )  # ids of katas, by that of one that passed just now


def render(
    card: Scorecard,
    *,
    width: int = 80,
    colour: bool = False,
    language: Language | None = None,
    after: After | None = None,
) -> str:
    """The whole scorecard as text of at most `width` cells a line."""
    language, after = language or Language(), after or After()
    paint = Paint(colour)
    failing = [kata for kata in card.katas if kata.verdict not in (Verdict.PASS, Verdict.TODO, Verdict.NOT_RUN)]
    parts = [table(card, width, paint, language), _curves(card, width, paint, language)]
    parts += [story(kata, width, paint, language) for kata in failing]
    calm = [kata for kata in card.katas if kata.verdict is Verdict.TODO and kata.points]
    parts += [under_way(kata, width, paint, language) for kata in calm]
    parts.append(_unlocked(after, width, paint, language))
    parts += [_footer(card, width, paint, language), _closing(card, width, paint, language, after)]
    return disarmed("\n\n".join(part for part in parts if part) + "\n")


def _curves(card: Scorecard, width: int, paint: Paint, language: Language) -> str:
    lines = [line for kata in card.katas for line in curves(kata.tests, f"{kata.id}  ", width, paint, language)]
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


def _footer(card: Scorecard, width: int, paint: Paint, language: Language) -> str:
    """What protected the run, and what it takes to repeat it; the JSON report has every version."""
    versions = ", ".join(f"{name} {card.versions[name]}" for name in FOOTER if name in card.versions)
    jobs = language.plural("{count} job", "{count} jobs", card.jobs)
    seed = language.text("seed {seed}", seed=card.seed)
    if card.seed is None:
        seed = language.text("secret seed (its SHA-256: {sha256})", sha256=card.seed_sha256)
    facts = [" · ".join(filter(None, [language.text("self-check"), seed, jobs, versions]))]
    facts.append(language.text("sandbox: {sandbox}", sandbox=text(card.sandbox)))
    recorded = sum(test.recorded for kata in card.katas for test in kata.tests)
    if recorded:
        one = "{count} test uses the recorded reference, and its seed in place of the run's"
        many = "{count} tests use the recorded reference, and its seed in place of the run's"
        facts.insert(1, language.plural(one, many, recorded))
    lines = [line for fact in facts for line in wrap(fact, width)]
    return "\n".join(paint(line, "dim") for line in lines)


def _unlocked(after: After, width: int, paint: Paint, language: Language) -> str:
    """What each new pass opens."""
    told = "{kata} passes, and opens {katas}"
    lines = [language.text(told, kata=id, katas=list(katas)) for id, katas in after.unlocked.items() if katas]
    return "\n".join(paint(line, "green") for said in lines for line in wrap(said, width))


def _closing(card: Scorecard, width: int, paint: Paint, language: Language, after: After) -> str:
    passed = sum(kata.verdict is Verdict.PASS for kata in card.katas)
    asked = len(card.katas) + len(card.unbegun)
    facts = [
        language.text("{points} of {most} points", points=amount(card.score.points), most=amount(card.score.max)),
        language.plural("{passed} of {count} kata passes", "{passed} of {count} katas pass", asked, passed=passed),
        f"{card.seconds:.1f} s",
    ]
    if not card.complete:
        facts.insert(0, language.text("stopped early"))
    total, advice = " · ".join(facts), _next(card, language, after)
    together = f"{total}   {advice}".rstrip()
    lines = [together] if cell_len(together) <= width else [*wrap(total, width), *wrap(advice, width)]
    all_pass = card.complete and passed == asked
    return "\n".join(paint(line, "bold", "green") if all_pass else paint(line, "bold") for line in lines)


def _next(card: Scorecard, language: Language, after: After) -> str:
    """What to open next: the first kata that was asked for and does not pass, else what comes after."""
    kata = next((kata for kata in card.katas if _open(kata)), None)
    if kata is None:
        ours = any(kata.verdict is Verdict.INTERNAL for kata in card.katas)
        if card.unfinished or ours:
            return ""
        if not after.file:
            return language.text("All done.")
        return language.text("Next: {file} (statement: {statement})", file=after.file, statement=after.statement)
    if not kata.readme:
        return language.text("Next: {file}", file=kata.stub or kata.id)
    return language.text("Next: {file} (statement: {statement})", file=kata.stub or kata.id, statement=kata.readme)


def _open(kata: KataResult) -> bool:
    return kata.verdict not in (Verdict.PASS, Verdict.INTERNAL)
