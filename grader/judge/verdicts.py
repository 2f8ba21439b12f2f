"""From how a test ended to its verdict, in the learner's words. Only here is a pass given."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from grader.checks.failure import AuthorFault, CheckFailure, NotFinite
from grader.errors import GradeError
from grader.judge.alarm import Interrupted
from grader.judge.bridge import Bridge
from grader.judge.explain import help_with
from grader.judge.gone import LearnerError, WorkerGone
from grader.scorecard import Cause, Verdict
from grader.todo import is_the_stubs

_NO_MEMORY = re.compile(
    r"can't allocate memory|cannot allocate memory|std::bad_alloc|Unable to allocate", re.IGNORECASE
)
_MOST_LINES = 8  # of an exception's text: torch names the keys that do not fit in lines of their own


class Ending(NamedTuple):
    """How a test ended."""

    verdict: Verdict
    message: str = ""
    cause: Cause | None = None
    line: int | None = None


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
        return Ending(bridge.gone.verdict, bridge.gone.message, None, bridge.gone.line)
    if bridge.forbidden:
        what = ", ".join(bridge.forbidden)
        return Ending(
            Verdict.FORBIDDEN, f"your code uses {what}, which this kata is written without", None, bridge.line
        )
    if bridge.todo is not None:
        return Ending(Verdict.TODO, bridge.todo[0], None, bridge.todo[1])
    if error is None:
        return Ending(Verdict.PASS)
    if isinstance(error, LearnerError):
        return raised(error, bridge)
    if isinstance(error, CheckFailure):
        return Ending(Verdict.FAIL, error.message, _cause(error))
    if isinstance(error, NotFinite):
        return Ending(Verdict.FAIL, f"the test cannot go on with what your code returned: {_described(error)}")
    return _without_worker(error, bridge.nothing)


def plain_ending(error: BaseException | None, filename: str) -> Ending:
    """The verdict of one test where the learner's module was imported in this process."""
    if error is None:
        return Ending(Verdict.PASS)
    if isinstance(error, StubProblem):
        return error.ending
    if isinstance(error, Interrupted):
        return Ending(error.verdict, f"still running {error.after}")
    if isinstance(error, NotImplementedError) and is_the_stubs(error.__traceback__, filename):
        return Ending(Verdict.TODO, str(error))
    if isinstance(error, CheckFailure):
        return Ending(Verdict.FAIL, error.message, _cause(error))
    if isinstance(error, AssertionError):
        return Ending(Verdict.FAIL, _asserted(error))
    return Ending(Verdict.FAIL, _described(error))


def raised(error: LearnerError, bridge: Bridge) -> Ending:
    """The verdict for an exception of the learner's."""
    if isinstance(error, MemoryError) or _NO_MEMORY.search(error.text):
        return Ending(Verdict.MEMORY, f"out of memory: {error.described}", None, error.line)
    if error.type_name in ("SystemExit", "KeyboardInterrupt"):
        return Ending(Verdict.CRASH, f"your code ends the process ({error.described})", None, error.line)
    return Ending(Verdict.FAIL, f"your code raised {error.described}", _help(error, bridge), error.line)


def unimportable(error: LearnerError | WorkerGone, bridge: Bridge) -> Ending:
    """The verdict for every test of a kata whose stub does not import."""
    if isinstance(error, WorkerGone):
        message = f"{bridge.filename} was being imported: {error.message}"
        return Ending(error.verdict, message, None, error.line)
    if bridge.forbidden:
        return Ending(Verdict.FORBIDDEN, error.text or error.described, None, error.line)
    if error.type_name == "SystemExit":
        message = f"{bridge.filename} exited while it was being imported"
    elif isinstance(error, SyntaxError):
        message = f"{bridge.filename} is not Python yet: {error.text}"
    else:
        message = f"{bridge.filename} does not import: {error.described}"
    verdict = raised(error, bridge).verdict
    verdict = Verdict.MEMORY if verdict is Verdict.MEMORY else Verdict.ERROR
    return Ending(verdict, message, _help(error, bridge), error.line)


def _without_worker(error: BaseException | None, nothing: str = "") -> Ending:
    """An exception of the suite's own: a plain assertion, a value that it could not use, or a fault of ours.

    nothing: what the last call was of, where it returned None.
    """
    hint = f": {nothing} returned None, is a return missing?" if nothing else ""
    if isinstance(error, AssertionError):
        return Ending(Verdict.FAIL, _asserted(error) + hint)
    if (
        error is None
        or isinstance(error, GradeError | AuthorFault | ImportError | NameError)
        or not isinstance(error, Exception)
    ):
        return Ending(Verdict.INTERNAL, f"the suite is at fault: {_described(error)}")
    if nothing and "None" in str(error):
        return Ending(Verdict.FAIL, f"{nothing} returned None: is a return missing?")
    return Ending(Verdict.FAIL, f"the test cannot use what your code returned: {_described(error)}")


def _cause(error: CheckFailure) -> Cause:
    return Cause(expected=error.expected, actual=error.actual, where=error.where, help=error.help)


def _help(error: LearnerError, bridge: Bridge) -> Cause | None:
    help = help_with(error, bridge.kata, bridge.line_of(error.line))
    return Cause(help=help) if help else None


def _asserted(error: AssertionError) -> str:
    return _lines(error) or "this does not hold"


def _lines(error: BaseException) -> str:
    """The lines of its text that say something."""
    lines = [line.rstrip() for line in str(error).strip().splitlines() if line.strip()]
    return "\n".join(lines[:_MOST_LINES])


def _described(error: Any) -> str:
    return "it ended without a worker" if error is None else f"{type(error).__name__}: {_lines(error)}"
