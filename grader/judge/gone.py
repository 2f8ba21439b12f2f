"""How a call into the learner's code can end without a value."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

from grader.messages import Message
from grader.scorecard import Verdict

_WITH_ARGUMENTS = (UnicodeError, BaseExceptionGroup)


class LearnerError(Exception):
    """The learner's code raised. Where it raised a builtin exception, this is an instance of that too."""

    type_name: str
    text: str
    line: int | None
    causes: list[str]  # Python's own exceptions that it was raised from or in the handling of

    def __str__(self) -> str:
        return self.text

    @property
    def described(self) -> str:
        """Type and text, as at the end of a traceback."""
        return f"{self.type_name}: {self.text}" if self.text else self.type_name


class WorkerGone(Exception):
    """The learner's process ended, or was ended, before it answered."""

    def __init__(self, verdict: Verdict, said: Message, line: int | None = None) -> None:
        super().__init__(str(said))
        self.verdict = verdict
        self.said = said
        self.line = line

    @property
    def message(self) -> str:
        """In English."""
        return str(self.said)


class Lost(WorkerGone):
    """Something on the grader's side died: how the learner's code would have done is not known."""

    def __init__(self, said: Message) -> None:
        super().__init__(Verdict.INTERNAL, said)


def learner_error(
    type_name: str, bases: list[str], text: str, line: int | None, causes: Sequence[str] = ()
) -> LearnerError:
    """The exception to raise in the judge for one that was raised in the worker; `bases` are its builtin ancestors."""
    kind = next((found for name in bases if (found := _builtin(name)) is not None), None)
    cls: type[LearnerError] = LearnerError
    if kind is not None:
        cls = type("LearnerError", (LearnerError, kind), {})
    error = cls()
    error.type_name, error.text, error.line, error.causes = type_name, text, line, list(causes)
    return error


def _builtin(name: str) -> type[Exception] | None:
    """An exception class that suites may wait for; those that need special arguments count as their parents."""
    kind: Any = getattr(builtins, name, None)
    plain = isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, _WITH_ARGUMENTS)
    return kind if plain and kind is not Exception else None
