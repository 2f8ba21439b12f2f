"""The scorecard on screen: a line per kata, what fails first and why, and what to open next."""

from __future__ import annotations

from rich.cells import cell_len

from grader.reports.layout import Paint, cut, disarmed, sparkline, wrap
from grader.reports.story import story
from grader.reports.table import amount, table
from grader.scorecard import Curve, KataResult, Scorecard, Verdict

CURVES = 3  # shown per kata
BARS = 24
FOOTER = ("python", "numpy", "torch")  # the libraries whose versions are shown


def render(card: Scorecard, *, width: int = 80, colour: bool = False) -> str:
    """The whole scorecard as text of at most `width` cells a line."""
    paint = Paint(colour)
    failing = [kata for kata in card.katas if kata.verdict not in (Verdict.PASS, Verdict.TODO, Verdict.NOT_RUN)]
    parts = [table(card, width, paint), _curves(card, width, paint)]
    parts += [story(kata, width, paint) for kata in failing]
    parts += [_footer(card, width, paint), _closing(card, width, paint)]
    return disarmed("\n\n".join(part for part in parts if part) + "\n")


def _curves(card: Scorecard, width: int, paint: Paint) -> str:
    lines = []
    for kata in card.katas:
        curves = [picture for test in kata.tests for picture in test.pictures if isinstance(picture, Curve)]
        for curve in [curve for curve in curves if curve.values][:CURVES]:
            ends = " → ".join("not finite" if v is None else f"{v:.3g}" for v in (curve.values[0], curve.values[-1]))
            baseline = "" if curve.baseline is None else f", baseline {curve.baseline:.3g}"
            name, rest = f"{kata.id}  {curve.name}  ", f"  {ends}{baseline}"
            bars = sparkline(curve.values, min(BARS, max(width - cell_len(name + rest), 8)))
            lines.append(cut(name + bars + rest, width).replace(bars, paint(bars, "cyan")))
    return "\n".join(lines)


def _footer(card: Scorecard, width: int, paint: Paint) -> str:
    """What protected the run, and what it takes to repeat it; the JSON report has every version."""
    versions = ", ".join(f"{name} {card.versions[name]}" for name in FOOTER if name in card.versions)
    jobs = f"{card.jobs} job{'s' * (card.jobs > 1)}"
    seed = f"seed {card.seed}" if card.seed is not None else f"secret seed (its SHA-256: {card.seed_sha256})"
    facts = [" · ".join(filter(None, ["self-check", seed, jobs, versions])), f"sandbox: {card.sandbox}"]
    recorded = sum(test.recorded for kata in card.katas for test in kata.tests)
    if recorded:
        tests = "1 test uses" if recorded == 1 else f"{recorded} tests use"
        facts.insert(1, f"{tests} the recorded reference, and its seed in place of the run's")
    lines = [line for text in facts for line in wrap(text, width)]
    return "\n".join(paint(line, "dim") for line in lines)


def _closing(card: Scorecard, width: int, paint: Paint) -> str:
    passed = sum(kata.verdict is Verdict.PASS for kata in card.katas)
    asked = len(card.katas) + len(card.unbegun)
    facts = [
        f"{amount(card.score.points)} of {amount(card.score.max)} points",
        f"{passed} of {asked} kata{'s' * (asked > 1)} pass{'es' * (asked == 1)}",
        f"{card.seconds:.1f} s",
    ]
    if not card.complete:
        facts.insert(0, "stopped early")
    total, advice = " · ".join(facts), _next(card)
    together = f"{total}   {advice}".rstrip()
    lines = [together] if cell_len(together) <= width else [*wrap(total, width), *wrap(advice, width)]
    all_pass = card.complete and passed == asked
    return "\n".join(paint(line, "bold", "green") if all_pass else paint(line, "bold") for line in lines)


def _next(card: Scorecard) -> str:
    """What to open next: the first kata, in the course's order, that its learner can do something about."""
    kata = next((kata for kata in card.katas if _open(kata)), None)
    if kata is None:
        return "" if card.unfinished or any(kata.verdict is Verdict.INTERNAL for kata in card.katas) else "All done."
    statement = f" (statement: {kata.readme})" if kata.readme else ""
    return f"Next: {kata.stub or kata.id}{statement}"


def _open(kata: KataResult) -> bool:
    return kata.verdict not in (Verdict.PASS, Verdict.INTERNAL)
