"""What a teacher decided by hand: read with reason and author, or refused with everything that makes no sense."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from grader.classroom.overrides import read
from grader.errors import CourseFault, UsageFault

MOST = {"01_kata": 4.0, "02_kata": 6.0}
STUDENTS = ["s1", "s2"]
WHY = 'reason = "ill"\nauthor = "the teacher"\n'


def file(tmp_path: Path, *tables: str) -> Path:
    path = tmp_path / "overrides.toml"
    path.write_text("".join(f"[[override]]\n{table}\n" for table in tables), encoding="utf-8")
    return path


def test_each_decision_is_for_one_student_and_one_kata_or_all(tmp_path: Path) -> None:
    path = file(
        tmp_path,
        f'student = "s1"\nkata = "01_kata"\npoints = 2\n{WHY}',
        f'student = "s1"\ndue = 2026-10-05T00:00:00Z\n{WHY}',
        f'student = "s1"\nkata = "02_kata"\ndue = 2026-10-09T00:00:00Z\n{WHY}',
        f'student = "s2"\nkata = "02_kata"\nexcused = true\n{WHY}',
    )
    found = read(path, STUDENTS, MOST)
    due, points = found.of("s1", "01_kata")
    assert (due.due, points.points) == (datetime(2026, 10, 5, tzinfo=UTC), 2.0)
    assert (points.reason, points.author) == ("ill", "the teacher")
    (own,) = found.of("s1", "02_kata")
    assert own.due == datetime(2026, 10, 9, tzinfo=UTC)
    (excused,) = found.of("s2", "02_kata")
    assert excused.excused
    assert found.of("s2", "01_kata") == ()


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        (f'student = "s1"\nkata = "01_kata"\n{WHY}', "override[0] must have one of points, due, excused"),
        (
            f'student = "s1"\nkata = "01_kata"\npoints = 1\nexcused = true\n{WHY}',
            "must have one of points, due, excused",
        ),
        ('student = "s1"\nkata = "01_kata"\npoints = 1\nauthor = "a"', "override[0].reason is missing"),
        ('student = "s1"\nkata = "01_kata"\npoints = 1\nreason = " "\nauthor = "a"', "reason must not be empty"),
        (f'student = "s9"\nexcused = true\n{WHY}', "student must name students of this class, found s9"),
        (f'student = "s1"\nkata = "1_kata"\npoints = 1\n{WHY}', "found 1_kata; did you mean 01_kata?"),
        (f'student = "s1"\nkata = "01_kata"\npoints = 4.5\n{WHY}', "points must be <= 4, found 4.5"),
        (f'student = "s1"\nkata = "01_kata"\npoints = -1\n{WHY}', "points must be >= 0, found -1"),
        (f'student = "s1"\nkata = "01_kata"\npoints = nan\n{WHY}', "points must be >= 0, found nan"),
        (f'student = "s1"\nkata = "01_kata"\npoints = true\n{WHY}', "points must be a number"),
        (f'student = "s1"\npoints = 1\n{WHY}', "override[0].kata is missing"),
        (f'student = "s1"\nexcused = false\n{WHY}', "excused must be true"),
        (f'student = "s1"\ndue = "Monday"\n{WHY}', "due must look like 2026-10-01T23:59:00+08:00, found Monday"),
        (f"student = 17\nexcused = true\n{WHY}", "student must be text"),
        (f'student = "s1"\nexcused = true\nresaon = "x"\n{WHY}', "resaon is not a known field; did you mean reason?"),
    ],
)
def test_what_makes_no_sense_is_told_with_its_place(tmp_path: Path, table: str, fault: str) -> None:
    with pytest.raises(CourseFault) as caught:
        read(file(tmp_path, table), STUDENTS, MOST)
    assert fault in caught.value.message
    assert caught.value.message.startswith("overrides.toml: override[0]")


def test_two_decisions_of_one_sort_are_refused(tmp_path: Path) -> None:
    table = f'student = "s1"\nkata = "01_kata"\npoints = 1\n{WHY}'
    with pytest.raises(CourseFault, match=r"override\[1\] must not say the same twice"):
        read(file(tmp_path, table, table), STUDENTS, MOST)


@pytest.mark.parametrize("content", ["[override]\nstudent = 's1'", "override = 3"])
def test_what_is_no_list_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "overrides.toml").write_text(content)
    with pytest.raises(CourseFault, match="override must be a list"):
        read(tmp_path / "overrides.toml", STUDENTS, MOST)


@pytest.mark.parametrize("content", [b"[[override]", b"\xff"])
def test_what_cannot_be_read_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "overrides.toml").write_bytes(content)
    with pytest.raises(UsageFault, match="cannot be read"):
        read(tmp_path / "overrides.toml", STUDENTS, MOST)
    with pytest.raises(UsageFault, match="cannot be read"):
        read(tmp_path / "nothing.toml", STUDENTS, MOST)
