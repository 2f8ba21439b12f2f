"""The journal of a class: one SQLite file, `OUT/class.sqlite`, in which a run writes all that it found, as it comes.

    with closing(Journal.read(out)) as journal:
        facts = journal.facts()                      # course, katas with their points, sandbox, digest of the seed
        for student in journal.students():           # by id
            for row in journal.rows(student.id):     # one for each kata, in the course's order
                row.entry.state, row.result          # result: a KataResult, or None as long as it is not judged
        journal.remarks()                            # missing, duplicate, unreadable and unknown files, as Messages

Whoever reads sees a whole state also while a run writes (write-ahead logging): what was committed and nothing else. Two
runs never write to one journal: `grader.classroom.run` holds a lock on its folder.

Tables: `facts` (one row), `students`, `entries` (student, kata), `remarks`, `contents` (sha256 of a file and its bytes),
`results` (kata, sha256 of the file, layers of the sandbox). Identical files have one content and one result, so that a
verdict is keyed by student, kata, content and sandbox through `entries`. Nothing is ever dropped to make room.
A result is kept with a digest of itself; one that is damaged counts as not judged, and is judged anew.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

import msgspec
from msgspec.structs import replace

from grader.classroom.records import Entry, Facts, Remark, Row, State, Student
from grader.errors import UsageFault
from grader.messages import text
from grader.scorecard import KataResult, Verdict
from grader.seeds import Secret

NAME = "class.sqlite"
VERSION = 1  # of the tables
_BUSY_SECONDS = 30.0  # how long another program that holds the file is waited for
_TABLES = """
CREATE TABLE facts (one INTEGER PRIMARY KEY CHECK (one = 1), facts TEXT NOT NULL, seed TEXT NOT NULL);
CREATE TABLE students (id TEXT PRIMARY KEY, student TEXT NOT NULL);
CREATE TABLE entries (student TEXT NOT NULL, kata TEXT NOT NULL, state TEXT NOT NULL, sha256 TEXT NOT NULL, entry TEXT NOT NULL,
                      PRIMARY KEY (student, kata)) WITHOUT ROWID;
CREATE INDEX entries_by_content ON entries (kata, sha256);
CREATE TABLE remarks (id INTEGER PRIMARY KEY, student TEXT NOT NULL, remark TEXT NOT NULL);
CREATE TABLE contents (sha256 TEXT PRIMARY KEY, source BLOB NOT NULL);
CREATE TABLE results (kata TEXT NOT NULL, sha256 TEXT NOT NULL, sandbox TEXT NOT NULL, verdict TEXT NOT NULL,
                      seconds REAL NOT NULL, result BLOB NOT NULL, digest TEXT NOT NULL,
                      PRIMARY KEY (kata, sha256, sandbox));
"""
Job = tuple[str, str]  # kata, sha256 of the file: what is judged once, for however many students


class Journal:
    """The file, open. `read` and `write` open it; every method raises UsageFault where the disk is in its way.

    To be used from one thread.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection

    @classmethod
    def read(cls, out: Path) -> Self:
        """The journal in the folder `out`, or the file `out` itself, to be read. Raises UsageFault where there is none."""
        path = out / NAME if out.is_dir() else out
        if not path.is_file():
            raise UsageFault(
                text("{file} is not there: no class was judged into this folder", file=str(path)),
                text("name the folder that `grade class --out` was given"),
            )
        return cls._opened(path, make=False)

    @classmethod
    def write(cls, out: Path, name: str = NAME) -> Self:
        """The journal in the folder `out`, made if it is not there, with owner's rights only: it holds the seed."""
        path = out / name
        with _told(path):
            out.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        return cls._opened(path, make=True)

    @classmethod
    def _opened(cls, path: Path, *, make: bool) -> Self:
        with _told(path):
            connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
            try:
                journal = cls(path, connection)
                journal._prepare(make)
            except BaseException:
                connection.close()
                raise
        return journal

    def close(self) -> None:
        """Let go of the file; what its log holds is moved into it."""
        with suppress(sqlite3.Error):
            self._connection.close()

    # What is read.

    def facts(self) -> Facts:
        """What holds for the whole run. Raises UsageFault where none has begun."""
        found = self._sql("SELECT facts FROM facts")
        if not found:
            raise UsageFault(text("{file} holds no run yet", file=str(self.path)), text("`grade class` begins one"))
        return msgspec.json.decode(found[0][0], type=Facts)

    @property
    def begun(self) -> bool:
        """Whether a run has begun in it."""
        return bool(self._sql("SELECT 1 FROM facts"))

    def seed(self) -> Secret:
        """The secret seed of the class. For judging only: nothing that is shown holds it."""
        return Secret(str(self._sql("SELECT seed FROM facts")[0][0]))

    def students(self) -> list[Student]:
        """All of them, by id."""
        rows = self._sql("SELECT student FROM students ORDER BY id")
        return [msgspec.json.decode(row[0], type=Student) for row in rows]

    def entries(self, student: str | None = None) -> Iterator[Entry]:
        """What one student has, or all of them have, by student and kata."""
        where, values = ("WHERE student = ?", [student]) if student is not None else ("", [])
        for row in self._stream(f"SELECT entry FROM entries {where} ORDER BY student, kata", *values):
            yield msgspec.json.decode(row[0], type=Entry)

    def rows(self, student: str) -> list[Row]:
        """What a student has and what it came to, one row for each kata of the run, in the course's order.

        A result has the student's own file as its `stub`; of several results of one content, from runs behind other
        sandboxes, it is the one behind the sandbox of `facts`.
        """
        facts = self.facts()
        order = {kata.id: place for place, kata in enumerate(facts.katas)}
        found = [entry for entry in self.entries(student) if entry.kata in order]
        return [Row(entry, self.result(entry, facts)) for entry in sorted(found, key=lambda entry: order[entry.kata])]

    def result(self, entry: Entry, facts: Facts | None = None) -> KataResult | None:
        """What an entry came to; None as long as its file is not judged."""
        if entry.given is not None:
            return entry.given
        layers = ",".join((facts or self.facts()).layers)
        query = "SELECT result, digest FROM results WHERE kata = ? AND sha256 = ? AND sandbox = ?"
        rows = self._sql(query, entry.kata, entry.sha256, layers)
        if not rows or _digest(entry.kata, entry.sha256, layers, rows[0][0]) != rows[0][1]:
            return None
        return replace(msgspec.json.decode(rows[0][0], type=KataResult), stub=entry.path)

    def remarks(self, student: str | None = None) -> list[Remark]:
        """What was noticed of one student's files, or of all, in the order in which it was."""
        where, values = ("WHERE student = ?", [student]) if student is not None else ("", [])
        rows = self._sql(f"SELECT remark FROM remarks {where} ORDER BY id", *values)
        return [msgspec.json.decode(row[0], type=Remark) for row in rows]

    def source(self, digest: str) -> bytes:
        """The bytes of a file that was read, by their sha256; b"" where there is none."""
        rows = self._sql("SELECT source FROM contents WHERE sha256 = ?", digest)
        return bytes(rows[0][0]) if rows else b""

    def who_has(self, kata: str, digest: str) -> list[str]:
        """The ids of the students who handed in these very bytes for a kata."""
        query = "SELECT student FROM entries WHERE kata = ? AND sha256 = ? ORDER BY student"
        return [row[0] for row in self._sql(query, kata, digest)]

    def jobs(self) -> dict[Job, int]:
        """What is to be judged in all, each with the number of students who handed it in."""
        query = "SELECT kata, sha256, count(*) FROM entries WHERE state = ? GROUP BY kata, sha256"
        return {(kata, digest): count for kata, digest, count in self._sql(query, State.FILE)}

    def handed_in(self) -> str:
        """A digest of all entries, but for their times: the same where the same files were found."""
        digest = sha256()
        for entry in self.entries():
            digest.update(f"{entry.student}\0{entry.kata}\0{entry.state}\0{entry.sha256}\0".encode())
        return digest.hexdigest()

    def states(self) -> dict[State, int]:
        """How many entries there are in each state."""
        return {State(state): count for state, count in self._sql("SELECT state, count(*) FROM entries GROUP BY state")}

    def judged(self, layers: Iterable[str]) -> set[Job]:
        """What has its final result behind these layers. A fault of ours is none, and neither is what is damaged."""
        sandbox = ",".join(sorted(layers))
        query = "SELECT kata, sha256, result, digest FROM results WHERE sandbox = ? AND verdict != ?"
        rows = self._stream(query, sandbox, Verdict.INTERNAL)
        return {(kata, key) for kata, key, result, digest in rows if _digest(kata, key, sandbox, result) == digest}

    def seconds(self) -> dict[str, float]:
        """How long each kata took at most, in seconds."""
        return dict(self._sql("SELECT kata, max(seconds) FROM results GROUP BY kata"))

    # What is written.

    def begin(self, facts: Facts, seed: Secret) -> None:
        """Write down what holds for the run, once."""
        self._sql("INSERT INTO facts VALUES (1, ?, ?)", _json(facts), seed.digits)

    def update(self, facts: Facts) -> None:
        """Write down what became known of the run since, such as its sandbox."""
        self._sql("UPDATE facts SET facts = ?", _json(facts))

    def put_class(
        self,
        students: Iterable[Student],
        entries: Iterable[Entry],
        remarks: Iterable[Remark],
        contents: Mapping[str, bytes],
    ) -> None:
        """Put all that was found in the place of what was found before, or change nothing. Results stay."""
        with self._transaction():
            for table in ("students", "entries", "remarks", "contents"):
                self._sql(f"DELETE FROM {table}")
            self._many("INSERT INTO students VALUES (?, ?)", ((each.id, _json(each)) for each in students))
            self._many(
                "INSERT INTO entries VALUES (?, ?, ?, ?, ?)",
                ((each.student, each.kata, each.state, each.sha256, _json(each)) for each in entries),
            )
            self._many(
                "INSERT INTO remarks (student, remark) VALUES (?, ?)", ((each.student, _json(each)) for each in remarks)
            )
            self._many("INSERT INTO contents VALUES (?, ?)", contents.items())

    def put(self, result: KataResult, layers: Iterable[str]) -> None:
        """Write down what one content came to; it is on the disk when this returns."""
        sandbox, content = ",".join(sorted(layers)), msgspec.json.encode(replace(result, stub=""))
        digest = _digest(result.id, result.sha256, sandbox, content)
        row = (result.id, result.sha256, sandbox, result.verdict, result.seconds, content, digest)
        self._sql("INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, ?, ?, ?)", *row)

    def copy_to(self, path: Path) -> None:
        """Another file with the same content."""
        with _told(path), closing(sqlite3.connect(path)) as other:
            self._connection.backup(other)

    def take_over(self, other: Journal) -> int:
        """Write down all results of another journal, but for what is damaged or worse known; how many there were."""
        query = "SELECT kata, sha256, sandbox, verdict, seconds, result, digest FROM results"
        whole = [row for row in other._stream(query) if _digest(row[0], row[1], row[2], row[5]) == row[6]]
        with self._transaction():
            ours = [row for row in whole if row[3] == Verdict.INTERNAL]
            self._many("INSERT OR IGNORE INTO results VALUES (?, ?, ?, ?, ?, ?, ?)", ours)
            final = [row for row in whole if row[3] != Verdict.INTERNAL]
            self._many("INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, ?, ?, ?)", final)
        return len(whole)

    def _prepare(self, make: bool) -> None:
        version = int(self._sql("PRAGMA user_version")[0][0])
        if version > VERSION:
            raise UsageFault(
                text("{file} was made by a newer grader", file=str(self.path)),
                text("use that one, or name another --out"),
            )
        if version < VERSION and not make:
            raise UsageFault(
                text("{file} is not the journal of a class", file=str(self.path)),
                text("name the folder that `grade class --out` was given"),
            )
        if make:
            self._sql("PRAGMA journal_mode = WAL")
            self._sql("PRAGMA synchronous = FULL")  # a result is on the disk before the next judge begins
        if version < VERSION:
            with self._transaction():
                for statement in filter(str.strip, _TABLES.split(";")):
                    self._sql(statement)
                self._sql(f"PRAGMA user_version = {VERSION}")

    def _sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with _told(self.path):
            return self._connection.execute(statement, values).fetchall()

    def _stream(self, statement: str, *values: object) -> Iterator[tuple[Any, ...]]:
        with _told(self.path):
            yield from self._connection.execute(statement, values)

    def _many(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        with _told(self.path):
            self._connection.executemany(statement, rows)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._sql("BEGIN IMMEDIATE")
        try:
            yield
            self._sql("COMMIT")
        except BaseException:
            with suppress(UsageFault):
                self._sql("ROLLBACK")
            raise


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """What the disk or the file is to blame for, in a sentence."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise UsageFault(
            text("the journal {file} cannot be used: {reason}", file=str(path), reason=reason),
            text("mend that and run the same command again: every result that was written stays"),
        ) from None


def _json(record: msgspec.Struct) -> str:
    return msgspec.json.encode(record).decode()


def _digest(kata: str, content: str, sandbox: str, result: object) -> str:
    """What a result is kept with; "" for what is no result."""
    head = f"{kata} {content} {sandbox} ".encode()
    return sha256(head + result).hexdigest() if isinstance(result, bytes) else ""
