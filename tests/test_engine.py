"""The engine: tasks in, events out, to be cancelled and stopped at any moment; and the fold that makes results of events."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
from msgspec.structs import replace

from grader.course import Course
from grader.engine import processors
from grader.engine.engine import Engine
from grader.engine.events import Again, Ended, Heard
from grader.engine.judgement import Judgement
from grader.engine.keeper import Keeper
from grader.engine.task import Task, job_for
from grader.judge.job import Began, Collected, Done, Held, Judged, Named
from grader.scorecard import TestResult, Verdict
from grader.submission import read


@pytest.fixture(scope="module")
def keeper() -> Iterator[Keeper]:
    with closing(Keeper()) as kept:
        yield kept


@pytest.fixture
def engine(keeper: Keeper) -> Iterator[Engine]:
    with closing(Engine(keeper, 2)) as made:
        yield made


def task(toy: Course, only: tuple[str, ...] = (), submission: str = "a") -> Task:
    """The reference of a toy kata."""
    (scale,) = toy.select(["scale"])
    job = job_for(toy, scale, read(scale, toy.root / "reference", toy))
    return Task((submission, scale.id), replace(job, only=only), len(only) or scale.tests)


def test_two_judges_share_the_tests_of_a_kata_and_its_result_is_one(toy: Course, engine: Engine) -> None:
    halves = [task(toy, ("test_pure", "test_values")), task(toy, ("test_shape", "test_halves"))]
    judgement = Judgement(halves)
    for half in halves:
        engine.add(half)
    for event in engine.events():
        judgement.take(event)
    assert judgement.done and not judgement.faults
    assert {test.name: test.verdict for test in judgement.tests} == dict.fromkeys(
        ["test_values", "test_pure", "test_shape", "test_halves"], Verdict.PASS
    )
    assert all(test.peak_memory_mb for test in judgement.tests[:1])


def test_two_submissions_on_one_kata_are_two_results(toy: Course, engine: Engine) -> None:
    both = [task(toy, submission=name) for name in "ab"]
    judgements = {each.of: Judgement([each]) for each in both}
    for each in both:
        engine.add(each)
    for event in engine.events():
        judgements[event.task.of].take(event)
    assert [len(found.tests) for found in judgements.values()] == [4, 4]


def test_a_task_can_be_added_and_cancelled_while_events_come(toy: Course, engine: Engine) -> None:
    first, waiting, late = (task(toy, submission=name) for name in ("first", "waiting", "late"))
    running = task(toy, submission="running")
    for each in (first, running, waiting):
        engine.add(each)
    ended = []
    for event in engine.events():
        if isinstance(event, Heard) and isinstance(event.said, Began) and event.task is running:
            engine.cancel(running)
            engine.cancel(waiting)
            engine.add(late)
        if isinstance(event, Ended):
            ended.append(event.task)
    assert set(ended) == {first, late} and len(ended) == 2


def test_another_thread_stops_it_also_before_it_began(toy: Course, keeper: Keeper) -> None:
    with closing(Engine(keeper)) as engine:
        engine.add(task(toy))
        thread = threading.Thread(target=engine.stop)
        thread.start()
        thread.join()
        assert list(engine.events()) == []


def test_the_ladder_grows_with_what_is_asked_and_covers_what_it_did(toy: Course, keeper: Keeper) -> None:
    scale, line = toy.select(["scale", "line"])
    plans = [Task(("", each.id), job_for(toy, each, read(each, None, toy)), 1).plan for each in (scale, line)]
    with closing(Keeper()) as small:
        first = small.reaching(plans[0], plans[0])
        assert small.reaching(plans[0], plans[0]) is first
        second = small.reaching(plans[1], plans[1])
        assert second is not first and second.plan.covers(plans[0]) and second.plan.covers(plans[1])


# The fold


def named(*names: str) -> Collected:
    return Collected(tuple(Named(name, "value", name) for name in names))


def judged(name: str, verdict: Verdict = Verdict.PASS) -> Judged:
    return Judged(TestResult(name=name, kind="value", title=name, verdict=verdict), "digest")


def test_what_was_heard_before_another_try_is_void(toy: Course) -> None:
    one = task(toy)
    judgement = Judgement([one])
    for said in (named("a", "b"), Began("a"), judged("a", Verdict.FAIL)):
        judgement.take(Heard(one, said))
    judgement.take(Again(one, "killed"))
    assert not judgement.tests and not judgement.begun and not judgement.collected
    for said in (named("a", "b"), Began("a"), judged("a"), Began("b"), judged("b"), Held("a", 12.5), Done(2)):
        judgement.take(Heard(one, said))
    assert [(test.verdict, test.peak_memory_mb) for test in judgement.tests] == [("pass", 12.5), ("pass", None)]
    assert judgement.done


def test_a_judge_that_counts_otherwise_is_not_done(toy: Course) -> None:
    one = task(toy)
    judgement = Judgement([one])
    for said in (named("a", "b"), judged("a"), Done(2)):
        judgement.take(Heard(one, said))
    assert not judgement.done


# Processors


def test_two_judges_of_whatever_run_never_share_a_processor() -> None:
    here = len(os.sched_getaffinity(0))
    claims = [processors.claim(1) for _ in range(here + 1)]
    given = [claim.number for claim in claims if claim is not None]
    assert len(given) == len(set(given))
    for claim in claims:
        if claim is not None:
            claim.release()
    assert processors.claim(here + 1) is None
