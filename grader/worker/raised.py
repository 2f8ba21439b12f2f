"""What the learner's code raised, as names and text that can cross: its types, its words, and the learner's own lines."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import NamedTuple

from grader.limits import MAX_MESSAGE_CHARACTERS
from grader.todo import is_the_stubs
from grader.wire import Unsendable, type_name

_MAX_LINES = 50
_MAX_CAUSES = 10


class Raised(NamedTuple):
    """An exception as the judge is told it."""

    type: str
    bases: list[str]  # its ancestors among Python's own exceptions
    text: str
    lines: list[tuple[int, str]]  # of the learner's file: number and function, the innermost last
    causes: list[str]  # the ancestors, among Python's own, of what it was raised from or in the handling of


def raised(error: BaseException, filename: str) -> Raised:
    """What there is to say of an exception that ended a call into the learner's file."""
    bases = _builtin_ancestors(error)
    if "NotImplementedError" in bases and not is_the_stubs(error.__traceback__, filename):
        bases.remove("NotImplementedError")  # so torch says that it has no kernel, or no `forward`: nothing is to do
    if isinstance(error, SyntaxError) and error.filename == filename:
        text, lines = error.msg or "invalid syntax", [(error.lineno or 0, "")]
    else:
        text, lines = _text(error), _lines(error, filename)
    causes = [name for cause in _causes(error) for name in _builtin_ancestors(cause)]
    return Raised(type_name(error), bases, text[:MAX_MESSAGE_CHARACTERS], lines, list(dict.fromkeys(causes)))


def _builtin_ancestors(error: BaseException) -> list[str]:
    return [base.__name__ for base in type(error).__mro__ if base.__module__ == "builtins"]


def _text(error: BaseException) -> str:
    try:
        if type(error) is Unsendable:
            return f"nothing that can be sent: it returned {error}"
        if isinstance(error, BaseExceptionGroup):
            inner = "; ".join(f"{type_name(one)}: {_text(one)}" for one in error.exceptions[:_MAX_CAUSES])
            return f"{error.message}: {inner}"
        return str(error)
    except BaseException:
        return "(its text cannot be read)"


def _lines(error: BaseException, filename: str) -> list[tuple[int, str]]:
    """The learner's lines that led there; of a group those of the first of its exceptions that has any."""
    if isinstance(error, BaseExceptionGroup):
        found = next((lines for one in error.exceptions if (lines := _lines(one, filename))), None)
        if found:
            return found
    return list(deque(_walk(error.__traceback__, filename), _MAX_LINES))


def _walk(traceback: TracebackType | None, filename: str) -> Iterator[tuple[int, str]]:
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if code.co_filename == filename:
            yield traceback.tb_lineno, code.co_name
        traceback = traceback.tb_next


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause, met = error.__cause__ or error.__context__, 0
    while cause is not None and met < _MAX_CAUSES:
        yield cause
        cause, met = cause.__cause__ or cause.__context__, met + 1
