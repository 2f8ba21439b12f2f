"""The journal of a class: what was written is read again, what is damaged is judged anew, nothing is lost to a fault."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from grader.classroom.journal import NAME, Journal
from grader.classroom.records import About, Entry, Facts, KataFacts, Remark, State, Student
from grader.errors import UsageFault
from grader.messages import text
from grader.scorecard import KataResult, Verdict
from grader.seeds import draw

KATA = KataFacts(id="01_scale", slug="scale", title="Scale", title_zh="放大", points={"value": 4}, tests=1, digest="d")
FACTS = Facts(
    course="toy",
    course_digest="c",
    grader="1",
    versions={},
    katas=(KATA,),
    seed_sha256="s",
    submissions="in",
    started="2026-09-01T00:00:00+00:00",
    layers=("a", "b"),
)


def result(sha256: str, verdict: Verdict = Verdict.PASS, seconds: float = 1.5) -> KataResult:
    return KataResult(
        id=KATA.id, title="Scale", verdict=verdict, points=0, max=4, by_kind={}, seconds=seconds, from_store=False,
        tests=(), sha256=sha256, stub="somebody's path",
    )  # fmt: skip


def entry(student: str, sha256: str) -> Entry:
    return Entry(student=student, kata=KATA.id, state=State.FILE, path=f"{student}/scale.py", sha256=sha256)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with closing(Journal.write(tmp_path / "out")) as journal:
        journal.begin(FACTS, draw())
        missing = Entry(student="c", kata=KATA.id, state=State.MISSING, given=result("", Verdict.ERROR))
        remark = Remark(about=About.MISSING, said=text("nothing"), student="c")
        students = [Student(id=name, section="7") for name in ("b", "a", "c")]
        journal.put_class(students, [entry("a", "same"), entry("b", "same"), missing], [remark], {"same": b"x"})
        yield journal


def test_what_was_written_is_read_by_another(journal: Journal) -> None:
    journal.put(result("same"), ["b", "a"])
    with closing(Journal.read(journal.path.parent)) as other:
        assert other.facts() == FACTS
        assert [student.id for student in other.students()] == ["a", "b", "c"]
        (row,) = other.rows("b")
        assert row.result is not None
        assert (row.result.verdict, row.result.stub) == (Verdict.PASS, "b/scale.py")
        (row,) = other.rows("c")
        assert row.result == row.entry.given is not None
        assert [remark.student for remark in other.remarks()] == ["c"]
        assert (other.source("same"), other.source("other")) == (b"x", b"")
        assert other.who_has(KATA.id, "same") == ["a", "b"]
        assert other.jobs() == {(KATA.id, "same"): 2}
        assert other.judged(["a", "b"]) == {(KATA.id, "same")}
        assert other.seconds() == {KATA.id: 1.5}


def test_a_result_behind_another_sandbox_is_none(journal: Journal) -> None:
    journal.put(result("same"), ["a"])
    assert journal.judged(["a", "b"]) == set()
    assert journal.rows("a")[0].result is None


def test_a_fault_of_ours_is_judged_again_and_shown_until_then(journal: Journal) -> None:
    journal.put(result("same", Verdict.INTERNAL), ["a", "b"])
    assert journal.judged(["a", "b"]) == set()
    assert journal.rows("a")[0].result is not None


@pytest.mark.parametrize("kind", ["BLOB", "TEXT"])
def test_a_damaged_result_counts_as_not_judged(journal: Journal, kind: str) -> None:
    journal.put(result("same"), ["a", "b"])
    with closing(sqlite3.connect(journal.path, isolation_level=None)) as other:
        better = "replace(CAST(result AS TEXT), '\"points\":0', '\"points\":4')"
        other.execute(f"UPDATE results SET result = CAST({better} AS {kind})")
    assert journal.judged(["a", "b"]) == set()
    assert journal.rows("a")[0].result is None


def test_results_outlive_another_look_at_the_class(journal: Journal) -> None:
    journal.put(result("same"), ["a", "b"])
    journal.put_class([Student(id="d")], [entry("d", "same")], [], {"same": b"x"})
    assert [student.id for student in journal.students()] == ["d"]
    assert journal.rows("d")[0].result is not None


def test_half_a_class_is_never_there(journal: Journal) -> None:
    twice = [entry("d", "new"), entry("d", "new")]
    with pytest.raises(UsageFault, match="cannot be used"):
        journal.put_class([Student(id="d")], twice, [], {})
    assert [student.id for student in journal.students()] == ["a", "b", "c"]


def test_only_the_owner_can_read_the_seed(journal: Journal) -> None:
    assert {path.stat().st_mode & 0o77 for path in journal.path.parent.iterdir() if path.is_file()} == {0}
    assert journal.seed().digits not in json.dumps([str(journal.facts()), str(journal.seed())])


@pytest.mark.parametrize("content", [b"", b"not a database" * 100])
def test_what_is_no_journal_is_not_read(tmp_path: Path, content: bytes) -> None:
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(UsageFault):
        Journal.read(tmp_path)
    assert (tmp_path / NAME).read_bytes() == content


def test_one_of_a_newer_grader_is_left_alone(journal: Journal) -> None:
    with closing(sqlite3.connect(journal.path, isolation_level=None)) as other:
        other.execute("PRAGMA user_version = 99")
    with pytest.raises(UsageFault, match="newer"):
        Journal.write(journal.path.parent)


def test_a_journal_is_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / NAME).symlink_to(tmp_path / "mine")
    with pytest.raises(UsageFault):
        Journal.write(tmp_path)
    assert (tmp_path / "mine").read_text() == "mine"


FULL = """
import resource, sys
from pathlib import Path
from grader.classroom.journal import Journal
from grader.errors import UsageFault
journal = Journal.write(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    journal.put_class([], [], [], {"large": b"x" * (1 << 20)})
except UsageFault as fault:
    print(fault)
"""


def test_a_full_disk_is_told_and_costs_nothing(journal: Journal) -> None:
    journal.put(result("same"), ["a", "b"])
    run = [sys.executable, "-c", FULL, str(journal.path.parent)]
    said = subprocess.run(run, capture_output=True, text=True, check=True, env={**os.environ}).stdout
    assert "cannot be used" in said
    assert len(journal.students()) == 3
    assert journal.judged(["a", "b"]) == {(KATA.id, "same")}
