"""One thing that a rule found wrong in a kata, with the line to go to."""

from __future__ import annotations

from pathlib import Path

import msgspec

from grader.errors import Fault


class Finding(msgspec.Struct, frozen=True):
    """`reference/04_lstm/mistakes.toml:12: "sigmoid-candidate": the text to find occurs 2 times (caught)`."""

    rule: str
    file: str  # from the root of the course
    line: int | None
    message: str

    @property
    def where(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


def read_text(rule: str, path: Path, file: str) -> str | Finding:
    """The text of the file at `path`, or why there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        return Finding(rule, file, error.object.count(b"\n", 0, error.start) + 1, "is not UTF-8 text")
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        return Finding(rule, file, None, "is missing" if missing else f"cannot be read: {error.strerror}")


def of_fault(rule: str, fault: Fault) -> Finding:
    """What another part of the grader found, as a finding; a line that stands in the file's name is taken out of it."""
    file, _, line = fault.file.rpartition(":")
    message = str(fault).removeprefix(fault.file).removeprefix(": ")
    return Finding(rule, file, int(line), message) if line.isdigit() else Finding(rule, fault.file, None, message)
