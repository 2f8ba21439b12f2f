"""`grade gradebook`, `student` and `similar` as a teacher types them; each run is a whole process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from msgspec.structs import replace

from .pupils import Class, F, P, kata, small
from .test_cli import GRADE, TOY

DECIDED = '[[override]]\nstudent = "s2"\nkata = "01_kata"\npoints = 3.5\nreason = "ill"\nauthor = "the teacher"\n'
LATE = "[late]\ndue = 2026-10-01T00:00:00Z\npercent_per_day = 10\n"


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """The toy course, with a late policy."""
    root = tmp_path / "course"
    shutil.copytree(TOY, root, ignore=shutil.ignore_patterns("__pycache__", ".grade"))
    with (root / "course.toml").open("a", encoding="utf-8") as file:
        file.write(LATE)
    return root


def grade(course: Path, *words: object, lang: str = "en") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "GRADE_LANG": lang}
    command = [GRADE, *map(str, words)]
    return subprocess.run(command, cwd=course, capture_output=True, text=True, env=environment, check=False)


def test_a_gradebook_is_written_with_the_courses_policy_and_what_was_decided(course: Path, tmp_path: Path) -> None:
    out = small(tmp_path / "out")
    (out / "overrides.toml").write_text(DECIDED, encoding="utf-8")
    done = grade(course, "gradebook", out)
    assert done.returncode == 1  # not everything is judged
    assert done.stdout == f"{out}/gradebook: 12 files about 4 students\n"
    assert done.stderr.startswith("1 student has no total yet: s3\n")
    totals = (out / "gradebook" / "totals.csv").read_text(encoding="utf-8-sig").splitlines()
    assert totals[2] == "s2,Two,A,3.5,1.4,4.9,8"


def test_only_the_formats_that_are_asked_for_are_written_where_they_are_asked_for(course: Path, tmp_path: Path) -> None:
    out, to = small(tmp_path / "out"), tmp_path / "to"
    done = grade(course, "gradebook", out / "class.sqlite", "--to", to, "--format", "json", "--format", "canvas")
    assert done.returncode == 1
    assert sorted(path.name for path in to.iterdir()) == [".gradebook", "canvas.csv", "gradebook.json"]


def test_whom_canvas_does_not_know_is_named(course: Path, tmp_path: Path) -> None:
    out, exported = small(tmp_path / "out"), tmp_path / "canvas.csv"
    rows = ["Student,ID,SIS Login ID,Section,01_kata (7)", "    Points Possible,,,,10", "One,9,s1,A,", "Nine,8,s9,A,"]
    exported.write_text("\r\n".join(rows), encoding="utf-8")
    done = grade(course, "gradebook", out, "--canvas", exported, "--format", "canvas")
    assert "Canvas does not know 3 students: s2, s3, s4" in done.stderr
    assert "Canvas has 1 student who is not in this class: Nine" in done.stderr
    assert "Canvas has 10 points for 01_kata, the course 4" in done.stderr


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["gradebook", "nowhere"], "no class was judged into this folder"),
        (["gradebook", "{out}", "--overrides", "nowhere.toml"], "nowhere.toml cannot be read"),
        (["gradebook", "{out}", "--canvas", "nowhere.csv"], "nowhere.csv cannot be read"),
        (["gradebook", "{out}", "--to", "course.toml"], "cannot write course.toml"),
        (["student", "{out}", "s9"], "there is no student 's9' in this class"),
        (["student", "{out}", "s1", "--export", "nowhere/s1.zip"], "cannot write nowhere/s1.zip"),
        (["similar", "{out}", "nothing"], "there is no kata 'nothing'"),
        (["appeal", "{out}", "s1", "scale"], "s1 has no file for 01_scale that could be judged"),
        (["regrade", "nowhere"], "nowhere is not a folder"),
        (["mistakes", "{failed}"], "this course has no known mistakes"),
    ],
)
def test_what_is_not_there_is_told_with_the_next_step(
    course: Path, tmp_path: Path, words: list[str], fault: str
) -> None:
    out, failed = small(tmp_path / "out"), Class(tmp_path / "failed", [replace(kata(1), id="01_scale", slug="scale")])
    failed.student("s1", {"01_scale": (b"x", [P, F, F, P])})
    places = {"out": out, "failed": failed.put()}
    done = grade(course, *(word.format(**places) for word in words))
    assert (done.returncode, done.stdout) == (2, "")
    assert fault in done.stderr


def test_a_decision_that_makes_no_sense_writes_nothing(course: Path, tmp_path: Path) -> None:
    out = small(tmp_path / "out")
    (out / "overrides.toml").write_text(DECIDED.replace("s2", "s22"), encoding="utf-8")
    done = grade(course, "gradebook", out)
    assert done.returncode == 2
    assert "override[0].student must name students of this class, found s22; did you mean s2?" in done.stderr
    assert not (out / "gradebook").exists()


def test_a_student_is_shown_exported_and_deleted(course: Path, tmp_path: Path) -> None:
    out = small(tmp_path / "out")
    shown = grade(course, "student", out, "s2")
    assert shown.returncode == 0 and "self-check" not in shown.stdout and "Next: " not in shown.stdout
    assert "01_kata: 3 days late: 30 % less" in shown.stdout and shown.stdout.endswith("2.8 of 8 points count\n")
    done = grade(course, "student", out, "s2", "--export", tmp_path / "s2.zip", "--delete", "--yes")
    assert done.returncode == 0
    with zipfile.ZipFile(tmp_path / "s2.zip") as zipped:
        assert json.loads(zipped.read("student.json"))["student"]["id"] == "s2"
    assert "s2 is deleted from" in done.stdout and "is yours to mend: in" in done.stdout
    assert grade(course, "student", out, "s2").returncode == 2
    grade(course, "gradebook", out)
    assert not (out / "gradebook" / "students" / "s2.html").exists()


def test_a_student_reads_the_points_of_the_gradebook(course: Path, tmp_path: Path) -> None:
    """Rounded for each kata and then added: 8/3 and 5/3 are 2.67 and 1.67, which are 4.34."""
    made = Class(tmp_path / "out", [kata(1), kata(2)])
    made.student("s1", {"01_kata": (b"x", [P, P, P, F]), "02_kata": (b"y", [P, P, F, F])})
    made.results = [replace(each, points=points) for each, points in zip(made.results, (8 / 3, 5 / 3), strict=True)]
    out = made.put()
    shown = grade(course, "student", out, "s1").stdout
    assert "2.67/4" in shown and "1.67/4" in shown and "4.34 of 8 points" in shown
    assert grade(course, "gradebook", out).returncode == 0
    assert "4.34" in (out / "gradebook" / "totals.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize("deed", ["--delete", "--pseudonymise"])
def test_where_nobody_can_be_asked_a_student_stays_until_yes_is_said(course: Path, tmp_path: Path, deed: str) -> None:
    out = small(tmp_path / "out")
    done = grade(course, "student", out, "s2", "--export", tmp_path / "s2.zip", deed)
    assert done.returncode == 2 and "--yes" in done.stderr
    assert grade(course, "student", out, "s2").returncode == 0 and not (tmp_path / "s2.zip").exists()


def test_a_pseudonym_is_the_same_in_every_journal_of_the_folder(course: Path, tmp_path: Path) -> None:
    out = small(tmp_path / "out")
    shutil.copy(out / "class.sqlite", out / "class.before-1.sqlite")
    done = grade(course, "student", out, "s2", "--pseudonymise", "--yes")
    new = done.stdout.split()[2]
    for journal in ("class.sqlite", "class.before-1.sqlite"):
        assert grade(course, "student", out / journal, new).returncode == 0
        assert b"Two" not in (out / journal).read_bytes()


def test_files_that_are_alike_are_named_and_others_are_not(course: Path, tmp_path: Path) -> None:
    lines = [
        f"    total += np.{word}(x) * factor ** {place} - x[{place}:].{word}()" for place, word in enumerate(WORDS)
    ]
    mine = "import numpy as np\n\n\ndef scale(x, factor):\n    total = 0\n" + "\n".join(lines) + "\n    return total\n"
    theirs = mine.replace("total", "sum_of_all").replace("np", "numpy")
    made = Class(tmp_path / "out", [replace(kata(1), id="01_scale", slug="scale")])
    for id, source in (
        ("s1", mine),
        ("s2", theirs),
        ("s3", "def scale(x, factor):\n    return factor * x\n"),
        ("s4", mine),
    ):
        made.student(id, {"01_scale": (source.encode(), [P, P, P, F])})
    out = made.put()
    done = grade(course, "similar", out)
    assert done.returncode == 0
    assert done.stdout.startswith("01_scale\n  nearly the same: s1, s2, s4\n    s1 and s")
    assert "s3" not in done.stdout
    assert grade(course, "similar", out, "line").stdout == "no two files are alike\n"
    assert "几乎相同：s1，s2，s4" in grade(course, "similar", out, lang="zh").stdout.replace("、", "，")


WORDS = ("sum", "mean", "std", "var", "max", "min", "prod", "cumsum", "argmax", "argmin", "any", "all")


@pytest.mark.parametrize("verb", ["gradebook", "student", "similar", "mistakes", "appeal", "regrade"])
def test_each_verb_has_help_with_an_example_in_both_languages(course: Path, verb: str) -> None:
    assert f"Example: grade {verb} " in grade(course, verb, "--help").stdout.replace("\n", " ")
    assert f"例如：`grade {verb} " in grade(course, verb, "--help", lang="zh").stdout.replace("\n", " ")


def test_a_gradebook_speaks_chinese(course: Path, tmp_path: Path) -> None:
    out = small(tmp_path / "out")
    done = grade(course, "gradebook", out, "--format", "html", lang="zh")
    assert "4 名学生的 5 个文件" in done.stdout
    assert "这个班的常见错误" in (out / "gradebook" / "teacher.html").read_text(encoding="utf-8")
