"""Diagnosis: which known mistake a failing test is the trace of, so that a scorecard can name the bug.

The authors' mistakes were judged on the inputs of the usual seed, and what each test said of each of them is kept as a
*fingerprint*: words and numbers, no code. A learner's failure that says the same, in numbers to three digits, was made
by the same mistake, or by one that cannot be told from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec
from msgspec.structs import replace

from grader.course import Course
from grader.kata import Kata
from grader.scorecard import Cause, KataResult, TestResult, Verdict

FILE = "fingerprints.json"
MOST = 2  # mistakes that may be named for one test: of more, none is said
_CLOSE, _NOTHING = 1e-3, 1e-9  # relative and absolute room between two numbers of one fingerprint
_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+(?:\.\d+)?(?:e[-+]?\d+)?|inf|nan)(?![\w])")

Fingerprint = tuple[str, str, str, str]  # message, expected, actual, where


class Known(msgspec.Struct, frozen=True):
    """A mistake: what its learner is told, and what each test that fails on it says."""

    id: str
    says: str
    says_zh: str
    tests: dict[str, Fingerprint]


class Fingerprints(msgspec.Struct, frozen=True):
    """The mistakes of one kata."""

    mistakes: tuple[Known, ...] = ()


def fingerprint(message: str, cause: Cause | None) -> Fingerprint:
    """What a failing test said, without its advice."""
    return (message, cause.expected, cause.actual, cause.where) if cause else (message, "", "", "")


def agree(one: Fingerprint, other: Fingerprint) -> bool:
    """Whether both say the same words, and the same numbers but for rounding."""
    return all(_agree(*pair) for pair in zip(one, other, strict=True))


def load(course: Course, kata: Kata) -> Fingerprints:
    """The kata's fingerprints, beside its reference or, in a release, beside its suite; none where they cannot be read."""
    for folder in (course.reference(kata).parent, kata.folder):
        try:
            return msgspec.json.decode((folder / FILE).read_bytes(), type=Fingerprints)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            continue
    return Fingerprints()


def diagnosed(result: KataResult, known: Fingerprints) -> KataResult:
    """The result, in which every failing test that is the trace of one or two known mistakes says so."""
    passed = {test.name for test in result.tests if test.verdict is Verdict.PASS}
    possible = [mistake for mistake in known.mistakes if not passed & mistake.tests.keys()]
    if not possible:
        return result
    return replace(result, tests=tuple(_diagnosed(test, possible) for test in result.tests))


def _diagnosed(test: TestResult, possible: Sequence[Known]) -> TestResult:
    if test.verdict is not Verdict.FAIL:
        return test
    mine = fingerprint(test.message, test.cause)
    found = [each for each in possible if (its := each.tests.get(test.name)) and agree(its, mine)]
    if not 0 < len(found) <= MOST:
        return test
    said = {"diagnosis": _one_of(each.says for each in found), "diagnosis_zh": _one_of(each.says_zh for each in found)}
    return replace(test, cause=replace(test.cause or Cause(), **said))


def _one_of(texts: Iterator[str]) -> str:
    """One text, or several that are told apart."""
    found = list(texts)
    return found[0] if len(found) == 1 else " ".join(f"({number}) {text}" for number, text in enumerate(found, 1))


def _agree(one: str, other: str) -> bool:
    if one == other:
        return True
    numbers = [[float(number) for number in _NUMBER.findall(text)] for text in (one, other)]
    same_words = _NUMBER.sub("#", one) == _NUMBER.sub("#", other)
    return same_words and all(
        a == b or abs(a - b) <= _CLOSE * max(abs(a), abs(b)) + _NOTHING or (a != a and b != b)
        for a, b in zip(*numbers, strict=True)
    )
