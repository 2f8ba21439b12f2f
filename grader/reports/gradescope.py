"""The scorecard as Gradescope's `results.json`.

https://gradescope-autograders.readthedocs.io/en/latest/specs/
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from grader.messages.language import Language
from grader.reports.folded import folded
from grader.reports.layout import escaped
from grader.reports.table import row_lines
from grader.scorecard import KataResult, Scorecard, TestResult, Verdict


def render(card: Scorecard, *, language: Language | None = None, note: str = "") -> str:
    """One test of theirs for each of ours, with its points; what is to do has no status, and earns nothing.

    A student sees no total while any test is hidden from them, so the hidden ones of a kata are one test here, which says how
    many of them pass and no more. What has no test of its own, a kata that was not judged, has one as well: theirs add up to
    all the points that there are, but where a note says why the score is another.
    """
    language = language or Language()
    notes = [note, "" if card.complete else language.text("stopped early")]
    tests = [test for kata in card.katas for test in _tests(kata, language)]
    left = card.score.max - math.fsum(kata.max for kata in card.katas)
    if card.unbegun:
        tests.append(_not_judged(card.unbegun, left, language))
    results = {
        "score": card.score.points,
        "execution_time": card.seconds,
        "output": "\n".join(filter(None, notes)),
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": tests,
        "extra_data": {"grader": card.grader, "sandbox": card.sandbox, "max": card.score.max},
    }
    text = msgspec.json.format(msgspec.json.encode(results), indent=2).decode() + "\n"
    return escaped(text, lambda character: f"\\u{ord(character):04x}")


def _tests(kata: KataResult, language: Language) -> list[dict[str, Any]]:
    return [_test(kata, test, language) for test in folded(kata, language).tests] or [_whole(kata)]


def _test(kata: KataResult, test: TestResult, language: Language) -> dict[str, Any]:
    lines = [test.message]
    lines += row_lines(test.cause, language)
    if test.line and kata.stub:
        lines.append(f"{kata.stub}:{test.line.number}: {test.line.source.strip()}")
    found = {
        "name": f"{kata.id}: {test.title}",
        "score": test.points,
        "max_score": test.max,
        "output": "\n".join(line for line in lines if line),
        "tags": [test.kind],
        "visibility": "visible",
    }
    return found | _status(test.verdict)


def _status(verdict: Verdict) -> dict[str, str]:
    """Nothing where it is still to do or was not run."""
    if verdict is Verdict.PASS:
        return {"status": "passed"}
    return {} if verdict in (Verdict.TODO, Verdict.NOT_RUN) else {"status": "failed"}


def _not_judged(katas: Sequence[str], most: float, language: Language) -> dict[str, Any]:
    name = language.text("not judged to the end: {katas}", katas=list(katas))
    return {"name": name, "score": 0.0, "max_score": most, "output": "", "visibility": "visible"}


def _whole(kata: KataResult) -> dict[str, Any]:
    """A kata none of whose tests ran."""
    return {
        "name": kata.id,
        "score": 0.0,
        "max_score": kata.max,
        "output": kata.message,
        "visibility": "visible",
        "status": "failed",
    }
