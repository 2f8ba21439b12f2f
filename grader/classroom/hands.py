"""Who judges: from contents to results as they come, by judges of this machine or, behind the same two calls, of others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Protocol

from grader import diagnosis
from grader.classroom.journal import Job
from grader.course import Course
from grader.diagnosis import Fingerprints
from grader.engine.engine import TRIES, Engine
from grader.engine.events import Ended
from grader.engine.hold import wait
from grader.engine.judgement import Judgement
from grader.engine.keeper import Keeper
from grader.engine.plan import Plan
from grader.engine.sandbox import Sandbox
from grader.engine.task import Task, job_for
from grader.errors import InternalFault
from grader.kata import Kata
from grader.scorecard import KataResult, Verdict
from grader.seeds import Secret
from grader.submission import Submission

LOSSES = 3  # of a content under which something of ours dies, each on a ladder of its own, before that is its result


@dataclass(frozen=True)
class Work:
    """One content to judge."""

    job: Job
    source: bytes


@dataclass(frozen=True)
class Finding:
    """What one came to, and the layers of the sandbox in which it did."""

    job: Job
    result: KataResult
    layers: frozenset[str]


class Hands(Protocol):
    """Judges, wherever they are."""

    def ready(self) -> Sandbox:
        """What stands between workers and the machine, as found by trying. Raises InternalFault where none can start."""

    def judge(self, work: Iterator[Work]) -> Iterator[Finding]:
        """What each comes to, in the order in which that is known. `work` is drawn on as judges become free."""

    def stop(self) -> None:
        """Let `judge` end soon. From any thread, and from a signal's handler."""

    def close(self) -> None:
        """Let go of all judges."""


class Bench:
    """What judges know of the katas: how a content becomes a task, and a judgement a result."""

    def __init__(self, course: Course, katas: Sequence[Kata], seed: Secret) -> None:
        self.course, self.seed = course, seed
        self.katas = {kata.id: kata for kata in katas}
        self._mistakes: dict[str, Fingerprints] = {}

    def task(self, work: Work) -> Task:
        """What an engine is given."""
        id, digest = work.job
        kata = self.katas[id]
        read = Submission(id, Path(), kata.stub.name, work.source, digest)
        return Task((digest, id), job_for(self.course, kata, read, self.seed.digits), kata.tests)

    def reach(self) -> Plan:
        """How far a ladder must reach for all of the katas: for a worker of each kind, a right solution may train."""
        plans = [self.task(Work((id, ""), b"optim")).plan for id in self.katas]
        return reduce(or_, plans)

    def result(self, job: Job, judgement: Judgement) -> KataResult:
        """What was judged, with the known mistakes that it is the trace of."""
        id, digest = job
        kata = self.katas[id]
        result = judgement.result(kata, stub=kata.stub.name, readme=f"katas/{id}/README.md", sha256=digest)
        if result.verdict is Verdict.PASS:
            return result
        if id not in self._mistakes:
            self._mistakes[id] = diagnosis.load(self.course, kata)
        return diagnosis.diagnosed(result, self._mistakes[id])


class Local:
    """The judges of this machine, `at_once` at a time."""

    def __init__(self, bench: Bench, at_once: int) -> None:
        self._bench = bench
        self._keeper = Keeper()
        self._at_once = at_once
        self._engine = Engine(self._keeper, at_once)
        self._layers = frozenset[str]()

    def ready(self) -> Sandbox:
        plan = self._bench.reach()
        for attempt in range(TRIES):
            ladder = self._keeper.reaching(plan, plan)
            try:
                wait(ladder)
                break
            except InternalFault:
                self._keeper.retire(ladder)
                self._keeper.tidy([])
                if attempt == TRIES - 1:
                    raise
        self._layers = ladder.sandbox.layers
        return ladder.sandbox

    def judge(self, work: Iterator[Work]) -> Iterator[Finding]:
        going: dict[Task, tuple[Work, Judgement, int]] = {}

        def begin(each: Work, losses: int = 0) -> None:
            task = self._bench.task(each)
            going[task] = each, Judgement([task]), losses
            self._engine.add(task)

        def fill() -> None:
            while len(going) < 2 * self._at_once and (following := next(work, None)) is not None:
                begin(following)

        fill()
        with closing(self._engine.events()) as events:
            for event in events:
                each, judgement, losses = going[event.task]
                judgement.take(event)
                if not isinstance(event, Ended):
                    continue
                del going[event.task]
                if event.lost and losses + 1 < LOSSES:
                    begin(each, losses + 1)
                else:
                    ladder = self._engine.began
                    if ladder is not None and ladder.standing:  # a new one may be on its way, after a loss
                        self._layers = ladder.sandbox.layers
                    yield Finding(each.job, self._bench.result(each.job, judgement), self._layers)
                fill()

    def stop(self) -> None:
        self._engine.stop()

    def close(self) -> None:
        self._engine.close()
        with suppress(OSError):
            self._keeper.close()
