"""One run at a time on one output: a lock that ends with whoever holds it, however that ends."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from grader.errors import UsageFault
from grader.machine import words
from grader.messages import Message, text

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextmanager
def alone(path: Path, wait: bool, tell: Callable[[Message], None]) -> Iterator[None]:
    """Within the block nobody else is in one on `path`. Raises UsageFault where somebody is, unless it is to `wait`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise UsageFault(
            text("{file} cannot be written: {reason}", file=str(path), reason=words(error)),
            text("name a folder that can be written, with --out"),
        ) from None
    with open(descriptor, "r+", encoding="utf-8", errors="replace") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                held = text("another run is at work on {folder}: {who}", folder=str(path.parent), who=file.read(200))
                if not wait:
                    raise UsageFault(
                        held, text("wait for its end, or with --wait let this one wait; or name another --out")
                    ) from None
                tell(text("{problem}; waiting for its end", problem=held))
                fcntl.flock(file, fcntl.LOCK_EX)
        with suppress(OSError):  # a full disk keeps nobody's name
            file.seek(0)
            file.truncate()
            file.write(f"{socket.gethostname()}, {os.getpid()}")
            file.flush()
        yield
