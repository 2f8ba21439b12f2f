"""Whether the grader's own files are others than those that this process was started from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from grader.engine.key import PACKAGE, read_digest


class Upgrade:
    """A newer release that came in under a running process, told by its content once a file was touched."""

    def __init__(self, package: Path = PACKAGE) -> None:
        self._package = package
        self._stamps = dict(self._files())
        self._digest = read_digest(package)

    def came(self) -> bool:
        """Whether it is there. A file that cannot be read now is being replaced, and looked at the next time."""
        stamps = dict(self._files())
        if stamps == self._stamps:
            return False
        try:
            if read_digest(self._package) != self._digest:
                return True
        except OSError:
            return False
        self._stamps = stamps
        return False

    def _files(self) -> Iterator[tuple[str, tuple[int, int]]]:
        for folder, _, names in os.walk(self._package):
            for name in names:
                if name.endswith((".py", ".json")):
                    with suppress(OSError):
                        found = os.stat(os.path.join(folder, name))
                        yield os.path.join(folder, name), (found.st_mtime_ns, found.st_size)
