"""What a reader need not be told test by test: hidden tests, of which nothing is told, and tests that all end alike."""

from __future__ import annotations

import math

from msgspec.structs import replace

from grader.messages.language import Language
from grader.scorecard import KataResult, TestResult, Verdict

_CALM = (Verdict.TODO, Verdict.NOT_RUN)


def folded(kata: KataResult, language: Language) -> KataResult:
    """The kata with its hidden tests as one, after the others: how many of them pass and what they earn, and no more."""
    hidden = [test for test in kata.tests if test.hidden]
    if not hidden:
        return kata
    passed = sum(test.verdict is Verdict.PASS for test in hidden)
    together = TestResult(
        name="hidden",
        kind="hidden",
        title=language.text("hidden tests"),
        verdict=_together({test.verdict for test in hidden}),
        hidden=True,
        points=math.fsum(test.points for test in hidden),
        max=math.fsum(test.max for test in hidden),
        seconds=math.fsum(test.seconds for test in hidden),
        message=language.text("{passed} of {count} tests pass", passed=passed, count=len(hidden)),
        step=max(test.step for test in kata.tests),  # what went wrong in the open is told first
    )
    return replace(kata, tests=(*(test for test in kata.tests if not test.hidden), together))


def alike(kata: KataResult) -> bool:
    """Whether all of its tests, of which there are several, end in one way and with one message."""
    return len(kata.tests) > 1 == len({(each.verdict, each.message) for each in kata.tests})


def _together(verdicts: set[Verdict]) -> Verdict:
    """Passed where all did, failed where any of them did, and to do or not run where one is and none is worse."""
    if verdicts == {Verdict.PASS}:
        return Verdict.PASS
    if Verdict.INTERNAL in verdicts:
        return Verdict.INTERNAL
    if verdicts - {Verdict.PASS, *_CALM}:
        return Verdict.FAIL
    return Verdict.TODO if Verdict.TODO in verdicts else Verdict.NOT_RUN
