"""The scorecard as GitHub Classroom's reporter reads it: base64 of JSON, for the environment value `<STEP>_RESULTS`.

https://github.com/classroom-resources/autograding-grading-reporter
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import msgspec

from grader.messages.language import Language
from grader.scorecard import KataResult, Scorecard, TestResult, Verdict

VERSION = 3


def render(card: Scorecard, *, language: Language | None = None) -> str:
    """One line; the tests are there whatever happened, since the reporter reads nothing else."""
    results = {
        "version": VERSION,
        "status": _status(card),
        "max_score": card.score.max,
        "tests": [_test(kata, test) for kata in card.katas for test in kata.tests],
    }
    return b64encode(msgspec.json.encode(results)).decode() + "\n"


def _status(card: Scorecard) -> str:
    verdicts = {kata.verdict for kata in card.katas}
    if not card.complete or Verdict.INTERNAL in verdicts:
        return "error"
    return "pass" if verdicts <= {Verdict.PASS} else "fail"


def _test(kata: KataResult, test: TestResult) -> dict[str, Any]:
    words = {Verdict.PASS: "pass", Verdict.INTERNAL: "error"}
    return {
        "name": f"{kata.id}: {test.title}",
        "status": words.get(test.verdict, "fail"),
        "message": test.message,
        "test_code": test.name,
        "task_id": kata.id,
        "filename": kata.stub,
        "line_no": test.line.number if test.line else 0,
        "duration": round(1000 * test.seconds),
        "score": test.points,
        "output": test.output,
    }
