"""What one judge said of one case: per test its verdict, and how close each of its comparisons came."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from zlib import compress, decompress

import msgspec

from grader.authoring.proving.case import Case
from grader.engine.judgement import Judgement
from grader.messages import Message, text
from grader.scorecard import Observation, TestResult, Trace, Verdict
from grader.store import STORABLE


@dataclass(frozen=True)
class Trial:
    """One case before one judge. `again` tells repetitions of the same trial apart."""

    case: Case
    seed: int | str = 0  # the digits of a secret one
    threads: int = 1
    local: bool = False  # as plain pytest runs it, the file imported beside the suite
    only: tuple[str, ...] = ()  # names of tests, in the order in which they run; none means all
    again: int = 0
    seconds: float = 0.0  # per test; 0 means the kata's own limit
    stop: bool = False  # at the first test that does not pass


class Comparison(msgspec.Struct, frozen=True, array_like=True):
    """All observations of one test that share check, name and tolerance.

    ratio: the largest error / tolerance, infinite where an exact comparison failed; margin: the smallest.
    """

    check: str
    name: str
    tolerance: float
    ratio: float
    margin: float | None = None


class Ran(msgspec.Struct, frozen=True, array_like=True):
    """One test of a trial. `transcript` is a digest of all that the worker said, "" where there was none."""

    name: str
    verdict: Verdict
    seconds: float
    message: str
    line: int | None
    transcript: str
    comparisons: tuple[Comparison, ...]
    said: Message | None = None
    advice: Message | None = None
    trace: Trace | None = None

    @property
    def passed(self) -> bool:
        return self.verdict is Verdict.PASS

    @property
    def failed(self) -> bool:
        """Whether the test saw something wrong, for which it has to have run."""
        return self.verdict not in (Verdict.PASS, Verdict.NOT_RUN)


class Outcome(msgspec.Struct, frozen=True, array_like=True):
    """One trial, to its end. `faults` are the suite's or ours, never the case's."""

    tests: tuple[Ran, ...]
    faults: tuple[str, ...] = ()

    def __getitem__(self, test: str) -> Ran | None:
        return next((ran for ran in self.tests if ran.name == test), None)

    @property
    def failed(self) -> frozenset[str]:
        return frozenset(ran.name for ran in self.tests if ran.failed)

    @property
    def storable(self) -> bool:
        """Whether the same content would give it again; see `grader.store`."""
        return not self.faults and all(ran.verdict in STORABLE for ran in self.tests)


def outcome(judgement: Judgement) -> Outcome:
    """The outcome that a judge's words amount to."""
    faults = list(judgement.faults)
    if not judgement.done and not faults:
        faults.append(text("the judge did not come to its end"))
    return Outcome(
        tuple(_ran(test, judgement.transcripts.get(test.name, "")) for test in judgement.tests), tuple(map(str, faults))
    )


def pack(found: Outcome) -> bytes:
    return compress(msgspec.msgpack.encode(found), 1)


def unpack(content: bytes) -> Outcome:
    return msgspec.msgpack.decode(decompress(content), type=Outcome)


def _ran(test: TestResult, transcript: str) -> Ran:
    line = test.line.number if test.line else None
    seen = tuple(_comparisons(test.observations))
    seconds = round(test.seconds, 4)
    return Ran(
        test.name, test.verdict, seconds, test.message, line, transcript, seen, test.said, test.advice, test.trace
    )


def _comparisons(observations: Iterable[Observation]) -> list[Comparison]:
    found: dict[tuple[str, str, float], Comparison] = {}
    for seen in observations:
        key = seen.check, seen.name, seen.tolerance or 0.0
        new = Comparison(*key, _ratio(seen), seen.margin)
        old = found.get(key)
        found[key] = new if old is None else _worst(old, new)
    return list(found.values())


def _ratio(seen: Observation) -> float:
    """Error / tolerance; a gate on a margin has no tolerance, and its margin speaks for it."""
    if seen.error is None:
        return math.inf
    if seen.tolerance:
        return seen.error / seen.tolerance
    return 0.0 if seen.margin is not None or seen.error == 0 else math.inf


def _worst(one: Comparison, other: Comparison) -> Comparison:
    margins = [margin for margin in (one.margin, other.margin) if margin is not None]
    return Comparison(one.check, one.name, one.tolerance, max(one.ratio, other.ratio), min(margins, default=None))
