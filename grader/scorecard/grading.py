"""From the tests of a kata to its verdict and points, and from the katas of a run to its score and exit code."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from grader.kata import Kata
from grader.messages import Message, message
from grader.scorecard.records import KataResult, KindScore, Score, Scorecard, TestResult, Verdict

# What a kata is called whose tests ended in different ways: the first of these that occurs.
SEVERITY = (
    Verdict.INTERNAL,
    Verdict.FORBIDDEN,
    Verdict.CRASH,
    Verdict.MEMORY,
    Verdict.TIMEOUT,
    Verdict.ERROR,
    Verdict.FAIL,
    Verdict.NOT_RUN,
)


def grade_kata(
    kata: Kata,
    tests: Iterable[TestResult],
    *,
    seconds: float,
    said: Sequence[Message] = (),
    notices: Sequence[Message] = (),
    stub: str = "",
    readme: str = "",
    sha256: str = "",
) -> KataResult:
    """The result of a kata whose suite ran to its end.

    said: in place of the reason for the verdict; notices: what no verdict depends on, before it.

    A kind's points are shared equally by its tests, and only a pass earns. Where the suite departs from its manifest,
    in the number of tests or in their kinds, the fault is ours, and nothing is earned, whatever the tests say.
    """
    ran = tuple(tests)
    departure = _departure(kata, ran)
    by_kind = {kind: _kind_score(kata, kind, ran, earning=not departure) for kind in kata.points}
    verdict, reason = (Verdict.INTERNAL, departure) if departure else _verdict(ran)
    said = (*notices, *(said or ((reason,) if reason else ())))
    return KataResult(
        id=kata.id,
        title=kata.title,
        verdict=verdict,
        points=math.fsum(score.points for score in by_kind.values()),
        max=most(kata),
        by_kind=by_kind,
        seconds=seconds,
        from_store=False,
        tests=tuple(_priced(test, by_kind.get(test.kind), earning=not departure) for test in ran),
        message=worded(said),
        said=said,
        stub=stub,
        readme=readme,
        sha256=sha256,
    )


def reject_kata(
    kata: Kata, verdict: Verdict, said: Sequence[Message], *, stub: str = "", readme: str = "", sha256: str = ""
) -> KataResult:
    """The result of a kata none of whose tests could run: a file that is no submission, a suite that does not load."""
    if verdict is Verdict.PASS:
        raise ValueError("a kata passes by its tests only")
    result = grade_kata(kata, (), seconds=0.0, said=said, stub=stub, readme=readme, sha256=sha256)
    return replace(result, verdict=verdict)


def most(kata: Kata) -> float:
    """The points that there are in a kata."""
    return math.fsum(kata.points.values())


def total(asked: Iterable[Kata], results: Iterable[KataResult]) -> Score:
    """The points of the results out of all that was asked for: what was not judged counts, and has earned nothing."""
    return Score(math.fsum(result.points for result in results), math.fsum(most(kata) for kata in asked))


def exit_code(scorecard: Scorecard) -> int:
    """0: all that was asked for passes; 1: something does not, or was not judged; 3: a fault of ours."""
    verdicts = {kata.verdict for kata in scorecard.katas}
    if Verdict.INTERNAL in verdicts:
        return 3
    return 0 if scorecard.complete and verdicts == {Verdict.PASS} else 1


def worded(said: Iterable[Message]) -> str:
    """Messages in English, a line each."""
    return "\n".join(map(str, said))


def _departure(kata: Kata, tests: Sequence[TestResult]) -> Message | None:
    """How the suite that ran is not the one that the manifest announces; None where it is."""
    if len(tests) != kata.tests:
        return message("kata.count", ran=len(tests), tests=kata.tests)
    odd = sorted({test.kind for test in tests} ^ set(kata.points))
    return message("kata.kinds", kinds=odd) if odd else None


def _kind_score(kata: Kata, kind: str, tests: Sequence[TestResult], *, earning: bool) -> KindScore:
    found = [test.verdict for test in tests if test.kind == kind]
    passed = found.count(Verdict.PASS)
    earned = kata.points[kind] * passed / len(found) if earning and passed else 0.0
    return KindScore(points=earned, max=kata.points[kind], passed=passed, total=len(found))


def _priced(test: TestResult, kind: KindScore | None, *, earning: bool) -> TestResult:
    share = kind.max / kind.total if kind else 0.0
    return replace(test, points=share if earning and test.verdict is Verdict.PASS else 0.0, max=share)


def _verdict(tests: Sequence[TestResult]) -> tuple[Verdict, Message | None]:
    """The kata's verdict, and the reason where its tests do not give it.

    What is under way is to do and no failure, as long as nothing that was written is wrong.
    """
    found = [test.verdict for test in tests]
    to_do = found.count(Verdict.TODO)
    if to_do == len(found):
        return Verdict.TODO, None
    worst = next((verdict for verdict in SEVERITY if verdict in found), Verdict.TODO if to_do else Verdict.PASS)
    return worst, message("kata.to_do", count=to_do, tests=len(found)) if to_do else None
