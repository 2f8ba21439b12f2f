"""Judging a class again: for an appeal, and after a fix of its course, of which nothing is written before it is wanted."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from grader.classroom import again, snapshot
from grader.classroom.hands import Finding, Work
from grader.classroom.journal import Journal
from grader.classroom.records import Facts
from grader.course import Course, find
from grader.errors import UsageFault
from grader.kata import Kata
from grader.messages import Message
from grader.scorecard import Verdict
from grader.seeds import Secret

from .pupils import LAYERS, OURS, Class, F, P, result
from .test_cli import GRADE, TOY

Verdicts = list[Verdict]


class Stub(again.Judging):
    """Says of each content what it is told to, and ends after so many."""

    def __init__(self, says: dict[bytes, Verdicts], most: int = 100) -> None:
        super().__init__()
        self.says, self.most = says, most
        self.judged: list[bytes] = []
        self.seeds: set[Secret] = set()

    def judge(
        self, course: Course, katas: Sequence[Kata], seed: Secret, facts: Facts, work: Iterator[Work], at_once: int
    ) -> Iterator[Finding]:
        self.seeds.add(seed)
        for each in work:
            if len(self.judged) == self.most:
                return
            self.judged.append(each.source)
            kata = next(kata for kata in facts.katas if kata.id == each.job[0])
            yield Finding(each.job, result(kata, each.job[1], self.says[each.source]), frozenset(LAYERS))


@pytest.fixture
def course(tmp_path: Path) -> Course:
    shutil.copytree(TOY, tmp_path / "course", ignore=shutil.ignore_patterns("__pycache__", ".grade"))
    return find(tmp_path / "course", tmp_path / "course")


def judged(out: Path, course: Course) -> Class:
    """Three students on the toy course: two with the same file, one without a second."""
    katas = snapshot.facts(course, course.katas)
    made = Class(out, katas, course_digest=snapshot.digest(katas))
    made.student("s1", {"01_scale": (b"a", [P, P, F, F]), "02_line": (b"x", [P, P, P, P])})
    made.student("s2", {"01_scale": (b"a", [P, P, F, F]), "02_line": (b"x", [P, P, P, P])})
    made.student("s3", {"01_scale": (b"b", [P, P, P, P])})
    made.put()
    return made


def mended(course: Course) -> Course:
    """The course after a change of the first kata's suite."""
    with course.katas[0].suite.open("a", encoding="utf-8") as suite:
        suite.write("# a fix\n")
    return find(course.root, course.root)


def regrade(out: Path, course: Course, judging: again.Judging) -> again.Outcome:
    told: list[Message] = []
    return again.regrade(out, course, judging, 1, told.append, lambda done, of: None)


NOW = {b"a": [P, P, P, P], b"b": [P, P, P, F]}


def test_nothing_is_judged_again_where_no_kata_is_judged_otherwise(tmp_path: Path, course: Course) -> None:
    judged(tmp_path / "out", course)
    judging = Stub({})
    assert regrade(tmp_path / "out", course, judging).katas == ()
    assert judging.judged == []


def test_who_changes_and_by_how_much_is_known_before_anything_is_written(tmp_path: Path, course: Course) -> None:
    made, out = judged(tmp_path / "out", course), tmp_path / "out"
    judging = Stub(NOW)
    found = regrade(out, mended(course), judging)
    assert found.katas == ("01_scale",)
    assert sorted(judging.judged) == [b"a", b"b"]  # each content once, and nothing of the other kata
    assert judging.seeds == {made.seed}
    assert [(each.student, each.gain, each.after.verdict) for each in found.changes] == [
        ("s1", 2.0, P), ("s2", 2.0, P), ("s3", -1.0, F),
    ]  # fmt: skip
    assert found.whole
    with closing(Journal.read(out)) as journal:
        assert [row.result.points for row in journal.rows("s1") if row.result] == [2.0, 4.0]
        assert journal.facts() == made.facts


def test_what_is_written_is_the_new_verdicts_and_the_old_journal_is_kept(tmp_path: Path, course: Course) -> None:
    made, out = judged(tmp_path / "out", course), tmp_path / "out"
    now = mended(course)
    regrade(out, now, Stub(NOW))
    copy = again.written(out, lambda said: None)
    assert copy.stat().st_mode & 0o77 == 0
    with closing(Journal.read(out)) as journal, closing(Journal.read(copy)) as before:
        assert [row.result.points for row in journal.rows("s1") if row.result] == [4.0, 4.0]
        assert [row.result.points for row in before.rows("s1") if row.result] == [2.0, 4.0]
        assert (journal.seed(), before.seed()) == (made.seed, made.seed)
        assert again.is_the_same_course(journal, now, now.katas[0])
        assert not again.is_the_same_course(before, now, now.katas[0])
    assert not (out / again.REGRADE).exists()
    assert regrade(out, now, Stub({})).katas == ()


def test_a_regrade_that_was_stopped_goes_on_from_there_and_is_not_written_before(
    tmp_path: Path, course: Course
) -> None:
    judged(tmp_path / "out", course)
    now, out = mended(course), tmp_path / "out"
    first = Stub(NOW, most=1)
    found = regrade(out, now, first)
    assert (found.left, found.whole) == (1, False)
    second = Stub(NOW)
    assert regrade(out, now, second).whole
    assert sorted(first.judged + second.judged) == [b"a", b"b"]
    third = Stub(NOW)
    mended(now)
    regrade(out, now, third)
    assert sorted(third.judged) == [b"a", b"b"]  # another course: what was judged on the one between is worth nothing


def test_a_fault_of_ours_is_no_change_and_is_tried_again(tmp_path: Path, course: Course) -> None:
    judged(tmp_path / "out", course)
    now, out = mended(course), tmp_path / "out"
    found = regrade(out, now, Stub(NOW | {b"a": [P, OURS, P, P]}))
    assert (found.faults, found.left, found.whole) == (2, 1, False)
    assert [each.student for each in found.changes] == ["s3"]
    assert regrade(out, now, Stub(NOW)).whole


def test_a_kata_that_is_gone_is_left_as_it_is(tmp_path: Path, course: Course) -> None:
    judged(tmp_path / "out", course)
    shutil.rmtree(course.katas[1].folder)
    found = regrade(tmp_path / "out", find(course.root, course.root), Stub({}))
    assert (found.gone, found.katas) == (("02_line",), ())


def test_tests_that_end_otherwise_are_named(tmp_path: Path, course: Course) -> None:
    (kata, _) = snapshot.facts(course, course.katas)
    before, after = result(kata, "", [P, P, F, F]), result(kata, "", [P, F, P, F])
    assert again.differing(before, after) == [("test_1", "pass", "fail"), ("test_2", "fail", "pass")]
    assert again.differing(before, replace(before, tests=before.tests[:3])) == [("test_3", "fail", "")]


# From here on with real judges.


def grade(course: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "GRADE_LANG": "en"}
    return subprocess.run([GRADE, *words], cwd=course, capture_output=True, text=True, env=environment, check=False)


def handed_in(folder: Path) -> Path:
    """Two students: one with all right, one whose scale is wrong."""
    for student, edit in (("s1", ""), ("s2", " + 1")):
        shutil.copytree(TOY / "reference", folder / student, ignore=shutil.ignore_patterns("__pycache__"))
        path = folder / student / "01_scale" / "scale.py"
        path.write_text(path.read_text(encoding="utf-8").replace("x * factor", f"x * factor{edit}"), encoding="utf-8")
    return folder


def test_a_class_is_judged_killed_gone_on_with_shown_doubted_and_regraded(tmp_path: Path, course: Course) -> None:
    root, out, files = course.root, str(tmp_path / "out"), str(handed_in(tmp_path / "in"))
    run = subprocess.Popen(
        [GRADE, "class", files, "--out", out, "-j", "1"], cwd=root, stdout=subprocess.PIPE, text=True
    )
    assert run.stdout is not None
    assert run.stdout.readline()  # it has planned, and begins to judge
    run.send_signal(signal.SIGKILL)
    run.communicate()
    resumed = grade(root, "class", files, "--out", out)
    assert resumed.returncode == 0, resumed.stderr
    shown = grade(root, "gradebook", out)
    assert (shown.returncode, shown.stderr) == (0, "")
    totals = (tmp_path / "out" / "gradebook" / "totals.csv").read_text(encoding="utf-8-sig").splitlines()
    assert totals == ["student,name,section,01_scale,02_line,points,max", "s1,,,4,6,10,10", "s2,,,2,6,8,10"]

    doubted = grade(root, "appeal", out, "s2", "scale")
    assert (doubted.returncode, doubted.stderr) == (0, "")
    assert "then: ✗ fail 2/4\nnow: ✗ fail 2/4\n" in doubted.stdout

    suite = course.katas[0].suite
    fixed = suite.read_text(encoding="utf-8").replace("x * factor, tol=1e-12", "x * factor + 1, tol=1e-12")
    suite.write_text(fixed, encoding="utf-8")
    again_then = grade(root, "appeal", out, "s2", "scale")
    assert again_then.returncode == 1 and "self-check" not in again_then.stdout and "Next: " not in again_then.stdout
    assert "is not what it was when the class was judged" in again_then.stderr
    assert "  test_values: fail, now pass" in again_then.stdout
    tried = grade(root, "regrade", out)
    assert tried.returncode == 1
    assert re.findall(r"^  (\w+)  01_scale  .*\(([+-]\d)\)$", tried.stdout, re.MULTILINE) == [
        ("s1", "-1"),
        ("s2", "+1"),
    ]
    assert "1 gains points, 1 loses points, 0 stay as they are" in tried.stdout
    done = grade(root, "regrade", out, "--write")
    assert done.returncode == 0
    assert grade(root, "gradebook", out, "--format", "csv").returncode == 0
    totals = (tmp_path / "out" / "gradebook" / "totals.csv").read_text(encoding="utf-8-sig").splitlines()
    assert totals[1:] == ["s1,,,3,6,9,10", "s2,,,3,6,9,10"]


def test_another_sandbox_than_that_of_the_class_judges_nothing_again(tmp_path: Path, course: Course) -> None:
    judged(tmp_path / "out", course)
    with pytest.raises(UsageFault, match="judged in another sandbox"):
        regrade(tmp_path / "out", mended(course), again.Judging())
