"""Which lines of a package are run: a byte for each in a file that all processes share, forked, spawned and jailed ones too."""

from __future__ import annotations

import mmap
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Lines:
    """Marks the lines of every `.py` file of `package` that a process runs after `watch` in `file`, made if it is not there."""

    def __init__(self, package: Path, file: Path) -> None:
        self._at: dict[str, tuple[str, int]] = {}
        size = 0
        for path in sorted(package.rglob("*.py")):
            self._at[str(path)] = (path.relative_to(package).as_posix(), size)
            size += path.read_bytes().count(b"\n") + 2
        if not file.exists():
            file.write_bytes(bytes(size))
        with file.open("r+b") as opened:
            self._marks = mmap.mmap(opened.fileno(), size)
        self._size = size
        self._tracers = {name: self._tracer(at) for name, (_, at) in self._at.items()}

    def watch(self) -> None:
        """From now on, in this process and all that it forks."""
        threading.settrace(self._called)
        sys.settrace(self._called)

    def taken(self) -> dict[str, list[int]]:
        """The marked lines of each file, by its path in the package; then nothing is marked."""
        found = {}
        places = sorted((at, name) for name, at in self._at.values())
        for (at, name), (end, _) in zip(places, [*places[1:], (self._size, "")], strict=True):
            lines = [number for number, mark in enumerate(self._marks[at:end]) if mark]
            if lines:
                found[name] = lines
        self._marks[:] = bytes(self._size)
        return found

    def _called(self, frame: Any, event: str, argument: Any) -> Any:
        return self._tracers.get(frame.f_code.co_filename)

    def _tracer(self, at: int) -> Callable[[Any, str, Any], Any]:
        marks = self._marks

        def trace(frame: Any, event: str, argument: Any) -> Any:
            if event == "line":
                marks[at + frame.f_lineno] = 1
            return trace

        return trace
