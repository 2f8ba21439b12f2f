"""What an author saves: the files that a proof depends on, and which of them are other than before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from grader import diagnosis
from grader.authoring.proving import strength
from grader.settings import FILE

_FOLDERS = ("katas", "reference")
_OWN = {strength.FILE, diagnosis.FILE}  # what `--record` writes
_LOOK_MS = 1000  # a change that the system does not tell of is seen by then

State = dict[str, tuple[int, int]]  # path from the root of the course -> time of change, ns; size, bytes


def state(root: Path) -> State:
    """How the files of the course at `root` stand now."""
    return {path.relative_to(root).as_posix(): _stat(path) for path in _files(root)}


def awaited(root: Path, before: State) -> set[str]:
    """The paths that differ from `before`, from the root of the course: at once if some do, else as soon as one is saved."""
    if changed := _changed(before, state(root)):
        return changed
    from watchfiles import watch

    watched = [path for path in (*(root / folder for folder in _FOLDERS), root / FILE) if path.exists()]
    for _ in watch(*watched, rust_timeout=_LOOK_MS, yield_on_timeout=True):
        if changed := _changed(before, state(root)):
            return changed
    return set()


def ids(changed: set[str]) -> set[str] | None:
    """The katas that the changed paths belong to; None where one concerns all of them."""
    parts = [path.split("/") for path in changed]
    return {part[1] for part in parts} if all(len(part) > 2 for part in parts) else None


def _changed(before: State, now: State) -> set[str]:
    return {path for path in before.keys() | now.keys() if before.get(path) != now.get(path)}


def _files(root: Path) -> Iterator[Path]:
    for folder in _FOLDERS:
        for path in (root / folder).rglob("*"):
            hidden = any(part.startswith((".", "__pycache__")) for part in path.relative_to(root).parts)
            if not hidden and path.name not in _OWN and path.is_file():
                yield path
    if (root / FILE).is_file():
        yield root / FILE


def _stat(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:  # it is gone since it was listed
        return 0, 0
    return found.st_mtime_ns, found.st_size
