"""What earlier runs found, in `.grade/` of the course: a convenience that may be missing, never a reason to fail.

Stored are results that the same content gives again: those whose tests pass, fail, are to do, raise, or use what is
forbidden. A timeout, a crash or a lack of memory may be the machine's doing, and a fault of ours is to be mended, so
these are judged anew each time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from grader.messages import Message, text
from grader.scorecard import KataResult, Verdict
from grader.store.database import Database

STORABLE = {Verdict.PASS, Verdict.FAIL, Verdict.TODO, Verdict.ERROR, Verdict.FORBIDDEN}
KEPT_PER_KATA = 20  # results; the history of attempts is kept whole
NOTEBOOK = "notebook"  # the origin of what a learner typed into one
CHECKS_PER_KATA = 2000  # enough for `grade check --seeds 200`

MIGRATIONS = (
    """
    CREATE TABLE results (key TEXT PRIMARY KEY, kata TEXT NOT NULL, stored REAL NOT NULL, result BLOB NOT NULL,
                          digest TEXT NOT NULL);
    CREATE INDEX results_by_kata ON results (kata, stored);
    CREATE TABLE set_aside (key TEXT, stored REAL, result BLOB);
    CREATE TABLE attempts (id INTEGER PRIMARY KEY, kata TEXT NOT NULL, time REAL NOT NULL, verdict TEXT NOT NULL,
                           points REAL NOT NULL, max REAL NOT NULL, sha256 TEXT NOT NULL, seconds REAL NOT NULL);
    CREATE INDEX attempts_by_kata ON attempts (kata, id);
    CREATE TABLE manifests (digest TEXT PRIMARY KEY);
    """,
    """
    CREATE TABLE checks (key TEXT PRIMARY KEY, kata TEXT NOT NULL, stored REAL NOT NULL, result BLOB NOT NULL,
                         digest TEXT NOT NULL);
    CREATE INDEX checks_by_kata ON checks (kata, stored);
    """,
    """
    DROP TABLE results;
    CREATE TABLE results (key TEXT PRIMARY KEY, kata TEXT NOT NULL, stored REAL NOT NULL, result BLOB NOT NULL,
                          sandbox TEXT NOT NULL, digest TEXT NOT NULL);
    CREATE INDEX results_by_kata ON results (kata, stored);
    """,
    """
    ALTER TABLE attempts ADD COLUMN origin TEXT NOT NULL DEFAULT '';
    CREATE TABLE notes (kata TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (kata, name));
    """,
)


class Attempt(msgspec.Struct, frozen=True, array_like=True):
    """One judged run of a kata; `time` in seconds since 1970, `sha256` of the learner's file.

    origin: the folder from which the file was taken with `--from`; "" for the learner's own, `NOTEBOOK` for a cell
    """

    kata: str
    time: float
    verdict: Verdict
    points: float
    max: float
    sha256: str
    seconds: float
    origin: str = ""


class Note(msgspec.Struct, frozen=True, array_like=True):
    """Something that was noted of a kata."""

    kata: str
    name: str
    value: str


COLUMNS = ", ".join(Attempt.__struct_fields__)


def key(parts: Mapping[str, str | bytes]) -> str:
    """One digest of all that a result depends on: other parts, or the same bytes split otherwise, give another."""
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
    """The results, attempts and manifests of one course, in `<root>/.grade/store.sqlite`.

    No method raises for what the disk does; `notice` is told what is wrong, in a sentence. From one thread only.
    """

    def __init__(self, root: Path, notice: Callable[[Message], None]) -> None:
        self._database = Database(root / ".grade" / "store.sqlite", MIGRATIONS, notice)
        self._attempt, self._sql, self.close = self._database.attempt, self._database.sql, self._database.close

    def get(
        self, key: str, kata: str, accepts: Callable[[frozenset[str]], bool] = lambda layers: True
    ) -> KataResult | None:
        """The kata's stored result under this key, marked as from the store.

        `accepts` is asked whether the layers of the sandbox in which it was judged are enough.
        """
        return self._attempt(lambda: self._get(key, kata, accepts), None)

    def kept(self, kata: str) -> list[KataResult]:
        """The results that are kept of a kata, newest first, without those that are damaged or of an older form."""
        rows = self._rows("SELECT key, result, sandbox, digest FROM results WHERE kata = ? ORDER BY stored DESC", kata)
        read = (self._read(kata, *row) for row in rows)
        return [replace(result, from_store=True) for result in read if result is not None]

    def put(
        self, key: str, result: KataResult, layers: Iterable[str] = (), *, keep: bool = True, origin: str = ""
    ) -> None:
        """Keep what was judged just now, behind these layers: as an attempt, unless the fault is ours, and, with `keep`,
        as a result if it would recur."""
        if result.verdict is not Verdict.INTERNAL:
            keep = keep and storable(result)
            self._attempt(lambda: self._put(key, result, ",".join(sorted(layers)), keep, origin), None)

    def own(self, result: KataResult) -> None:
        """Count a stored result as an attempt of the learner's own, unless one on the same file ended so before: the file
        may have been judged elsewhere."""
        query = "SELECT 1 FROM attempts WHERE kata = ? AND sha256 = ? AND verdict = ? AND origin = ''"
        if not self._rows(query, result.id, result.sha256, result.verdict):
            self._rows(
                f"INSERT INTO attempts ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *_of(result, time.time(), "")
            )

    def attempts(self, kata: str) -> list[Attempt]:
        """The history of a kata, oldest first."""
        query = f"SELECT {COLUMNS} FROM attempts WHERE kata = ? ORDER BY id"
        return self._attempt(lambda: msgspec.convert(self._sql(query, kata), list[Attempt]), [])

    def last_seconds(self) -> dict[str, float]:
        """How long each kata took the last time that it was judged."""
        query = "SELECT kata, seconds FROM attempts WHERE id IN (SELECT max(id) FROM attempts GROUP BY kata)"
        return self._attempt(lambda: dict(msgspec.convert(self._sql(query), list[tuple[str, float]])), {})

    def note(self, kata: str, name: str) -> str:
        """What was noted of a kata under this name; "" where nothing was."""
        rows = self._rows("SELECT value FROM notes WHERE kata = ? AND name = ?", kata, name)
        return str(rows[0][0]) if rows else ""

    def noted(self, name: str) -> dict[str, str]:
        """What was noted under this name, by kata."""
        return dict(self._rows("SELECT kata, value FROM notes WHERE name = ?", name))

    def put_note(self, kata: str, name: str, value: str) -> None:
        """Note something of a kata, such as how many of its hints were given."""
        self._rows("INSERT OR REPLACE INTO notes VALUES (?, ?, ?)", kata, name, value)

    def all_attempts(self) -> list[Attempt]:
        """The history of all katas, oldest first."""
        query = f"SELECT {COLUMNS} FROM attempts ORDER BY time, id"
        return self._attempt(lambda: msgspec.convert(self._sql(query), list[Attempt]), [])

    def all_notes(self) -> list[Note]:
        """All that was noted."""
        query = "SELECT kata, name, value FROM notes ORDER BY kata, name"
        return self._attempt(lambda: msgspec.convert(self._sql(query), list[Note]), [])

    def merge(self, attempts: Iterable[Attempt], notes: Iterable[Note]) -> int:
        """Add what another store has; returns how many attempts were new. Of two notes the greater stays: more hints."""
        return self._attempt(lambda: self._merge(attempts, notes), 0)

    def known_good(self, digest: str) -> bool:
        """Whether a manifest of this digest was found good before."""
        return bool(self._rows("SELECT 1 FROM manifests WHERE digest = ?", digest))

    def on_good(self, digest: str) -> None:
        """Remember that a manifest of this digest is good."""
        self._rows("INSERT OR IGNORE INTO manifests VALUES (?)", digest)

    def known_check(self, key: str) -> bytes | None:
        """What an author's check found under this key; what is damaged counts as unknown."""
        rows = self._rows("SELECT result, digest FROM checks WHERE key = ?", key)
        return next((found for found, digest in rows if type(found) is bytes and digest == _digest(key, found)), None)

    def put_check(self, key: str, kata: str, content: bytes) -> None:
        """Keep what an author's check found."""
        row = (key, kata, time.time(), content, _digest(key, content))
        self._rows("INSERT OR REPLACE INTO checks VALUES (?, ?, ?, ?, ?)", *row)

    def prune_checks(self, kata: str) -> None:
        """Forget all but the newest."""
        newest = "SELECT key FROM checks WHERE kata = ? ORDER BY stored DESC LIMIT ?"
        self._rows(f"DELETE FROM checks WHERE kata = ? AND key NOT IN ({newest})", kata, kata, CHECKS_PER_KATA)

    def _rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """What one statement gives, and nothing where the disk is in its way."""
        nothing: list[tuple[Any, ...]] = []
        return self._attempt(lambda: self._sql(statement, *values), nothing)

    def _get(self, key: str, kata: str, accepts: Callable[[frozenset[str]], bool]) -> KataResult | None:
        rows = self._sql("SELECT result, sandbox, digest FROM results WHERE key = ?", key)
        if not rows:
            return None
        content, sandbox, digest = rows[0]
        result = self._read(kata, key, content, sandbox, digest)
        if result is not None:
            layers = frozenset(filter(None, sandbox.split(",")))
            return replace(result, from_store=True) if accepts(layers) else None
        damaged = "the stored result of {kata} is damaged: it is set aside, and the kata judged anew"
        self._database.notice(text(damaged, kata=kata))
        with self._database.transaction():
            self._sql("INSERT INTO set_aside SELECT key, stored, result FROM results WHERE key = ?", key)
            self._sql("DELETE FROM results WHERE key = ?", key)
        return None

    def _merge(self, attempts: Iterable[Attempt], notes: Iterable[Note]) -> int:
        known, added = set(self.all_attempts()), 0
        with self._database.transaction():
            for attempt in attempts:
                if attempt not in known:
                    known.add(attempt)
                    added += 1
                    self._sql(f"INSERT INTO attempts ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *_row(attempt))
            for note in notes:
                self._sql(
                    "INSERT INTO notes VALUES (?, ?, ?) "
                    "ON CONFLICT DO UPDATE SET value = max(value, excluded.value)",
                    note.kata, note.name, note.value,
                )  # fmt: skip
        return added

    @staticmethod
    def _read(kata: str, key: str, content: bytes, sandbox: str, digest: str) -> KataResult | None:
        """A stored result; None for what is damaged."""
        with suppress(msgspec.MsgspecError, ValueError, TypeError, RecursionError):
            result: KataResult = msgspec.json.decode(content, type=KataResult)
            if digest == _digest(key + sandbox, content) and result.id == kata and storable(result):
                return result
        return None

    def _put(self, key: str, result: KataResult, sandbox: str, keep: bool, origin: str) -> None:
        now, content = time.time(), msgspec.json.encode(result)
        attempt = _of(result, now, origin)
        with self._database.transaction():
            self._sql(f"INSERT INTO attempts ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *attempt)
            if keep:
                row = (key, result.id, now, content, sandbox, _digest(key + sandbox, content))
                self._sql("INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, ?, ?)", *row)
                newest = "SELECT key FROM results WHERE kata = ? ORDER BY stored DESC LIMIT ?"
                drop = f"DELETE FROM results WHERE kata = ? AND key NOT IN ({newest})"
                self._sql(drop, result.id, result.id, KEPT_PER_KATA)


def _of(result: KataResult, now: float, origin: str) -> tuple[object, ...]:
    """An attempt's row."""
    return (result.id, now, result.verdict, result.points, result.max, result.sha256, result.seconds, origin)


def _row(attempt: Attempt) -> tuple[object, ...]:
    return tuple(getattr(attempt, name) for name in Attempt.__struct_fields__)


def _digest(key: str, content: bytes) -> str:
    return sha256(key.encode() + content).hexdigest()
