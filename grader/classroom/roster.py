"""The roster: a table of students as a school has it, and whom in it a folder's name means.

A CSV file with a heading: an id (`id`, `student id`, `sid`, `login`, `username`, `identifier`, `email`, as Canvas, Moodle
and GitHub Classroom write them), and where there are such columns `name` (or first and last name), `section`, `due` and
`late`. Both are moments, as in `2026-10-01T23:59`: after `due` it is late, and after `late` nothing is earned. They are ISO
8601, in this machine's zone where they name none. Other columns are kept, and found by, too.
"""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

from grader.classroom.records import Student
from grader.errors import CourseFault, Fault
from grader.messages import text

_IDS = ("id", "student id", "studentid", "id number", "sid", "sis user id", "login", "sis login id", "username", "user name",
        "identifier", "github username", "email", "email address", "e-mail")  # fmt: skip
_NAMES = ("name", "full name", "student", "student name", "display name")
_FIRST, _LAST = ("first name", "firstname", "given name"), ("last name", "lastname", "surname", "family name")
_SECTIONS = ("section", "sections", "group", "groups", "class", "class section")
_MOST_BYTES = 16 << 20
_NOBODY = ("points possible", "student, test", "test student")  # rows of Canvas's own


@dataclass(frozen=True)
class Roster:
    """The students of a class, and how each of them may be called."""

    students: tuple[Student, ...]

    def find(self, keys: Iterable[str]) -> list[Student]:
        """Whom the first of the keys that means anybody means: one student, or several who are called the same."""
        return next((found for key in keys if (found := self._exactly(key))), [])

    def _exactly(self, key: str) -> list[Student]:
        return self._by_id.get(_folded(key)) or self._by_word.get(_squashed(key), [])

    @cached_property
    def _by_id(self) -> dict[str, list[Student]]:
        return _index((_folded(student.id), student) for student in self.students)

    @cached_property
    def _by_word(self) -> dict[str, list[Student]]:
        words = ((_squashed(word), student) for student in self.students for word in _called(student))
        return _index((word, student) for word, student in words if word)


def read(path: Path) -> Roster:
    """The roster in a file. Raises CourseFault with everything that is wrong with it: a teacher wrote it and can mend it."""
    rows = _rows(path)
    heads = [" ".join(head.replace("_", " ").split()).casefold() for head in (rows[0] if rows else [])]
    column = next((heads.index(name) for name in _IDS if name in heads), None)
    if column is None:
        wanted = text("has no column with ids: name one of its columns `id`")
        raise CourseFault([Fault(str(path), wanted=wanted)])
    students: dict[str, Student] = {}
    faults: list[Fault] = []
    for number, row in enumerate(rows[1:], 2):
        cells = {head: cell.strip() for head, cell in zip(heads, row, strict=False)}
        if not any(cells.values()) or any(" ".join(cell.split()).casefold() in _NOBODY for cell in cells.values()):
            continue
        try:
            student = _student(cells, heads[column], dict(zip(rows[0], map(str.strip, row), strict=False)))
        except _NoDate as wrong:
            wanted = text("must look like {example}", example="2026-10-01T23:59")
            faults.append(Fault(f"{path}:{number}", wrong.column, wanted, wrong.cell))
            continue
        if not student.id:
            faults.append(Fault(f"{path}:{number}", wanted=text("has no id")))
        elif _folded(student.id) in students:
            faults.append(Fault(f"{path}:{number}", wanted=text("has the id {id!r} a second time", id=student.id)))
        students.setdefault(_folded(student.id), student)
    if not students and not faults:
        faults.append(Fault(str(path), wanted=text("lists no student")))
    if faults:
        raise CourseFault(faults)
    return Roster(tuple(students.values()))


def _rows(path: Path) -> list[list[str]]:
    try:
        with open(path, "rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise CourseFault([Fault(str(path), wanted=text("is too large for a roster"))])
        told = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
        head = told.partition("\n")[0]
        delimiter = max(",;\t", key=head.count)
        return list(csv.reader(io.StringIO(told, newline=""), delimiter=delimiter))
    except OSError as error:
        raise CourseFault([Fault(str(path), wanted=text("cannot be read: {reason}", reason=error.strerror))]) from None
    except (UnicodeError, csv.Error):
        raise CourseFault([Fault(str(path), wanted=text("is no CSV file in UTF-8"))]) from None


def _student(cells: dict[str, str], id_column: str, told: dict[str, str]) -> Student:
    """One row; raises _NoDate."""

    def of(names: Iterable[str]) -> str:
        return next((cells[name] for name in names if cells.get(name)), "")

    known = {id_column, "due", "late", *_NAMES, *_FIRST, *_LAST, *_SECTIONS}
    name = of(_NAMES) or f"{of(_FIRST)} {of(_LAST)}".strip()
    more = {head: cell for (head, cell), key in zip(told.items(), cells, strict=False) if key not in known and cell}
    due, late = _date(cells, ["due", "due date"]), _date(cells, ["late", "late date", "late until"])
    return Student(
        id=cells[id_column], name=name, section=of(_SECTIONS), due=due, late=late, in_roster=True, more=more
    )  # fmt: skip


class _NoDate(ValueError):
    """A cell of a column of dates that is none."""

    def __init__(self, column: str, cell: str) -> None:
        super().__init__(cell)
        self.column, self.cell = column, cell


def _date(cells: dict[str, str], columns: Iterable[str]) -> str:
    """The moment in the first of these columns that has one; "" where none has. Raises _NoDate."""
    column = next((name for name in columns if cells.get(name)), "")
    if not column:
        return ""
    try:
        when = datetime.fromisoformat(cells[column])
    except ValueError:
        raise _NoDate(column, cells[column]) from None
    return (when if when.tzinfo else when.astimezone()).isoformat(timespec="seconds")


def _called(student: Student) -> set[str]:
    """The words by which a platform may mean a student: the name in its orders, and what other columns hold."""
    words = student.name.replace(",", " ").split()
    orders = ["".join(words[turn:] + words[:turn]) for turn in range(len(words))]
    mail = [word for word in student.more.values() if "@" in word]
    return {*orders, *student.more.values(), *(word.partition("@")[0] for word in mail)}


def _index(pairs: Iterable[tuple[str, Student]]) -> dict[str, list[Student]]:
    index: dict[str, list[Student]] = {}
    for word, student in pairs:
        if student not in index.setdefault(word, []):
            index[word].append(student)
    return index


def _folded(word: str) -> str:
    return unicodedata.normalize("NFKC", word).casefold().strip()


def _squashed(word: str) -> str:
    """Without case, blanks and signs, as Canvas writes names."""
    return "".join(sign for sign in _folded(word) if sign.isalnum())
