"""What earlier runs found, in `.grade/` of the course: a convenience that may be missing, never a reason to fail.

Stored are results that the same content gives again: those whose tests pass, fail, are to do, raise, or use what is
forbidden. A timeout, a crash or lack of memory may be the machine's doing, and a fault of ours is to be mended, so these
are judged anew each time.

The journal is SQLite's ordinary one. Write-ahead logging needs memory shared between processes, which network file
systems, where homes of schools often are, do not have.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from grader.scorecard import KataResult, Verdict

T = TypeVar("T")

STORABLE = {Verdict.PASS, Verdict.FAIL, Verdict.TODO, Verdict.ERROR, Verdict.FORBIDDEN}
KEPT_PER_KATA = 20  # results; the history of attempts is kept whole
BUSY_SECONDS = 3.0  # how long another `grade` is waited for
DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}  # the last: tables are not as expected

# Each entry takes the database one version up; `PRAGMA user_version` counts those that were applied.
MIGRATIONS = (
    """
    CREATE TABLE results (key TEXT PRIMARY KEY, kata TEXT NOT NULL, stored REAL NOT NULL, result BLOB NOT NULL,
                          digest TEXT NOT NULL);
    CREATE INDEX results_by_kata ON results (kata, stored);
    CREATE TABLE set_aside (key TEXT, stored REAL NOT NULL, result BLOB);
    CREATE TABLE attempts (id INTEGER PRIMARY KEY, kata TEXT NOT NULL, time REAL NOT NULL, verdict TEXT NOT NULL,
                           points REAL NOT NULL, max REAL NOT NULL, sha256 TEXT NOT NULL, seconds REAL NOT NULL);
    CREATE INDEX attempts_by_kata ON attempts (kata, id);
    CREATE TABLE manifests (digest TEXT PRIMARY KEY);
    """,
)


class Attempt(msgspec.Struct, frozen=True, array_like=True):
    """One judged run of a kata; `time` in seconds since 1970, `sha256` of the learner's file."""

    kata: str
    time: float
    verdict: str
    points: float
    max: float
    sha256: str
    seconds: float


def key(parts: Mapping[str, str | bytes]) -> str:
    """One digest of all that a result depends on: other parts, or the same split otherwise, give another."""
    digest = sha256()
    for name, part in sorted(parts.items()):
        for piece in (name, part):
            content = piece.encode("utf-8", "surrogatepass") if isinstance(piece, str) else piece
            digest.update(b"%d:" % len(content) + content)
    return digest.hexdigest()


def storable(result: KataResult) -> bool:
    """Whether judging the same content again would find the same."""
    return {result.verdict, *(test.verdict for test in result.tests)} <= STORABLE


class Store:
    """The results, attempts and manifests of one course, kept in `<root>/.grade/store.sqlite`.

    No method raises for what the disk does: at the first trouble `notice` is told once, and from then on nothing is
    found and nothing kept. A damaged file or row is set aside and begun anew. To be used from one thread.
    """

    def __init__(self, root: Path, notice: Callable[[str], None]) -> None:
        self.path = root / ".grade" / "store.sqlite"
        self._notice = notice
        self._off = False
        self._database: sqlite3.Connection | None = None
        self._opened: int | None = None  # the inode

    def get(self, key: str, kata: str) -> KataResult | None:
        """The kata's stored result under this key, marked as from the store."""
        return self._try(lambda: self._get(key, kata), None)

    def put(self, key: str, result: KataResult) -> None:
        """Record what was judged just now: as an attempt, and where the same would be found again, as a result."""
        if result.verdict is not Verdict.INTERNAL:
            self._try(lambda: self._put(key, result), None)

    def attempts(self, kata: str) -> list[Attempt]:
        """The history of a kata, oldest first."""
        query = f"SELECT {', '.join(Attempt.__struct_fields__)} FROM attempts WHERE kata = ? ORDER BY id"
        return self._try(lambda: msgspec.convert(self._sql(query, kata), list[Attempt]), [])

    def last_seconds(self) -> dict[str, float]:
        """How long each kata took the last time that it was judged."""
        query = "SELECT kata, seconds FROM attempts WHERE id IN (SELECT max(id) FROM attempts GROUP BY kata)"
        return self._try(lambda: dict(msgspec.convert(self._sql(query), list[tuple[str, float]])), {})

    def known_good(self, digest: str) -> bool:
        """Whether a manifest of this digest was found good before."""
        return self._try(lambda: bool(self._sql("SELECT 1 FROM manifests WHERE digest = ?", digest)), False)

    def on_good(self, digest: str) -> None:
        """Remember that a manifest of this digest is good."""
        self._try(lambda: self._sql("INSERT OR IGNORE INTO manifests VALUES (?)", digest), None)

    def close(self) -> None:
        """Let go of the file; the next call opens it again."""
        if self._database:
            with suppress(sqlite3.Error):
                self._database.close()
        self._database = None

    def _get(self, key: str, kata: str) -> KataResult | None:
        rows = self._sql("SELECT result, digest FROM results WHERE key = ?", key)
        if not rows:
            return None
        content, digest = rows[0]
        with suppress(msgspec.MsgspecError, TypeError):
            result = msgspec.json.decode(content, type=KataResult)
            if digest == _digest(key, content) and result.id == kata and storable(result):
                return replace(result, from_store=True)
        self._notice(f"the stored result of {kata} is damaged: it is set aside, and judged anew")
        with self._transaction():
            self._sql("INSERT INTO set_aside SELECT key, stored, result FROM results WHERE key = ?", key)
            self._sql("DELETE FROM results WHERE key = ?", key)
        return None

    def _put(self, key: str, result: KataResult) -> None:
        now, content = time.time(), msgspec.json.encode(result)
        attempt = (result.id, now, result.verdict, result.points, result.max, result.sha256, result.seconds)
        with self._transaction():
            columns = ", ".join(Attempt.__struct_fields__)
            self._sql(f"INSERT INTO attempts ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", *attempt)
            if storable(result):
                row = (key, result.id, now, content, _digest(key, content))
                self._sql("INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, ?)", *row)
                newest = "SELECT key FROM results WHERE kata = ? ORDER BY stored DESC LIMIT ?"
                drop = f"DELETE FROM results WHERE kata = ? AND key NOT IN ({newest})"
                self._sql(drop, result.id, result.id, KEPT_PER_KATA)

    def _sql(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        assert self._database
        return self._database.execute(statement, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._sql("BEGIN IMMEDIATE")
        try:
            yield
            self._sql("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._sql("ROLLBACK")
            raise

    def _open(self) -> None:
        self.path.parent.mkdir(exist_ok=True)
        ignore = self.path.parent / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
        self._database = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        self._database.text_factory = lambda raw: raw.decode("utf-8", "replace")
        if self._version() < len(MIGRATIONS):
            with self._transaction():
                for step in MIGRATIONS[self._version() :]:  # asked again: another `grade` may have been first
                    for statement in step.split(";"):
                        self._sql(statement)
                self._sql(f"PRAGMA user_version = {len(MIGRATIONS)}")
        if self._version() > len(MIGRATIONS):
            raise OSError("made by a newer grader")
        self._opened = self.path.stat().st_ino

    def _version(self) -> int:
        return msgspec.convert(self._sql("PRAGMA user_version")[0][0], int)

    def _try(self, operation: Callable[[], T], otherwise: T) -> T:
        """What the operation gives; a damaged file is set aside, and the operation tried once more on a new one."""
        for retry in (False, True):
            if self._off:
                break
            try:
                if self._database is None:
                    self._open()
                return operation()
            except (sqlite3.Error, OSError, msgspec.ValidationError) as error:
                self.close()
                if retry or not _damaged(error) or not self._set_aside():
                    self._off = True
                    self._notice(f"results are not kept in {self.path}: {error}")
        return otherwise

    def _set_aside(self) -> bool:
        """Move the file away, unless another `grade` has done so, with the journal that would be played into a new one."""
        bad = self.path.with_suffix(".bad.sqlite")
        try:
            if self._opened in (None, self.path.stat().st_ino):
                os.replace(self.path, bad)
                with suppress(FileNotFoundError):
                    os.replace(f"{self.path}-journal", f"{bad}-journal")
                self._notice(f"{self.path} is damaged: it is kept as {bad.name}, and begun anew")
        except OSError:
            return False
        return True


def _damaged(error: Exception) -> bool:
    """Whether it is the file's content that is at fault, and not the disk, a lock or a right."""
    return isinstance(error, msgspec.ValidationError) or getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGE


def _digest(key: str, content: object) -> str:
    return sha256(key.encode() + content).hexdigest() if isinstance(content, bytes) else ""
