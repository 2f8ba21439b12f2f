"""What a run found, as frozen values that travel; their JSON is a contract with other programs."""

from __future__ import annotations

import math
import struct
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec.structs import force_setattr

from grader.messages import Message
from grader.messages.message import Rows, Wording
from grader.scorecard.visible import LINE, visible

FORMAT_VERSION: Final = 2

# Fields that may hold several lines, with the longest text kept, in characters. Every other string is one line.
LINES = {"message": 4_000, "expected": 1_000, "actual": 1_000, "help": 2_000, "output": 20_000, "text": 20_000}
LINES |= dict.fromkeys(["diagnosis", "diagnosis_zh"], 4_000)

Amount = Annotated[float, msgspec.Meta(ge=0)]
Count = Annotated[int, msgspec.Meta(ge=0)]


class Verdict(StrEnum):
    """How one test, or one kata, ended. Only PASS earns points."""

    PASS = "pass"
    FAIL = "fail"
    TODO = "todo"  # the stub is untouched there: NotImplementedError
    ERROR = "error"  # the learner's file does not import, or raises
    TIMEOUT = "timeout"
    CRASH = "crash"
    MEMORY = "memory"
    FORBIDDEN = "forbidden"
    INTERNAL = "internal"  # our own fault, never the learner's
    NOT_RUN = "not_run"  # there was no time left for it: neither right nor wrong


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A frozen value whose strings are visible and whose numbers are finite: NaN and infinity become None."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            before = getattr(self, name)
            after = _clean(before, LINES.get(name, LINE), name in LINES)
            if after is not before:
                force_setattr(self, name, after)


def _clean(value: Any, limit: int, lines: bool) -> Any:
    if type(value) is str:
        return visible(value, limit, lines=lines)
    if type(value) is float:
        return value if math.isfinite(value) else None
    if type(value) is tuple or type(value) is list:
        return tuple([_clean(each, limit, lines) for each in value])
    if type(value) is dict:
        return {visible(str(key)): _clean(each, limit, lines) for key, each in value.items()}
    if type(value) is Message:
        return Message(visible(value.code, LINES["message"], lines=True), _clean_args(value.args))
    return value


def _clean_args(args: dict[str, Any]) -> dict[str, Any]:
    def clean(value: Any) -> Any:
        return [*map(clean, value)] if isinstance(value, list) else _clean(value, LINES["message"], True)

    return {visible(name): clean(value) for name, value in args.items()}


class Cause(Record, frozen=True):
    """Why a test failed, in short strings for the learner: never an array."""

    expected: str = ""
    actual: str = ""
    where: str = ""
    help: str = ""
    diagnosis: str = ""  # the known mistake that fails in just this way
    diagnosis_zh: str = ""


def cause_of(said: Message | None, advice: Message | None, wording: Wording) -> Cause | None:
    """The rows under a message, in some language; None where there are none."""
    rows = wording.rows(said) if said else Rows()
    cause = Cause(rows.expected, rows.got, rows.where, wording.say(advice) if advice else "")
    return cause if cause != Cause() else None


class Line(Record, frozen=True):
    """A line of the learner's own file."""

    number: Annotated[int, msgspec.Meta(ge=1)]
    source: str = ""


class Observation(Record, frozen=True):
    """How close one comparison came, for authors; None stands for a number that was not finite."""

    check: str
    name: str
    error: float | None
    tolerance: float | None
    margin: float | None = None


class Numbers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Numbers of this shape as bytes: little-endian float32, the last axis fastest; NaN where one was not finite."""

    shape: tuple[Count, ...]
    data: bytes

    def __post_init__(self) -> None:
        if len(self.data) != 4 * math.prod(self.shape):
            raise ValueError("as many bytes as the shape asks for")

    def floats(self) -> tuple[float | None, ...]:
        """All of them in one row; None for what was not finite."""
        found = struct.unpack(f"<{len(self.data) // 4}f", self.data)
        return tuple(each if math.isfinite(each) else None for each in found)


class Shades(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Grey values of this shape, a byte each: from 0, which stands for `low`, to 254, for `high`; 255 was not finite."""

    shape: tuple[Count, ...]
    data: bytes
    low: float
    high: float

    def __post_init__(self) -> None:
        if len(self.data) != math.prod(self.shape):
            raise ValueError("as many bytes as the shape asks for")


class Curve(Record, frozen=True, tag="curve"):
    """A value per step (T,), such as a loss, beside the baseline that it has to beat.

    ablation: the same of a twin that lacks what the task needs, over as many steps or fewer.
    """

    name: str
    values: Numbers
    baseline: float | None = None
    ablation: Numbers | None = None


class Image(Record, frozen=True, tag="image"):
    """Grey values (H, W)."""

    name: str
    pixels: Shades


class Images(Record, frozen=True, tag="images"):
    """Grey values (N, H, W), to be shown so many in a row; 0 leaves that to the report."""

    name: str
    pixels: Shades
    columns: Count = 0


class Matrix(Record, frozen=True, tag="matrix"):
    """Labelled numbers (R, C), such as a confusion matrix or an attention map."""

    name: str
    values: Numbers
    labels: tuple[str, ...] = ()


class Text(Record, frozen=True, tag="text"):
    """Text that the learner's model wrote."""

    name: str
    text: str


Picture = Curve | Image | Images | Matrix | Text


class Trace(msgspec.Struct, frozen=True):
    """What the learner's functions returned in one test, as `grader.judge.trace` sums it up."""

    form: str  # a digest of kinds, shapes, words and whole numbers
    count: int  # of floats
    numbers: tuple[float, ...]  # of these


class TestResult(Record, frozen=True, kw_only=True):
    """One test: how it ended, what it earned, and what the learner is told."""

    __test__ = False  # pytest collects classes by the name

    name: str
    kind: str
    title: str
    verdict: Verdict
    hidden: bool = False  # it stands beside the reference, and a learner's repository has it not
    recorded: bool = False  # its inputs are those of the recorded reference, whatever the run's seed
    points: Amount = 0.0
    max: Amount = 0.0
    seconds: Amount = 0.0
    message: str = ""
    cause: Cause | None = None
    said: Message | None = None  # what message and cause are worded from
    advice: Message | None = None  # and the row `look at`
    trace: Trace | None = None  # of a test that fails, for diagnosis
    step: Count = 0  # of the kata's entry points, in their order from 1, the last that the test reached; 0 if none
    line: Line | None = None
    output: str = ""
    output_dropped: Count = 0  # bytes printed beyond what was kept
    peak_memory_mb: Amount | None = None
    pictures: tuple[Picture, ...] = ()
    observations: tuple[Observation, ...] = ()


class KindScore(Record, frozen=True, kw_only=True):
    """The tests of one kind, together."""

    points: Amount
    max: Amount
    passed: Count
    total: Count


class KataResult(Record, frozen=True, kw_only=True):
    """One kata: its tests in the suite's order, and what they add up to."""

    id: str
    title: str
    verdict: Verdict
    points: Amount
    max: Amount
    by_kind: dict[str, KindScore]
    seconds: Amount
    from_store: bool
    tests: tuple[TestResult, ...]
    message: str = ""
    said: tuple[Message, ...] = ()  # what message is worded from, a line each
    stub: str = ""  # the learner's file, as it is shown
    readme: str = ""  # the statement, as it is shown
    sha256: str = ""  # of the learner's file

    @property
    def chosen(self) -> tuple[TestResult, ...]:
        """The tests that were asked for: all of them, unless some were chosen by their names."""
        return tuple(test for test in self.tests if test.said is None or test.said.code != "not_run.unchosen")


class Score(Record, frozen=True):
    """Points earned of points that there are."""

    points: Amount
    max: Amount


class Scorecard(Record, frozen=True, kw_only=True):
    """One run over the katas that were asked for."""

    format_version: Literal[2] = FORMAT_VERSION
    course: str
    grader: str
    versions: dict[str, str]
    seed: int | None  # None where it is a secret
    seed_sha256: str = ""  # of a secret seed's digits: who has the seed can tell that it was this one
    sandbox: str
    jobs: Annotated[int, msgspec.Meta(ge=1)]
    started: str  # ISO 8601, UTC
    seconds: Amount
    score: Score  # counts what was asked for and not judged, too
    complete: bool
    katas: tuple[KataResult, ...]
    unfinished: tuple[
        str, ...
    ] = ()  # ids that were asked for and not judged to their end; what was decided is in katas

    @property
    def unbegun(self) -> tuple[str, ...]:
        """The unfinished ones of which nothing is known."""
        known = {kata.id for kata in self.katas}
        return tuple(id for id in self.unfinished if id not in known)
