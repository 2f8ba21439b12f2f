"""The scorecard as Gradescope's `results.json`.

https://gradescope-autograders.readthedocs.io/en/latest/specs/
"""

from __future__ import annotations

from typing import Any

import msgspec

from grader.messages.language import Language
from grader.reports.layout import escaped
from grader.reports.table import row_lines
from grader.scorecard import KataResult, Scorecard, TestResult, Verdict


def render(card: Scorecard, *, language: Language | None = None, note: str = "") -> str:
    """One test of theirs for each of ours, with its points; what is to do has no status, and earns nothing.

    The score is the card's, also where a note says why that is not the sum.
    """
    language = language or Language()
    notes = [note, "" if card.complete else language.text("stopped early")]
    tests = [_test(kata, test, language) for kata in card.katas for test in kata.tests]
    tests += [_whole(kata) for kata in card.katas if not kata.tests]
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


def _test(kata: KataResult, test: TestResult, language: Language) -> dict[str, Any]:
    lines = [test.message]
    lines += row_lines(test.cause, language)
    if test.line and kata.stub:
        lines.append(f"{kata.stub}:{test.line.number}: {test.line.source.strip()}")
    found: dict[str, Any] = {
        "name": f"{kata.id}: {test.title}",
        "score": test.points,
        "max_score": test.max,
        "output": "\n".join(line for line in lines if line),
        "tags": [test.kind],
        "visibility": "visible",
    }
    if test.verdict not in (Verdict.TODO, Verdict.NOT_RUN):
        found["status"] = "passed" if test.verdict is Verdict.PASS else "failed"
    return found


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
