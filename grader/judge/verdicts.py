"""From how a test ended to its verdict, in the learner's words. Only here is a pass given."""

from __future__ import annotations

import re
from pathlib import PurePath
from types import TracebackType
from typing import Any, NamedTuple

from grader.checks.failure import AuthorFault, CheckFailure, NotFinite
from grader.errors import GradeError
from grader.judge.alarm import Interrupted
from grader.judge.bridge import Bridge
from grader.judge.explain import help_with
from grader.judge.gone import LearnerError, WorkerGone
from grader.messages import Message, Value, message, text
from grader.messages.message import ENGLISH
from grader.scorecard import Cause, Verdict, cause_of
from grader.todo import is_the_stubs

_NO_MEMORY = re.compile(
    r"can't allocate memory|cannot allocate memory|std::bad_alloc|Unable to allocate", re.IGNORECASE
)
_LACKING = re.compile(r"module '([\w.]+)' has no attribute '(\w+)'")
_MOST_LINES = 8  # of an exception's text: torch names the keys that do not fit in lines of their own


class Ending(NamedTuple):
    """How a test ended."""

    verdict: Verdict
    said: Message | None = None
    advice: Message | None = None
    line: int | None = None

    @property
    def message(self) -> str:
        """In English."""
        return "" if self.said is None else str(self.said)

    @property
    def cause(self) -> Cause | None:
        """The rows under the message, in English."""
        return cause_of(self.said, self.advice, ENGLISH)


class StubProblem(Exception):
    """There is no solution to try: the learner's file could not be imported, or no time is left. The test ends so."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.message)
        self.ending = ending


def ending(error: BaseException | None, bridge: Bridge | None) -> Ending:
    """The verdict of one test.

    Nothing that the suite caught can hide what the bridge saw: a worker that went, a forbidden operator or a part
    that is still to do is never a pass.
    """
    if isinstance(error, StubProblem):
        return error.ending
    if bridge is None:
        return _without_worker(error)
    if bridge.gone is not None:
        return Ending(bridge.gone.verdict, bridge.gone.said, None, bridge.gone.line)
    if bridge.forbidden:
        return Ending(Verdict.FORBIDDEN, message("forbidden.used", what=bridge.forbidden), None, bridge.line)
    if bridge.todo is not None:
        return Ending(Verdict.TODO, _todo(bridge.todo[0]), None, bridge.todo[1])
    if error is None:
        return Ending(Verdict.PASS)
    if isinstance(error, LearnerError):
        return raised(error, bridge)
    if isinstance(error, CheckFailure):
        return Ending(Verdict.FAIL, error.said, error.advice)
    if isinstance(error, NotFinite):
        return Ending(Verdict.FAIL, message("test.cannot_go_on", error=_described(error)))
    return _without_worker(error, bridge.nothing)


def plain_ending(error: BaseException | None, filename: str, nothing: str = "") -> Ending:
    """The verdict of one test where the learner's module was imported in this process.

    nothing: what the last call was of, where it returned None.
    """
    if error is None:
        return Ending(Verdict.PASS)
    if isinstance(error, StubProblem):
        return error.ending
    if isinstance(error, Interrupted):
        return Ending(error.verdict, message("overdue.running", limit=error.after))
    if isinstance(error, NotImplementedError) and is_the_stubs(error.__traceback__, filename):
        return Ending(Verdict.TODO, _todo(str(error)))
    if isinstance(error, CheckFailure):
        return Ending(Verdict.FAIL, error.said, error.advice)
    if isinstance(error, NotFinite):
        return Ending(Verdict.FAIL, message("test.cannot_go_on", error=_described(error)))
    if _passed_through(error.__traceback__, filename):
        return Ending(Verdict.FAIL, message("raised", error=_described(error)))
    if (missing := _missing(error, filename)) is not None:
        return Ending(Verdict.FAIL, missing)
    return _without_worker(error, nothing)


def _passed_through(traceback: TracebackType | None, filename: str) -> bool:
    """Whether an exception came out of the learner's file."""
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == filename:
            return True
        traceback = traceback.tb_next
    return False


def raised(error: LearnerError, bridge: Bridge) -> Ending:
    """The verdict for an exception of the learner's."""
    if isinstance(error, MemoryError) or _NO_MEMORY.search(error.text):
        return Ending(Verdict.MEMORY, message("raised.out_of_memory", error=error.described), None, error.line)
    if error.type_name in ("SystemExit", "KeyboardInterrupt"):
        return Ending(Verdict.CRASH, message("raised.exit", error=error.described), None, error.line)
    missing = _missing(error, bridge.filename) if error.line is None else None
    said = missing or message("raised", error=_of_learner(error))
    return Ending(Verdict.FAIL, said, _help(error, bridge), error.line)


def _missing(error: BaseException, file: str) -> Message | None:
    """The function or class that a suite asks for and that the learner's file does not define, if that is all there is to it."""
    found, name = _LACKING.fullmatch(str(error)), PurePath(file).name
    return message("missing", file=name, name=found[2]) if found and f"{found[1]}.py" == name else None


def unimportable(error: LearnerError | WorkerGone, bridge: Bridge) -> Ending:
    """The verdict for every test of a kata whose stub does not import."""
    file = bridge.filename
    if isinstance(error, WorkerGone):
        return Ending(error.verdict, message("import.gone", file=file, how=error.said), None, error.line)
    if bridge.forbidden:
        return Ending(
            Verdict.FORBIDDEN,
            message("forbidden.import", what=[each.removeprefix("import ") for each in bridge.forbidden]),
            None,
            error.line,
        )
    if error.type_name == "SystemExit":
        said = message("import.exit", file=file)
    elif isinstance(error, SyntaxError):
        said = message("import.syntax", file=file, error=error.text)
    else:
        said = message("import.raised", file=file, error=error.described)
    verdict = raised(error, bridge).verdict
    verdict = Verdict.MEMORY if verdict is Verdict.MEMORY else Verdict.ERROR
    return Ending(verdict, said, _help(error, bridge), error.line)


def _without_worker(error: BaseException | None, nothing: str = "") -> Ending:
    """An exception of the suite's own: a plain assertion, a value that it could not use, or a fault of ours.

    nothing: what the last call was of, where it returned None.
    """
    if isinstance(error, AssertionError):
        claim = _asserted(error)
        return Ending(Verdict.FAIL, message("test.claim_of_none", claim=claim, function=nothing) if nothing else claim)
    if (
        error is None
        or isinstance(error, GradeError | AuthorFault | ImportError | NameError)
        or not isinstance(error, Exception)
    ):
        return Ending(Verdict.INTERNAL, message("suite.fault", error=_described(error)))
    if nothing and "None" in str(error):
        return Ending(Verdict.FAIL, message("test.none", function=nothing))
    return Ending(Verdict.FAIL, message("test.cannot_use", error=_described(error)))


def _of_learner(error: LearnerError) -> str:
    """Type and text, as at the end of a traceback."""
    words = _lines(error)
    return f"{error.type_name}: {words}" if words else error.type_name


def _help(error: LearnerError, bridge: Bridge) -> Message | None:
    return help_with(error, bridge.kata, bridge.line_of(error.line))


def _todo(words: str) -> Message | None:
    """What the stub's NotImplementedError says."""
    return message("to_do", text=Message(words)) if words else None


def _asserted(error: AssertionError) -> Message:
    """A claim of the suite's: its English is its name."""
    words = _lines(error)
    return Message(words) if words else message("test.does_not_hold")


def _lines(error: BaseException) -> str:
    """The lines of its text that say something."""
    lines = [line.rstrip() for line in str(error).strip().splitlines() if line.strip()]
    return "\n".join(lines[:_MOST_LINES])


def _described(error: Any) -> Value:
    if error is None:
        return message("suite.no_worker")
    if isinstance(error, GradeError):
        return text("{type}: {said}", type=type(error).__name__, said=error.said)
    return f"{type(error).__name__}: {_lines(error)}"
