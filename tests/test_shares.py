"""A session that is kept: what its judges share, what comes first, and a brake that ends one run and no other."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from grader.course import Course, find
from grader.engine import key
from grader.engine.brake import Brake
from grader.engine.events import Heard
from grader.engine.judgement import Judgement
from grader.engine.shares import Known, Memory, shared
from grader.engine.task import Task, job_for
from grader.judge.job import Collected, Named
from grader.scorecard import KataResult, Scorecard, TestResult, Verdict
from grader.session import Listener, Session
from grader.store import Store
from grader.submission import read

TOY = Path(__file__).with_name("toy")


@pytest.fixture
def course(tmp_path: Path) -> Course:
    shutil.copytree(TOY, tmp_path / "course", ignore=shutil.ignore_patterns("__pycache__", ".grade"))
    return find(tmp_path / "course")


@pytest.fixture
def session(course: Course) -> Iterator[Session]:
    found = Session(course, Store(course.root, lambda said: None), jobs=2, memory=Memory())
    yield found
    found.close()


class Order(Listener):
    """The tests of a run as they ended."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def tested(self, kata: str, result: TestResult) -> None:
        self.names.append(result.name)


def right(course: Course) -> str:
    return course.reference(course.katas[0]).read_text()


def wrong(course: Course) -> str:
    return right(course).replace("np.split(x, 2)", "np.split(x[::-1], 2)")


def graded(session: Session, source: str, listener: Listener | None = None) -> KataResult:
    kata = session.course.katas[0]
    kata.stub.write_text(source)
    (result,) = session.grade([kata], fresh=True, listener=listener).katas
    return result


def task(course: Course) -> Task:
    kata = course.katas[0]
    return Task(("", kata.id), job_for(course, kata, read(kata, None, course)), kata.tests)


def test_a_run_that_ends_before_all_judges_said_their_tests_is_no_fault_of_ours(course: Course) -> None:
    """The tests are known, so those of a judge that had not begun were not run."""
    tests = tuple(Named(name, "value", "T") for name in ("test_shape", "test_values", "test_halves", "test_pure"))
    known = Known("", {test.name: 1.0 for test in tests}, "", tests)
    parts = shared(task(course), known, 2)
    judgement = Judgement(parts, known.tests)
    judgement.take(Heard(parts[0], Collected(tuple(test for test in tests if test.name in parts[0].job.only))))
    assert (
        [test.name for test in judgement.collected]
        == [test.name for test in tests]
        == [each.name for each in judgement.left]
    )


def test_parts_are_as_long_as_each_other_and_the_test_at_hand_leads(course: Course) -> None:
    known = Known("", {"a": 1.0, "b": 5.0, "c": 2.0, "d": 1.0}, "c")
    parts = [part.job.only for part in shared(task(course), known, 2)]
    assert parts == [("c", "a", "d"), ("b",)]
    assert [part.tests for part in shared(task(course), known, 2)] == [3, 1]
    assert [part.job.only for part in shared(task(course), known, 1)] == [("c", "a", "b", "d")]
    assert len(shared(task(course), known, 9)) == 4


def test_a_suite_that_is_not_known_or_another_since_is_judged_whole(course: Course) -> None:
    memory = Memory()
    assert [part.job.only for part in memory.judgement(task(course), "1", 2).tasks] == [()]
    tests = tuple(TestResult(name=name, kind="value", title="T", verdict=Verdict.PASS) for name in "ab")
    result = KataResult(
        id="01_scale", title="", verdict=Verdict.PASS, points=1, max=1, by_kind={}, seconds=0, from_store=False, tests=tests
    )  # fmt: skip
    memory.learn("1", result)
    assert sorted(part.job.only for part in memory.judgement(task(course), "1", 2).tasks) == [("a",), ("b",)]
    assert [part.job.only for part in memory.judgement(task(course), "2", 2).tasks] == [()]


def test_what_is_known_of_a_suite_outlives_its_session(course: Course, session: Session) -> None:
    graded(session, right(course))
    later = Memory(Store(course.root, lambda said: None))
    one = session.task(course.katas[0], read(course.katas[0], None, course))
    digest = key.of_course(one.job)
    assert len(later.judgement(one, digest, 2).tasks) == 1  # that session kept it to itself
    session.memory = Memory(session.store)
    graded(session, right(course))
    assert len(later.judgement(one, digest, 2).tasks) == 2
    session.store.put_note(course.katas[0].id, "suite", "{}")
    assert len(Memory(session.store).judgement(one, digest, 2).tasks) == 1


def test_two_judges_find_what_one_does_and_begin_with_the_test_at_hand(course: Course, session: Session) -> None:
    order = Order()
    first = graded(session, wrong(course), order)
    assert order.names == ["test_shape", "test_values", "test_halves", "test_pure"]
    second = graded(session, wrong(course))
    assert [test.name for test in second.tests] == order.names
    assert [(test.verdict, test.message, test.points) for test in second.tests] == [
        (test.verdict, test.message, test.points) for test in first.tests
    ]
    session.jobs = 1
    order = Order()
    passed = graded(session, right(course), order)
    assert order.names == ["test_halves", "test_shape", "test_values", "test_pure"]
    assert passed.verdict is Verdict.PASS and passed.points == passed.max
    session.grade([course.katas[0]])
    assert session.grade([course.katas[0]]).katas[0].from_store


class Pulling(Listener):
    """Pulls a brake once the first test has ended."""

    def __init__(self, brake: Brake) -> None:
        self.brake = brake

    def tested(self, kata: str, result: TestResult) -> None:
        threading.Thread(target=self.brake.pull).start()


LOOP = "    while True:\n        pass\n    # BEGIN SOLUTION: slice at the middle\n"


def test_a_brake_ends_its_run_and_the_next_one_goes_on(course: Course, session: Session) -> None:
    kata = course.katas[0]
    kata.stub.write_text(right(course).replace("    # BEGIN SOLUTION: slice at the middle\n", LOOP))
    brake = Brake()
    card: Scorecard = session.grade([kata], listener=Pulling(brake), brake=brake)
    assert not card.complete and card.katas[0].verdict is Verdict.NOT_RUN
    assert "pass" in [test.verdict for test in card.katas[0].tests]
    ladder = session.keeper.current
    assert graded(session, right(course)).verdict is Verdict.PASS
    assert session.keeper.current is ladder is not None


def test_a_brake_that_was_pulled_before_lets_nothing_begin(course: Course, session: Session) -> None:
    brake = Brake()
    brake.pull()
    card = session.grade([course.katas[0]], fresh=True, brake=brake)
    assert (card.katas, card.complete, session.keeper.current) == ((), False, None)


def test_a_ladder_that_was_warmed_is_the_one_that_judges(course: Course, session: Session) -> None:
    session.warm(course.katas[:1])
    ladder = session.keeper.current
    assert graded(session, right(course)).verdict is Verdict.PASS
    assert ladder is not None and session.keeper.current is ladder
