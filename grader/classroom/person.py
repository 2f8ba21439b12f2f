"""One student's data: all of it in an archive, under a pseudonym, or gone.

The journal is changed in one step, and what was taken out of it is overwritten on the disk. This is the one place beside
`journal.py` that knows its tables.
"""

from __future__ import annotations

import io
import re
import secrets
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
from msgspec.structs import replace

from grader.classroom.exports import data
from grader.classroom.exports.pages import Pages
from grader.classroom.gradebook import Gradebook, Sheet, scorecard
from grader.classroom.records import Entry, Remark, Student
from grader.errors import UsageFault
from grader.messages import text
from grader.messages.language import Language
from grader.reports import json
from grader.scorecard import Scorecard
from grader.writing import write

_STAMP = (1980, 1, 1, 0, 0, 0)  # the archive says when nothing was made
_PSEUDONYM_BYTES = 6
# Files and results that nobody has any more.
_ORPHANS = (
    "DELETE FROM contents WHERE sha256 NOT IN (SELECT sha256 FROM entries)",
    "DELETE FROM results WHERE (kata, sha256) NOT IN (SELECT kata, sha256 FROM entries)",
)


def archive(book: Gradebook, sheet: Sheet, card: Scorecard, language: Language) -> bytes:
    """A ZIP file with all that the journal has of a student, and nothing of anybody else's.

    student.json: who it is, and what was noticed; gradebook.json: what counts; scorecard.json: what was judged;
    page.html: the same to be read; files/KATA/SLUG.py: the files as they were handed in
    """
    files = {
        "student.json": _record(sheet),
        "gradebook.json": (data.start(book) + data.learner(sheet) + data.END).encode(),
        "scorecard.json": json.render(scorecard(sheet, book.facts)).encode(),
        "page.html": Pages(book.facts, language).student(sheet.with_results(card)).encode(),
    }
    for cell in sheet.cells:
        if cell.entry.sha256:
            name = f"files/{cell.kata.id}/{cell.kata.slug}.py"
            files[name] = book.journal.source(cell.entry.sha256)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in files.items():
            zipped.writestr(zipfile.ZipInfo(name, _STAMP), content, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def keep(path: Path, content: bytes) -> None:
    """Put an archive in its place, for its owner's eyes only, or change nothing and raise UsageFault."""
    try:
        write(path, content, 0o600)
    except OSError as error:
        said = text("cannot write {file}: {reason}", file=str(path), reason=error.strerror or str(error))
        raise UsageFault(said, text("name a path that can be written")) from None


def pseudonym() -> str:
    """An id that says nothing."""
    return f"p{secrets.token_hex(_PSEUDONYM_BYTES)}"


def pseudonymise(journal: Path, id: str, new: str) -> None:
    """Give a student of a journal another id, and take away whatever else says who it is. Raises UsageFault.

    The student's files stay as they were written.
    """
    with _changing(journal) as connection:
        if (student := _student(connection, id)) is None:
            return
        kept = Student(id=new, section=student.section, due=student.due, late=student.late)
        connection.execute("DELETE FROM students WHERE id = ?", [id])
        connection.execute("INSERT INTO students VALUES (?, ?)", [new, msgspec.json.encode(kept).decode()])
        for (stored,) in connection.execute("SELECT entry FROM entries WHERE student = ?", [id]).fetchall():
            entry = _nameless(msgspec.json.decode(stored, type=Entry), new)
            row = [new, msgspec.json.encode(entry), id, entry.kata]
            connection.execute("UPDATE entries SET student = ?, entry = ? WHERE student = ? AND kata = ?", row)
        _drop_remarks(connection, student)


def delete(journal: Path, id: str) -> None:
    """Take a student out of a journal, with every file and result that nobody else has. Raises UsageFault."""
    with _changing(journal) as connection:
        if (student := _student(connection, id)) is None:
            return
        for table, column in (("students", "id"), ("entries", "student")):
            connection.execute(f"DELETE FROM {table} WHERE {column} = ?", [id])
        _drop_remarks(connection, student)
        for statement in _ORPHANS:
            connection.execute(statement)


def _record(sheet: Sheet) -> bytes:
    entries = [replace(cell.entry, given=None) for cell in sheet.cells]
    record = {"student": sheet.student, "entries": entries, "remarks": sheet.remarks}
    return msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"


def _student(connection: sqlite3.Connection, id: str) -> Student | None:
    row = connection.execute("SELECT student FROM students WHERE id = ?", [id]).fetchone()
    return msgspec.json.decode(row[0], type=Student) if row else None


def _nameless(entry: Entry, id: str) -> Entry:
    """The entry of another id, without paths, in which names stand."""
    given = entry.given and replace(entry.given, stub="", message="", said=())
    return replace(entry, student=id, path="", given=given)


def _drop_remarks(connection: sqlite3.Connection, student: Student) -> None:
    """The student's remarks, and those about others in which the student is named."""
    names = [re.escape(name) for name in (student.id, student.name, student.folder) if name]
    named = re.compile(rf"(?<!\w)(?:{'|'.join(names)})(?!\w)")
    for number, stored in connection.execute("SELECT id, remark FROM remarks").fetchall():
        remark = msgspec.json.decode(stored, type=Remark)
        if remark.student == student.id or named.search(f"{remark.said}\n{remark.path}"):
            connection.execute("DELETE FROM remarks WHERE id = ?", [number])


@contextmanager
def _changing(journal: Path) -> Iterator[sqlite3.Connection]:
    """The journal in one transaction, after which nothing that was taken out of it is left on the disk."""
    try:
        with closing(
            sqlite3.connect(f"{journal.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
        ) as opened:
            opened.execute("PRAGMA secure_delete = ON")
            opened.execute("BEGIN IMMEDIATE")
            try:
                yield opened
            except BaseException:
                opened.execute("ROLLBACK")
                raise
            opened.execute("COMMIT")
            opened.execute("VACUUM")
            opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        raise UsageFault(
            text("the journal {file} cannot be used: {reason}", file=str(journal), reason=str(error)),
            text("wait until no other `grade` is at work in it, and try again"),
        ) from None
