"""A gradebook over a journal: what counts of what was judged, and what is told of a class."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from grader.classroom.exports.statistics import OfClass
from grader.classroom.gradebook import Cell, Gradebook, Sheet, scorecard
from grader.classroom.journal import Journal
from grader.classroom.late import Policy
from grader.classroom.overrides import Override, Overrides
from grader.scorecard import Verdict

from .pupils import BUG, OURS, WORKS, Class, F, P, T, kata, small

POLICY = Policy(due=datetime(2026, 10, 1, tzinfo=UTC), percent_per_day=10.0)


@contextmanager
def opened(out: Path, *decided: Override, policy: Policy = POLICY) -> Iterator[Gradebook]:
    with closing(Journal.read(out)) as journal:
        yield Gradebook(journal, policy, Overrides(decided))


def sheets(out: Path, *decided: Override, policy: Policy = POLICY) -> dict[str, Sheet]:
    with opened(out, *decided, policy=policy) as book:
        return {sheet.student.id: sheet for sheet in book}


def decided(student: str, kata: str = "01_kata", **decision: object) -> Override:
    return Override(student, kata, "ill", "the teacher", **decision)  # type: ignore[arg-type]


def cell(sheet: Sheet, kata: str = "01_kata") -> Cell:
    return next(each for each in sheet.cells if each.kata.id == kata)


def test_points_that_were_judged_stay_and_what_is_late_counts_less(tmp_path: Path) -> None:
    found = sheets(small(tmp_path))
    assert (found["s1"].points, found["s1"].max, found["s1"].complete) == (8.0, 8.0, True)
    late = cell(found["s2"])
    assert (late.raw, late.late.days, late.late.percent) == (2.0, 3, 30.0)
    assert late.points == pytest.approx(1.4)
    assert sheets(tmp_path, policy=Policy())["s2"].points == 4.0


def test_points_are_rounded_once_and_what_is_shown_adds_up(tmp_path: Path) -> None:
    made = Class(tmp_path)
    made.student("s1", {"01_kata": (WORKS, [P, P, F, F]), "02_kata": (WORKS, [P, P, F, F])})
    made.results = [replace(each, points=points) for each, points in zip(made.results, (8 / 3, 1.005), strict=True)]
    found = sheets(made.put())["s1"]
    assert [(each.raw, each.points) for each in found.cells] == [(2.67, 2.67), (1.01, 1.01)]
    assert found.points == 3.68
    by_hand = sheets(tmp_path, decided("s1", points=1.125))["s1"]
    assert (cell(by_hand).points, by_hand.points) == (1.13, 2.14)


def test_what_is_not_judged_and_what_is_our_fault_has_no_points_and_gives_no_total(tmp_path: Path) -> None:
    found = sheets(small(tmp_path))["s3"]
    assert cell(found).ours
    assert [(each.raw, each.points, each.open) for each in found.cells] == [(None, None, True)] * 2
    assert not found.complete


def test_what_was_not_handed_in_has_no_points_and_is_no_open_question(tmp_path: Path) -> None:
    found = sheets(small(tmp_path))["s4"]
    assert (found.points, found.max, found.complete) == (0.0, 8.0, True)


def test_points_by_hand_count_whatever_was_judged_and_however_late(tmp_path: Path) -> None:
    given = [decided("s2", points=3.5), decided("s3", points=0.0), decided("s3", "02_kata", points=1.0)]
    found = sheets(small(tmp_path), *given)
    assert (cell(found["s2"]).raw, cell(found["s2"]).points) == (2.0, 3.5)
    assert (found["s3"].points, found["s3"].complete) == (1.0, True)


def test_what_is_excused_counts_neither_way(tmp_path: Path) -> None:
    found = sheets(small(tmp_path), decided("s3", "", excused=True), decided("s4", excused=True))
    assert (found["s3"].points, found["s3"].max, found["s3"].complete) == (0.0, 0.0, True)
    assert (found["s4"].max, cell(found["s4"]).points) == (4.0, None)


def test_points_by_hand_stand_over_an_excuse(tmp_path: Path) -> None:
    found = sheets(small(tmp_path), decided("s4", "", excused=True), decided("s4", points=2.0))
    assert (found["s4"].points, found["s4"].max) == (2.0, 4.0)


def test_a_deadline_of_ones_own_comes_first(tmp_path: Path) -> None:
    own = decided("s2", due=datetime(2026, 10, 3, tzinfo=UTC))
    found = sheets(small(tmp_path), own)["s2"]
    assert [each.late.days for each in found.cells] == [1, 3]


def test_the_rosters_deadline_stands_before_the_courses(tmp_path: Path) -> None:
    made = Class(tmp_path)
    file = {"01_kata": (WORKS, [P, P, P, P])}
    made.student("long", file, time="2026-10-04T12:00:00+00:00", due="2026-10-04T20:00:00+08:00")
    made.student("late", file, time="2026-10-04T12:00:01+00:00", due="2026-10-04T20:00:00+08:00")
    made.student("over", file, time="2026-10-04T12:00:00+00:00", late="2026-10-02T00:00:00+00:00")
    found = sheets(made.put())
    assert [cell(found[id]).late.percent for id in ("long", "late", "over")] == [0.0, 10.0, 100.0]
    own = decided("over", due=datetime(2026, 10, 4, tzinfo=UTC))
    assert cell(sheets(tmp_path, own)["over"]).late.percent == 10.0


def test_a_scorecard_holds_one_student_alone_and_what_is_not_judged_is_said(tmp_path: Path) -> None:
    with opened(small(tmp_path)) as book:
        cards = {sheet.student.id: scorecard(sheet, book.facts) for sheet in book}
    assert (cards["s2"].score.points, cards["s2"].score.max, cards["s2"].complete) == (4.0, 8.0, True)
    assert cards["s3"].unfinished == ("02_kata",)
    assert (cards["s1"].seed, cards["s1"].seed_sha256) == (None, book.facts.seed_sha256)


def statistics(out: Path, *decided: Override) -> OfClass:
    with opened(out, *decided) as book:
        found = OfClass.of(book.facts)
        for sheet in book:
            found.add(sheet)
    return found


def test_a_class_is_told_by_its_katas_tests_and_bugs(tmp_path: Path) -> None:
    found = statistics(small(tmp_path))
    one = found.katas["01_kata"]
    assert (one.handed_in, one.judged, one.passed, one.late, one.waiting) == (3, 2, 1, 1, 0)
    assert found.katas["02_kata"].waiting == 1
    assert {test.name: (test.passed, test.tried) for test in one.tests.values()} == {
        "test_0": (2, 2), "test_1": (1, 2), "test_2": (1, 2), "test_3": (2, 2),
    }  # fmt: skip
    assert [(test.kata, test.name) for test in found.hardest()] == [("01_kata", "test_1"), ("01_kata", "test_2")]
    assert [(bug.kata, bug.says, count) for bug, count in found.worst_bugs()] == [("01_kata", BUG, 1)]
    assert found.internal == [("s3", "01_kata", "")]
    assert (found.students, found.complete) == (4, 3)
    assert one.memory == [123.0, 123.0]


def test_a_bug_counts_once_for_each_student_who_made_it(tmp_path: Path) -> None:
    made = Class(tmp_path, [kata(1)])
    for place in range(5):
        verdicts = [P, F, F, F] if place < 3 else [P, P, F, P]
        made.student(f"s{place}", {"01_kata": (b"%d" % place, verdicts)}, bug=BUG if place < 3 else "another")
    found = statistics(made.put())
    assert [(bug.says, count) for bug, count in found.worst_bugs()] == [(BUG, 3), ("another", 2)]


def test_what_nobody_tried_is_not_hard(tmp_path: Path) -> None:
    made = Class(tmp_path, [kata(1)])
    made.student("s1", {"01_kata": (b"1", [P, T, T, F])})
    found = statistics(made.put())
    assert [test.name for test in found.hardest()] == ["test_3"]


@pytest.mark.parametrize(("points", "place"), [(0.0, 0), (0.39, 0), (0.4, 1), (3.59, 8), (3.6, 9), (4.0, 9)])
def test_the_distribution_has_ten_equal_parts(tmp_path: Path, points: float, place: int) -> None:
    made = Class(tmp_path, [kata(1)])
    made.student("s1", {"01_kata": (b"1", [P, P, P, OURS])})
    counts = statistics(made.put(), decided("s1", points=points)).distribution()
    assert counts == [int(place == each) for each in range(10)]


def test_verdicts_of_a_kata_are_counted(tmp_path: Path) -> None:
    found = statistics(small(tmp_path))
    assert found.katas["01_kata"].verdicts == {
        Verdict.PASS: 1, Verdict.FAIL: 1, Verdict.INTERNAL: 1, Verdict.ERROR: 1,
    }  # fmt: skip
