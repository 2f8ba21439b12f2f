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
OUTPUT = 2_000  # characters of what a test printed: all of this goes into one environment value


def render(card: Scorecard, *, language: Language | None = None) -> str:
    """One line; the tests are there whatever happened, since the reporter counts nothing else."""
    language = language or Language()
    results = {
        "version": VERSION,
        "status": _status(card),
        "max_score": card.score.max,
        "tests": [
            *(found for kata in card.katas for found in _tests(kata)),
            *(_stopped(id, language.text("not judged: the run was stopped")) for id in card.unbegun),
        ],
    }
    return b64encode(msgspec.json.encode(results)).decode() + "\n"


def _status(card: Scorecard) -> str:
    """What is still to do is no failure: the reporter turns a job red for `fail` and `error`."""
    verdicts = {kata.verdict for kata in card.katas}
    if not card.complete or Verdict.INTERNAL in verdicts:
        return "error"
    return "pass" if verdicts <= {Verdict.PASS, Verdict.TODO} else "fail"


def _tests(kata: KataResult) -> list[dict[str, Any]]:
    found = [_test(kata, test) for test in kata.tests]
    return found or [_one(kata.id, kata.id, kata.verdict, kata.message, filename=kata.stub)]


def _stopped(id: str, message: str) -> dict[str, Any]:
    return _one(id, id, Verdict.INTERNAL, message)


def _test(kata: KataResult, test: TestResult) -> dict[str, Any]:
    return _one(
        kata.id,
        f"{kata.id}: {test.title}",
        test.verdict,
        test.message,
        test_code=test.name,
        filename=kata.stub,
        line_no=test.line.number if test.line else 0,
        duration=round(1000 * test.seconds),
        score=test.points,
        output=test.output[:OUTPUT],
    )


def _one(kata: str, name: str, verdict: Verdict, message: str, **more: Any) -> dict[str, Any]:
    """One test of theirs; the reporter adds up every score, so that none may be missing."""
    words = {Verdict.PASS: "pass", Verdict.INTERNAL: "error"}
    nothing = {"test_code": "", "filename": "", "line_no": 0, "duration": 0, "score": 0.0, "output": ""}
    told = {"name": name, "status": words.get(verdict, "fail"), "message": message, "task_id": kata}
    return {**told, **nothing, **more}
