"""The bench: trials go to judges on one warm ladder, and what is known already is taken from the store."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from zlib import error as ZlibError

import msgspec
from msgspec.structs import replace

from grader.authoring.proving import outcome as outcomes
from grader.authoring.proving.case import Case
from grader.authoring.proving.outcome import Outcome, Trial, outcome, pack, unpack
from grader.authoring.proving.pace import pace
from grader.authoring.proving.subject import Subject
from grader.engine import key
from grader.engine.engine import Engine
from grader.engine.events import Ended
from grader.engine.judgement import Judgement
from grader.engine.keeper import Keeper
from grader.engine.task import Task, job_for
from grader.store import Store
from grader.submission import Submission


@dataclass
class Bench:
    """One store, one ladder; `tell` hears of every trial that had to be judged, and how many are left.

    `pace` says how much slower than meant the machine is, whenever it is asked; `environment` is what judges and workers are
    given beside their usual one.
    """

    store: Store
    jobs: int = 1
    fresh: bool = False
    tell: Callable[[Subject, Case, int], None] = lambda subject, case, left: None
    pace: Callable[[], float] = pace
    environment: Mapping[str, str] = field(default_factory=dict)
    lent: Keeper | None = None  # somebody else's ladder, which stays
    judged: int = 0
    _courses: dict[Subject, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._keeper = self.lent or Keeper(self.environment)

    def run(self, asked: Iterable[tuple[Subject, Trial]], *, keep: bool = True, alone: bool = False) -> list[Outcome]:
        """The outcomes of trials, in the order asked; the trials are best given longest first.

        With keep=False nothing is taken from the store or put there; with alone=True one trial runs at a time.
        """
        trials = list(asked)
        found: dict[int, Outcome] = {}
        tasks = [self._task(subject, trial, place) for place, (subject, trial) in enumerate(trials)]
        keys = [self._key(*each, task) if keep else "" for each, task in zip(trials, tasks, strict=True)]
        for place, stored_as in enumerate(keys):
            known = self._known(stored_as) if keep and not self.fresh else None
            if known is not None:
                found[place] = known
        left = {task: place for place, task in enumerate(tasks) if place not in found}
        for task, judgement in self._judged(left, 1 if alone else self.jobs):
            place = left[task]
            subject, trial = trials[place]
            found[place] = outcome(judgement)
            self.judged += 1
            if keep and found[place].storable:
                self.store.put_check(keys[place], subject.id, pack(found[place]))
            self.tell(subject, trial.case, len(trials) - len(found))
        return [found[place] for place in range(len(trials))]

    def anew(self) -> None:
        """Begin another round on the same ladder: what lies on disk may be other than before."""
        self._courses.clear()
        self.judged = 0

    def close(self) -> None:
        """Take down the ladder, unless it was lent."""
        if self.lent is None:
            self._keeper.close()

    def _judged(self, tasks: Iterable[Task], at_once: int) -> Iterator[tuple[Task, Judgement]]:
        """What was found on each task, as they end."""
        judgements = {task: Judgement([task]) for task in tasks}
        with closing(Engine(self._keeper, at_once)) as engine:
            for task in judgements:
                engine.add(task)
            for event in engine.events():
                judgements[event.task].take(event)
                if isinstance(event, Ended):
                    yield event.task, judgements.pop(event.task)

    def _task(self, subject: Subject, trial: Trial, place: int) -> Task:
        read = Submission(subject.id, subject.kata.stub, trial.case.file, trial.case.source)
        job = job_for(subject.course, subject.kata, read, trial.seed)
        seconds = min(trial.seconds or job.seconds, job.seconds)
        job = replace(job, threads=trial.threads, local=trial.local, only=trial.only, stop=trial.stop, seconds=seconds)
        return Task((str(place), subject.id), job, len(trial.only) or subject.kata.tests)

    def _known(self, stored_as: str) -> Outcome | None:
        content = self.store.known_check(stored_as)
        try:
            return None if content is None else unpack(content)
        except (msgspec.MsgspecError, ZlibError):
            return None

    def _key(self, subject: Subject, trial: Trial, task: Task) -> str:
        """The digest of all that an outcome depends on."""
        course = self._courses.get(subject) or self._courses.setdefault(subject, key.of_course(task.job))
        more: dict[str, str | bytes] = {
            "again": str(trial.again),
            "recorded as": Path(outcomes.__file__).read_bytes(),
            "without": os.environ.get("GRADKATA_TEST_WITHOUT", ""),
            "environment": repr(sorted(self.environment.items())),
        }
        return key.of(task.job, course, more)


def in_order(trials: Sequence[tuple[Subject, Trial]]) -> list[tuple[Subject, Trial]]:
    """The same trials, those that take longest first: right solutions on 2 threads, on one, and then what fails early."""
    return sorted(
        trials, key=lambda each: (not each[1].case.right, -each[1].threads, bool(each[1].only), each[1].local)
    )
