"""Diagnosis: which known mistake a failing test is the trace of, so that a scorecard can name the bug.

The authors' mistakes were judged on the inputs of the usual seed, and what each test said of each of them is kept as a
*fingerprint*: a code and numbers, no words of the moment and nobody's code. A learner's failure that says the same, in
numbers to three digits, was made by the same mistake, or by one that cannot be told from it.

What a trace is worth depends on what is in it. A *rich* one holds several numbers that were found, and no other bug would
hit them all: it names a mistake alone, so that who made two hears of each. A *poor* one holds shapes, words or a count,
which many bugs share: it names a mistake only where every test that the mistake is known to fail, and that ran, failed
just as it does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from grader.course import Course
from grader.kata import Kata
from grader.messages import Message, Value
from grader.scorecard import Cause, KataResult, TestResult, Verdict

FILE = "fingerprints.json"
MOST = 2  # mistakes that may be named for one test: of more, none is said
_CLOSE, _NOTHING = 1e-3, 1e-9  # relative and absolute room between two numbers of one fingerprint
_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+(?:\.\d+)?(?:e[-+]?\d+)?|inf|nan)(?![\w])")
_GIVEN = frozenset(["allowed", "expected", "bar"])  # arguments that the suite knows before it calls anything
_DIGITS = 3  # that a number must have to be a trace: anything may be 0, 1 or 0.5


class Known(msgspec.Struct, frozen=True):
    """A mistake: what its learner is told, and what each test that fails on it says."""

    id: str
    says: str
    says_zh: str
    tests: dict[str, Message]


class Fingerprints(msgspec.Struct, frozen=True):
    """The mistakes of one kata."""

    mistakes: tuple[Known, ...] = ()


def agree(one: Value, other: Value) -> bool:
    """Whether both say the same, and the same numbers but for rounding."""
    if isinstance(one, Message) and isinstance(other, Message):
        return one.code == other.code and agree(one.args, other.args)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(agree(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(agree, one, other))
    if isinstance(one, str) and isinstance(other, str):
        return _same_words(one, other)
    if isinstance(one, float) and isinstance(other, float):
        return _near(one, other)
    return type(one) is type(other) and bool(one == other)


def rich(trace: Message) -> bool:
    """Whether a trace holds at least two numbers that were found and that no other bug would hit."""
    found = [value for name, value in trace.args.items() if name not in _GIVEN and isinstance(value, float)]
    return sum(map(_telling, found)) >= 2 and _telling(trace.args.get("got"))


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
    ran = {test.name: test for test in result.tests if test.verdict is not Verdict.NOT_RUN}
    passed = {name for name, test in ran.items() if test.verdict is Verdict.PASS}
    possible = [mistake for mistake in known.mistakes if not passed & mistake.tests.keys()]
    if not possible:
        return result
    whole = [mistake for mistake in possible if _fits(mistake, ran)]
    return replace(result, tests=tuple(_diagnosed(test, possible, whole) for test in result.tests))


def _fits(mistake: Known, ran: Mapping[str, TestResult]) -> bool:
    """Whether every test that the mistake is known to fail, and that ran, failed just as it does."""
    return all(_is_trace(ran[name], print) for name, print in mistake.tests.items() if name in ran)


def _is_trace(test: TestResult, print: Message) -> bool:
    return test.verdict is Verdict.FAIL and test.said is not None and agree(test.said, print)


def _diagnosed(test: TestResult, possible: Sequence[Known], whole: Sequence[Known]) -> TestResult:
    if test.verdict is not Verdict.FAIL or test.said is None:
        return test
    candidates = possible if rich(test.said) else whole
    found = [each for each in candidates if (its := each.tests.get(test.name)) and _is_trace(test, its)]
    if not 0 < len(found) <= MOST:
        return test
    said = {
        "diagnosis": _one_of((each.says for each in found), "one of these: "),
        "diagnosis_zh": _one_of((each.says_zh for each in found), "下面之一："),
    }
    return replace(test, cause=replace(test.cause or Cause(), **said))


def _one_of(texts: Iterator[str], told: str) -> str:
    """One text, or several that are told apart."""
    found = list(texts)
    return (
        found[0] if len(found) == 1 else told + " ".join(f"({number}) {text}" for number, text in enumerate(found, 1))
    )


def _telling(value: Value) -> bool:
    """Whether it is a number with digits enough to be nobody else's."""
    return isinstance(value, float) and float(f"{value:.{_DIGITS - 2}e}") != value


def _near(one: float, other: float) -> bool:
    return (
        one == other
        or abs(one - other) <= _CLOSE * max(abs(one), abs(other)) + _NOTHING
        or (one != one and other != other)
    )


def _same_words(one: str, other: str) -> bool:
    if one == other:
        return True
    numbers = [[float(number) for number in _NUMBER.findall(text)] for text in (one, other)]
    return _NUMBER.sub("#", one) == _NUMBER.sub("#", other) and all(map(_near, *numbers))
