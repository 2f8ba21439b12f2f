"""What is given to an engine: one submission on one kata, or some of its tests."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from grader.course import Course
from grader.engine.plan import Plan
from grader.judge.job import Job
from grader.kata import Kata
from grader.submission import Submission
from grader.workerkinds import kind_of

Of = tuple[str, str]  # submission, kata


@dataclass(frozen=True, eq=False)
class Task:
    """One job for one judge. Tasks of one submission and kata have the same `of`, and their results are one."""

    of: Of
    job: Job
    tests: int  # how many there will be, for the judge's deadline

    @cached_property
    def plan(self) -> Plan:
        """How far a ladder must reach for it."""
        return Plan.of(self.job.worker, map(Path, self.job.suites), self.job.source)


def job_for(course: Course, kata: Kata, read: Submission, seed: int | str = 0, *, hidden: bool = True) -> Job:
    """What a judge needs to judge one file on one kata; without `hidden`, on what a learner's repository has."""
    return Job(
        kata=kata.id,
        slug=kata.slug,
        root=str(course.root),
        suites=tuple(map(str, [kata.suite, *([kata.hidden] if kata.hidden and hidden else [])])),
        reference=str(course.reference(kata)),
        worker=kata.worker,
        source=read.source or b"",
        seconds=kata.seconds * course.settings.slower,
        memory_bytes=kata.memory_mb << 20,
        forbidden_operators=kata.forbidden_operators,
        forbidden_jobs=kata.forbidden_jobs,
        forbidden_imports=kata.forbidden_imports + kind_of(kata.worker).refused,
        entry_points=kata.entry_points,
        seed=seed,
    )
