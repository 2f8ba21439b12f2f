"""A file is written in one step: a reader finds what stood there before, or all of what is new."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def in_place_of(path: Path, mode: int = 0o666) -> Iterator[Path]:
    """A new file beside `path`, which takes its place where the block ends well, and is gone where it does not.

    A link is replaced, and never followed to its file. Raises OSError.
    """
    path = path.parent.resolve() / path.name
    beside = path.with_name(f".{path.name[:200]}.{os.getpid()}.tmp")
    beside.unlink(missing_ok=True)
    os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
    try:
        yield beside
        os.replace(beside, path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise


def write(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Put these bytes there, likewise."""
    with in_place_of(path, mode) as beside:
        beside.write_bytes(content)
