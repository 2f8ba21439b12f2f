"""Which files of a course have another content than before: a thread that is woken by events, and decides by content.

Events come from the system, by watchfiles. Once a second all files are looked at without one; where that finds what no
event tells of, as on a disk of another machine, events are given up, and the files are looked at many times a second.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Set
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

_LOOK_MS = 1000  # between two looks where no event comes
_STEP_MS, _MOST_MS = 10, 50  # a burst of events is over when so long none comes, or is cut there
_POLL_SECONDS = 0.15
_BACK_SECONDS = 0.06  # in which a file comes back that an editor has moved away or emptied, to write it anew
_LARGEST = 1 << 20  # bytes of a file that are looked into
_KINDS = (".py", ".toml", ".po", ".md", ".json", ".stub")
_FOLDERS = ("katas", "reference")

Stamp = tuple[int, int, int]
Events = Callable[..., Iterator[Set[tuple[Any, str]]]]  # as `watchfiles.watch`


class Files:
    """The files of a course, and what was in them at the last look."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._seen: dict[Path, tuple[Stamp, str]] = {}
        self.look()

    def look(self, named: Iterable[Path] = ()) -> frozenset[Path]:
        """The files that are new, gone, or of another content since the last look. `named` are read whatever the system
        says of their times."""
        before, self._seen = self._seen, {}
        doubtful = set(named)
        for path, stamp in self._present():
            known = before.get(path)
            if known is not None and known[0] == stamp and path not in doubtful:
                self._seen[path] = known
            else:
                with suppress(OSError):  # gone a moment ago
                    self._seen[path] = stamp, _digest(path, stamp)
        paths = before.keys() | self._seen.keys()
        return frozenset(path for path in paths if _content(before, path) != _content(self._seen, path))

    def hollow(self, paths: Iterable[Path]) -> bool:
        """Whether any of these is gone or empty, as while an editor replaces it."""
        return any(path not in self._seen or not self._seen[path][0][1] for path in paths)

    def _present(self) -> Iterator[tuple[Path, Stamp]]:
        for folder in (kata for name in _FOLDERS for kata in _entries(self._root / name)):
            if folder.is_dir():
                for entry in _entries(folder):
                    if entry.name.endswith(_KINDS) and not entry.name.startswith("."):
                        with suppress(OSError):
                            found = entry.stat(follow_symlinks=False)
                            yield Path(entry.path), (found.st_mtime_ns, found.st_size, found.st_ino)


class Changes:
    """The thread. `changed` is told the files, and `polling` once where events do not arrive; both in that thread."""

    def __init__(
        self,
        root: Path,
        changed: Callable[[frozenset[Path]], None],
        polling: Callable[[], None],
        events: Events | None = None,
    ) -> None:
        self._root = root
        self._changed, self._polling = changed, polling
        self._events = events
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._files = Files(root)
        self._thread = threading.Thread(target=self._run, name="changes", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and wait for that."""
        self._end.set()
        if self._thread.ident is not None:
            self._thread.join()

    def look(self, named: Iterable[Path] = ()) -> bool:
        """Look now, and tell what is found. From any thread. Returns whether anything was."""
        with self._lock:
            found = self._files.look(named)
            if found and self._files.hollow(found):
                self._end.wait(_BACK_SECONDS)
                found |= self._files.look(found)
            if found:
                self._changed(found)
        return bool(found)

    def _run(self) -> None:
        with suppress(OSError, RuntimeError):  # no more files can be watched, or the folder is gone
            self._follow()
        if not self._end.is_set():
            self._polling()
        while not self._end.wait(_POLL_SECONDS):
            self.look()

    def _follow(self) -> None:
        """Wait for events, until they turn out not to come."""
        unannounced = False
        for batch in self._batches():
            found = self.look(Path(name) for _, name in batch)
            if batch:
                unannounced = False
            elif unannounced:  # nor did the event come late
                return
            elif found:
                unannounced = True

    def _batches(self) -> Iterator[Set[tuple[Any, str]]]:
        """What the system tells of, and nothing every now and then."""
        if self._events is None:
            from watchfiles import watch

            self._events = watch
        folders = [self._root / name for name in _FOLDERS if (self._root / name).is_dir()]
        yield from self._events(
            *folders,
            watch_filter=None,
            debounce=_MOST_MS,
            step=_STEP_MS,
            rust_timeout=_LOOK_MS,
            yield_on_timeout=True,
            stop_event=self._end,
            raise_interrupt=False,
        )


class Pulse:
    """Tells after the fact that this process was stopped, or the machine asleep: a clock went further than it should."""

    MOST = 5.0  # seconds between two beats

    def __init__(self, monotonic: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time) -> None:
        self._clocks = monotonic, wall  # the first stands still while a machine sleeps, the second is set by people
        self._last = self._now()

    def beat(self) -> bool:
        """Whether too much has passed since the last beat."""
        before, self._last = self._last, self._now()
        return any(now - then > self.MOST for then, now in zip(before, self._last, strict=True))

    def _now(self) -> tuple[float, ...]:
        return tuple(clock() for clock in self._clocks)


def _entries(folder: Path | os.DirEntry[str]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


def _digest(path: Path, stamp: Stamp) -> str:
    """Of what is in a file, or of its stamp, where that is no small regular file."""
    if path.is_symlink() or not path.is_file() or stamp[1] > _LARGEST:
        return repr(stamp)
    return sha256(path.read_bytes()).hexdigest()


def _content(seen: dict[Path, tuple[Stamp, str]], path: Path) -> str | None:
    return seen[path][1] if path in seen else None
