"""The late policy of a course: which part of its points a file keeps, and settings that make no sense."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.classroom import late
from grader.classroom.late import Late, Policy
from grader.course import find
from grader.errors import CourseFault
from tests.workshop import scaffold

DUE = datetime(2026, 10, 1, 23, 59, tzinfo=UTC)
POLICY = Policy(due=DUE, percent_per_day=10.0, most_percent=35.0, grace=timedelta(minutes=30), closed_after_days=7)
KATAS = ("01_scale", "02_line")


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (timedelta(days=-1), Late()),
        (timedelta(0), Late()),
        (timedelta(minutes=30), Late()),
        (timedelta(minutes=31), Late(1, 10.0)),
        (timedelta(days=1), Late(1, 10.0)),
        (timedelta(days=1, seconds=1), Late(2, 20.0)),
        (timedelta(days=3, hours=1), Late(4, 35.0)),
        (timedelta(days=7), Late(7, 35.0)),
        (timedelta(days=7, seconds=1), Late(8, 100.0)),
    ],
)
def test_each_day_that_has_begun_costs_until_the_most_and_the_end(after: timedelta, expected: Late) -> None:
    assert POLICY.late(DUE, DUE + after) == expected


def test_nothing_is_late_without_a_deadline_or_a_time() -> None:
    assert POLICY.late(None, DUE) == POLICY.late(DUE, None) == Late()


def test_what_a_platform_calls_late_costs_a_day_where_no_time_says_more() -> None:
    assert POLICY.late(DUE, None, marked=True) == POLICY.late(None, DUE, marked=True) == Late(1, 10.0)
    assert POLICY.late(DUE, DUE - timedelta(hours=1), marked=True) == Late()


def test_nothing_counts_after_a_students_own_end() -> None:
    closes = DUE + timedelta(days=1)
    assert POLICY.late(DUE, closes, closes=closes) == Late(1, 10.0)
    assert POLICY.late(DUE, closes + timedelta(seconds=1), closes=closes) == Late(2, 100.0)


@given(st.floats(0, 1e6), st.floats(0, 100), st.floats(0, 100), st.floats(0, 1e5))
def test_being_late_never_gives_points_and_never_takes_more_than_there_are(
    hours: float, a_day: float, most: float, points: float
) -> None:
    policy = Policy(due=DUE, percent_per_day=a_day, most_percent=most)
    sooner = policy.late(DUE, DUE + timedelta(hours=hours))
    later = policy.late(DUE, DUE + timedelta(hours=hours + 24))
    assert 0 <= later.of(points) <= sooner.of(points) <= points


SETTINGS = """
due = 2026-10-01T23:59:00+08:00
grace_minutes = 15
percent_per_day = 5
most_percent = 50
closed_after_days = 14
[katas]
02_line = 2026-10-15T12:00:00
"""


def test_settings_are_read_and_a_moment_without_a_zone_is_in_utc() -> None:
    policy = late.of(tomllib.loads(SETTINGS), KATAS)
    assert policy.due_of("01_scale") == datetime(2026, 10, 1, 15, 59, tzinfo=UTC)
    assert policy.due_of("02_line") == datetime(2026, 10, 15, 12, tzinfo=UTC)
    assert (policy.grace, policy.percent_per_day) == (timedelta(minutes=15), 5.0)
    assert (policy.most_percent, policy.closed_after_days) == (50.0, 14.0)


def test_nothing_is_late_where_nothing_is_set() -> None:
    assert late.of({}, KATAS) == Policy()
    assert Policy().due_of("01_scale") is None


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ('due = "soon"', "late.due must look like 2026-10-01T23:59:00+08:00, found soon"),
        ("due = 2026-10-01", "late.due must look like"),
        ("katas.03_more = 2026-10-01T00:00:00Z", "late.katas must name katas of this course, found 03_more"),
        ("katas.02_line = 3", "late.katas.02_line must look like"),
    ],
)
def test_a_deadline_that_is_none_is_the_courses_fault(settings: str, fault: str) -> None:
    with pytest.raises(CourseFault, match=r"course\.toml: ") as caught:
        late.of(tomllib.loads(settings), KATAS)
    assert fault in caught.value.message


@pytest.mark.parametrize(
    "setting", ["percent_per_day = 101", "grace_minutes = -1", "per_day = 3", "most_percent = nan"]
)
def test_the_settings_of_a_course_are_held_to_their_schema(tmp_path: Path, setting: str) -> None:
    root = scaffold(tmp_path / "course").root
    with (root / "course.toml").open("a") as file:
        file.write(f"[late]\n{setting}\n")
    with pytest.raises(CourseFault, match="late"):
        find(root, root)


def test_the_settings_stand_in_course_toml(tmp_path: Path) -> None:
    course = scaffold(tmp_path / "course")
    assert late.policy(course.root, KATAS) == Policy()
    with (course.root / "course.toml").open("a") as file:
        file.write("[late]\ndue = 2026-10-01T23:59:00Z\npercent_per_day = 10\n")
    assert find(course.root, course.root).katas == course.katas
    assert late.policy(course.root, KATAS) == Policy(due=DUE, percent_per_day=10.0)
    (course.root / "course.toml").unlink()
    assert late.policy(course.root, KATAS) == Policy()
