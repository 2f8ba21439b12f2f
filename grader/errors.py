"""What can go wrong besides a wrong answer, and whose fault it is: the command turns each into an exit code."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from grader.messages import Message, Value, message, text


class GradeError(Exception):
    """Base of all that is told in a sentence and not in a traceback; `next_step` says what to do about it.

    Both are messages, or strings in nobody's language."""

    exit_code: ClassVar[int] = 3

    def __init__(self, said: Value, next_step: Value = "") -> None:
        super().__init__(str(said))
        self.said = said
        self.next_step = next_step

    @property
    def message(self) -> str:
        """In English."""
        return str(self.said)


class UsageFault(GradeError):
    """The command was asked for something that is not there."""

    exit_code = 2


class InternalFault(GradeError):
    """The grader itself is at fault, and says so."""

    exit_code = 3


@dataclass(frozen=True)
class Fault:
    """One thing wrong in a course: `katas/04_lstm/kata.toml: points.gradient must be >= 0, found -2`."""

    file: str
    key: str = ""
    wanted: Value = ""
    found: Value = ""
    help: Value = ""

    @property
    def said(self) -> Message:
        what = text("{key} {wanted}", key=self.key, wanted=self.wanted) if self.key else self.wanted
        said = text("{file}: {what}", file=self.file, what=what)
        said = text("{fault}, found {found}", fault=said, found=self.found) if self.found else said
        return text("{fault}; {help}", fault=said, help=self.help) if self.help else said

    def __str__(self) -> str:
        return str(self.said)


class CourseFault(GradeError):
    """The course is at fault, never the learner: every fault that was found, one a line."""

    exit_code = 2

    def __init__(self, faults: Iterable[Fault], next_step: Value = "") -> None:
        self.faults = tuple(faults)
        super().__init__(message("lines", lines=[fault.said for fault in self.faults]), next_step)


def did_you_mean(word: str, known: Iterable[str]) -> Value:
    """`did you mean lstm?`, or nothing when nothing is near."""
    from difflib import get_close_matches

    near = get_close_matches(word, list(known), n=1)
    return text("did you mean {word}?", word=near[0]) if near else ""
