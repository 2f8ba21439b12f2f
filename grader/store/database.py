"""An SQLite file that may be missing, locked, damaged or unwritable without anybody coming to harm.

The journal is SQLite's ordinary one. Write-ahead logging needs memory shared between processes, which network file
systems, where the homes of schools often are, do not have.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from grader.messages import Message, Value, text

T = TypeVar("T")

BUSY_SECONDS = 3.0  # how long another `grade` is waited for
DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}  # the last: tables are not as expected


class _Newer(OSError):
    """The file was made by a newer grader."""


def _reason(error: Exception) -> Value:
    return text("it was made by a newer grader") if isinstance(error, _Newer) else str(error)


class Database:
    """The file at `path`, opened at first use and brought to the version of the last migration.

    Each migration is SQL that takes the file one version up; `PRAGMA user_version` counts those that were applied.
    At trouble that no new file mends, `notice` is told once, and from then on nothing is found and nothing kept.
    To be used from one thread.
    """

    def __init__(self, path: Path, migrations: Sequence[str], notice: Callable[[Message], None]) -> None:
        self.path = path
        self.notice = notice
        self._migrations = migrations
        self._connection: sqlite3.Connection | None = None
        self._inode: int | None = None
        self._off = False

    def attempt(self, operation: Callable[[], T], otherwise: T) -> T:
        """What the operation gives; a damaged file is set aside, and the operation tried once more on a new one."""
        for retry in (False, True):
            if self._off:
                break
            try:
                if self._connection is None:
                    self._open()
                return operation()
            except (sqlite3.Error, OSError, UnicodeDecodeError, msgspec.ValidationError) as error:
                self.close()
                if retry or not self._mended(error):
                    self._off = True
                    self.notice(
                        text("results are not kept in {file}: {reason}", file=str(self.path), reason=_reason(error))
                    )
        return otherwise

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows that a statement gives; to be called within `attempt`."""
        assert self._connection
        return self._connection.execute(statement, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of the statements within, or none."""
        self.sql("BEGIN IMMEDIATE")
        try:
            yield
            self.sql("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self.sql("ROLLBACK")
            raise

    def close(self) -> None:
        """Let go of the file; the next call opens it again."""
        if self._connection:
            with suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None

    def _open(self) -> None:
        self.path.parent.mkdir(exist_ok=True)
        ignore = self.path.parent / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
        if not self.path.exists():
            self.path.touch()
        self._inode = self.path.stat().st_ino
        self._connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        self._connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        newest = len(self._migrations)
        if self._version() < newest:
            with self.transaction():
                for migration in self._migrations[self._version() :]:  # asked anew: another `grade` may have been first
                    for statement in migration.split(";"):
                        self.sql(statement)
                self.sql(f"PRAGMA user_version = {newest}")
        if self._version() > newest:
            raise _Newer

    def _version(self) -> int:
        return int(self.sql("PRAGMA user_version")[0][0])

    def _mended(self, error: Exception) -> bool:
        """Whether a new file may do better, because the content is at fault, and not the disk, a lock or a right."""
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK)
        if code == sqlite3.SQLITE_READONLY_DBMOVED:
            return True  # another `grade` has set the file aside
        if not isinstance(error, msgspec.ValidationError | UnicodeDecodeError) and code & 0xFF not in DAMAGE:
            return False
        try:
            self._set_aside()
        except OSError:
            return False
        return True

    def _set_aside(self) -> None:
        """Move the file away, unless another `grade` did, with its journal, which would be played into a new one."""
        if self._inode == self.path.stat().st_ino:
            bad = self.path.with_suffix(".bad.sqlite")
            os.replace(self.path, bad)
            with suppress(FileNotFoundError):
                os.replace(f"{self.path}-journal", f"{bad}-journal")
            kept = "{file} is damaged: it is kept as {name}, and begun anew"
            self.notice(text(kept, file=str(self.path), name=bad.name))
