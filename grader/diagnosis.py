"""Diagnosis: which known mistake a failing test is the trace of, so that a scorecard can name the bug.

The authors' mistakes were judged on the inputs of the usual seed, and what each test said of each of them is kept as a
*fingerprint*: a code and numbers, and a trace of the values that were returned; no words of the moment, and nobody's
code. A failure that says the same, of a file that returned the same, was made by the same mistake, or by one that cannot
be told from it in this test.

What a failure is worth depends on what is in it. A *rich* one holds numbers that were found, and no other bug would hit
them: it names a mistake alone, so that who made two hears of each, and so does who wrote the functions so that a slip in
one of them does not reach the others. A *poor* one holds shapes, words or a count, which many bugs share: it names a mistake
only where every test that the mistake is known to fail, and that ran, failed just as it does.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set

import msgspec
from msgspec.structs import replace

from grader.course import Course
from grader.kata import Kata
from grader.messages import Message, Value
from grader.scorecard import Cause, KataResult, TestResult, Trace, Verdict

FILE = "fingerprints.json"
MOST = 2  # mistakes that may be named for one test: of more, none is said
_CLOSE, _NOTHING = 1e-5, 1e-12  # relative and absolute room between two numbers that were found
_TRACE = 1e-4  # between the numbers of two traces, for each root of the count of floats
_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+(?:\.\d+)?(?:e[-+]?\d+)?|inf|nan)(?![\w])")
_GIVEN = frozenset(["allowed", "expected", "bar"])  # arguments that the suite knows before it calls anything
_ASIDE = frozenset(["found"])  # what else there is, which says nothing of what is wrong
_DIGITS = 3  # that a number must have to be a trace: anything may be 0, 1 or 0.5


class Print(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one test says of a mistake, and the trace of what the mistake returned in it."""

    said: Message
    trace: Trace | None = None


class Known(msgspec.Struct, frozen=True):
    """A mistake: what its learner is told, and what each test that fails on it says."""

    id: str
    says: str
    says_zh: str
    tests: dict[str, Print]


class Fingerprints(msgspec.Struct, frozen=True):
    """The mistakes of one kata."""

    mistakes: tuple[Known, ...] = ()


def agree(one: Print, other: Print) -> bool:
    """Whether a test said the same of both, and both returned the same in it, but for rounding."""
    return same(one.said, other.said) and same_trace(one.trace, other.trace)


def same(one: Value, other: Value) -> bool:
    """Whether both are the same, numbers as close as rounding, or the comparison that found them, leaves them."""
    if isinstance(one, Message) and isinstance(other, Message):
        if one.code != other.code or one.args.keys() != other.args.keys():
            return False
        room = _room(one)
        return all(_same(one.args[key], other.args[key], room.get(key, 0.0)) for key in one.args if key not in _ASIDE)
    return _same(one, other, 0.0)


def _same(one: Value, other: Value, room: float) -> bool:
    if isinstance(one, Message) and isinstance(other, Message):
        return same(one, other)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, str) and isinstance(other, str):
        return _same_words(one, other)
    if isinstance(one, float) and isinstance(other, float):
        return _near(one, other, room)
    return type(one) is type(other) and bool(one == other)


def _room(said: Message) -> dict[str, float]:
    """By how much numbers of a comparison may differ that allows what it allows: a right solution may, so may a wrong one."""
    allowed, relative, error = (said.args.get(name) for name in ("allowed", "relative", "error"))
    if not isinstance(allowed, float) or not isinstance(relative, float) or not relative:
        return {}
    sizes = [abs(size) for name in ("got", "expected") if isinstance(size := said.args.get(name), float)]
    scale = error / relative if isinstance(error, float) else max(sizes, default=0.0)
    return {"relative": allowed, "error": allowed * scale, "got": allowed * scale}


def same_trace(one: Trace | None, other: Trace | None, share: float = 1.0) -> bool:
    """Whether two files returned the same in a test, but for a share of the room that rounding is given."""
    if one is None or other is None:
        return one is other
    room = share * _TRACE * max(one.count, 1) ** 0.5
    return (one.form, one.count) == (other.form, other.count) and all(
        abs(a - b) <= room for a, b in zip(one.numbers, other.numbers, strict=True)
    )


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


def named(ended: Mapping[str, Print | None], passed: Set[str], known: Fingerprints) -> dict[str, list[Known]]:
    """The one or two mistakes that each test is the trace of, for those of which there are any.

    ended: the tests that did not pass, with None for what is no failure of a comparison; passed: those that did.
    """
    possible = [mistake for mistake in known.mistakes if not passed & mistake.tests.keys()]
    whole = [mistake for mistake in possible if _fits(mistake, ended)]
    found = {}
    for test, print in ended.items():
        if print is not None:
            ranks = (possible, known.mistakes) if rich(print.said) else (whole,)
            mistakes = next(filter(None, (_like(print, test, candidates) for candidates in ranks)), [])
            if 0 < len(mistakes) <= MOST:
                found[test] = mistakes
    return found


def _like(print: Print, test: str, candidates: Iterable[Known]) -> list[Known]:
    """Those of the mistakes that a test says the same of."""
    return [each for each in candidates if (its := each.tests.get(test)) and agree(print, its)]


def diagnosed(result: KataResult, known: Fingerprints) -> KataResult:
    """The result, in which every failing test that is the trace of one or two known mistakes says so."""
    ended = {test.name: _print(test) for test in result.tests if test.verdict not in (Verdict.PASS, Verdict.NOT_RUN)}
    passed = {test.name for test in result.tests if test.verdict is Verdict.PASS}
    found = named(ended, passed, known)
    return replace(result, tests=tuple(_told(test, found.get(test.name, ())) for test in result.tests))


def withheld(result: KataResult) -> tuple[KataResult, list[Cause]]:
    """The result without a word of the known mistakes, and what is kept back of them, a cause for each test that has one."""
    kept = [test.cause for test in result.tests if test.cause is not None and test.cause.diagnosis]
    tests = tuple(
        test if test.cause is None else replace(test, cause=replace(test.cause, diagnosis="", diagnosis_zh=""))
        for test in result.tests
    )
    return (replace(result, tests=tests) if kept else result), kept


def _fits(mistake: Known, ended: Mapping[str, Print | None]) -> bool:
    """Whether every test that the mistake is known to fail, and that ran, failed just as it does."""
    return all(
        (mine := ended[test]) is not None and agree(mine, its) for test, its in mistake.tests.items() if test in ended
    )


def _print(test: TestResult) -> Print | None:
    return Print(test.said, test.trace) if test.verdict is Verdict.FAIL and test.said is not None else None


def _told(test: TestResult, found: Sequence[Known]) -> TestResult:
    if not found:
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


def _near(one: float, other: float, room: float) -> bool:
    close = _CLOSE * max(abs(one), abs(other)) + _NOTHING + room
    return one == other or (abs(one) + abs(other) < math.inf and abs(one - other) <= close)


def _same_words(one: str, other: str) -> bool:
    if one == other:
        return True
    numbers = [[float(number) for number in _NUMBER.findall(text)] for text in (one, other)]
    return _NUMBER.sub("#", one) == _NUMBER.sub("#", other) and all(
        _near(a, b, 0.0) or (a != a and b != b) for a, b in zip(*numbers, strict=True)
    )
