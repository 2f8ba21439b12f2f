"""One student's data: exported whole and alone, under a pseudonym, or gone from the disk."""

from __future__ import annotations

import io
import json
import sqlite3
import zipfile
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from grader.classroom import person
from grader.classroom.gradebook import scorecard
from grader.classroom.journal import Journal
from grader.classroom.records import Student
from grader.errors import UsageFault
from grader.messages.language import Language

from .pupils import WORKS, WRONG, Class, F, P, kata, small
from .test_gradebook import decided, opened, sheets

SECRET = b"# written by somebody with a secret\n"


def bytes_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file())


def test_an_archive_holds_all_of_one_student_and_nothing_of_another(tmp_path: Path) -> None:
    with opened(small(tmp_path), decided("s2", points=3.0)) as book:
        sheet = next(each for each in book if each.student.id == "s2")
        content = person.archive(book, sheet, scorecard(sheet, book.facts), Language())
        assert content == person.archive(book, sheet, scorecard(sheet, book.facts), Language())
    with zipfile.ZipFile(io.BytesIO(content)) as zipped:
        assert zipped.testzip() is None
        files = {name: zipped.read(name) for name in zipped.namelist()}
    assert set(files) == {
        "student.json", "gradebook.json", "scorecard.json", "page.html", "files/01_kata/kata.py", "files/02_kata/kata.py",
    }  # fmt: skip
    assert files["files/01_kata/kata.py"] == WRONG
    who = json.loads(files["student.json"])
    assert (who["student"]["name"], len(who["entries"]), len(who["remarks"])) == ("Two", 2, 1)
    (learner,) = json.loads(files["gradebook.json"])["students"]
    assert (learner["id"], learner["katas"][0]["points"]) == ("s2", 3.0)
    assert json.loads(files["scorecard.json"])["score"]["points"] == 4.0
    for other in (b"One", b"Three", b"Four", b"s1", b"s3", b"s4"):
        assert all(other not in content for name, content in files.items() if name != "page.html")


def test_an_archive_is_its_owners_and_whole_or_not_there(tmp_path: Path) -> None:
    person.keep(tmp_path / "a.zip", b"new")
    person.keep(tmp_path / "a.zip", b"newer")
    assert (tmp_path / "a.zip").read_bytes() == b"newer"
    assert (tmp_path / "a.zip").stat().st_mode & 0o77 == 0
    (tmp_path / "folder.zip").mkdir()
    with pytest.raises(UsageFault, match="cannot write"):
        person.keep(tmp_path / "folder.zip", b"new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "folder.zip"]


def with_secrets(out: Path) -> Path:
    """Two students, one of whom shares a file with the other and has another of its own."""
    made = Class(out, [kata(1), kata(2)])
    both = {"01_kata": (WORKS, [P, P, P, P])}
    made.student("s1", both, name="One")
    made.student("s2", both | {"02_kata": (SECRET, [P, F, F, F])}, name="Zebedee Two")
    made.remark("s2", "a remark of zebedee")
    made.remark("s1", "the folder s2 holds it too")
    made.remark("s1", "the folder s22 stays")
    return made.put()


def test_who_is_deleted_is_gone_with_every_file_that_nobody_else_has(tmp_path: Path) -> None:
    out = with_secrets(tmp_path)
    assert b"Zebedee" in bytes_in(out)
    person.delete(out / "class.sqlite", "s2")
    with closing(Journal.read(out)) as journal:
        assert [student.id for student in journal.students()] == ["s1"]
        assert [entry.student for entry in journal.entries()] == ["s1", "s1"]
        assert journal.rows("s1")[0].result is not None
        assert [str(remark.said) for remark in journal.remarks()] == ["the folder s22 stays"]
    left = bytes_in(out)
    for trace in (b"Zebedee", b"zebedee", SECRET, b'"s2"', b"the folder s2 "):
        assert trace not in left
    assert WORKS in left
    with closing(sqlite3.connect(out / "class.sqlite")) as journal_file:
        assert journal_file.execute("SELECT kata, sha256 FROM results").fetchall() == [
            ("01_kata", sha256(WORKS).hexdigest())
        ]


def test_what_an_earlier_run_left_in_the_file_is_gone_too(tmp_path: Path) -> None:
    out = with_secrets(tmp_path)
    with closing(Journal.write(out)) as journal:
        old = [Student(id="s2", name="Zebedee Two")]
        many = [Student(id=f"t{number}", name="Zebedee Two", more={"x": "z" * 500}) for number in range(50)]
        journal.put_class([*old, *many], [], [], {})
        journal.put_class(old, [], [], {})
    person.delete(out / "class.sqlite", "s2")
    assert b"Zebedee" not in bytes_in(out)


def test_a_pseudonym_leaves_verdicts_and_nothing_that_says_who_it_was(tmp_path: Path) -> None:
    out = with_secrets(tmp_path)
    before = sheets(out)["s2"]
    new = person.pseudonym()
    person.pseudonymise(out / "class.sqlite", "s2", new)
    found = sheets(out)
    assert found.keys() == {"s1", new}
    assert [cell.points for cell in found[new].cells] == [cell.points for cell in before.cells]
    assert (found[new].student.name, found[new].student.folder, found[new].student.more) == ("", "", {})
    assert {cell.entry.path for cell in found[new].cells} == {""}
    left = bytes_in(out)
    for trace in (b"Zebedee", b"a remark of", b'"s2"'):
        assert trace not in left
    assert person.pseudonym() != new


def test_who_is_in_no_other_journal_is_no_fault_there(tmp_path: Path) -> None:
    out = small(tmp_path)
    person.delete(out / "class.sqlite", "nobody")
    person.pseudonymise(out / "class.sqlite", "nobody", "p1")
    assert sheets(out).keys() == {"s1", "s2", "s3", "s4"}


def test_a_journal_that_cannot_be_changed_is_told_and_stays(tmp_path: Path) -> None:
    (tmp_path / "class.sqlite").write_bytes(b"no journal " * 100)
    with pytest.raises(UsageFault, match="cannot be used"):
        person.delete(tmp_path / "class.sqlite", "s1")
    assert (tmp_path / "class.sqlite").read_bytes() == b"no journal " * 100
