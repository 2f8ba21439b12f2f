"""Standard output and standard error, which may be closed, full, or no longer read: said in a sentence and an exit code."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import Any, NoReturn

from grader.errors import GradeError
from grader.messages import text


class OutputFault(GradeError):
    """What was to be shown cannot be written."""

    exit_code = 2


class NobodyReads(OutputFault):
    """Whoever read the output has seen enough, as `head` has: no fault, and nothing more to say."""

    exit_code = 141  # as if SIGPIPE had ended the command


class Output(io.TextIOWrapper):
    """Standard output that raises OutputFault, whoever writes to it, and shows the number of a sign that it lacks."""

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError as error:
            _refused(error)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            _refused(error)


class Notes(io.TextIOWrapper):
    """Standard error, on which nothing depends: what cannot be written there is left out."""

    def write(self, text: str) -> int:
        with suppress(OSError):
            return super().write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


def take() -> None:
    """Put these in the places of Python's own.

    Where one of the three first descriptors is closed, no file and no socket of ours may be given its number.
    """
    for number, mode in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):  # the second so that writing is refused
        if not _is_open(number):
            null = os.open(os.devnull, mode)
            if null != number:
                os.dup2(null, number)
                os.close(null)
    sys.stdout = Output(**_parts(sys.stdout, 1))
    sys.stderr = Notes(**_parts(sys.stderr, 2))


def give_up() -> None:
    """Write nothing more: what is still held back goes nowhere."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _parts(stream: Any, number: int) -> dict[str, Any]:
    """What Python's own stream is made of; Python has none where its descriptor was closed."""
    if stream is None:
        return {"buffer": open(number, "wb", closefd=False), "encoding": "utf-8", "errors": "backslashreplace"}
    encoding, lines, through = stream.encoding, stream.line_buffering, stream.write_through
    return {
        "buffer": stream.detach(),
        "encoding": encoding,
        "errors": "backslashreplace",
        "line_buffering": lines,
        "write_through": through,  # as PYTHONUNBUFFERED asks for it
    }


def _refused(error: OSError) -> NoReturn:
    if isinstance(error, BrokenPipeError):
        raise NobodyReads(text("nobody reads the output")) from None
    raise OutputFault(text("standard output cannot be written: {reason}", reason=error.strerror)) from None
