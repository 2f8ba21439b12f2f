"""A grading session: katas and learners' files in, a scorecard out; what is known already is not judged again.

The ladder is started for the first kata that must be judged, and stays warm for the next run of the same session.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from grader import __version__, diagnosis, submission
from grader.course import Course
from grader.engine import key
from grader.engine.brake import Brake
from grader.engine.engine import Engine
from grader.engine.events import Again, Ended, Event, Heard
from grader.engine.judgement import Judgement, not_run
from grader.engine.keeper import Keeper
from grader.engine.plan import Plan
from grader.engine.sandbox import accepts
from grader.engine.shares import Memory
from grader.engine.task import Task, job_for
from grader.judge.job import Began, Judged
from grader.kata import Kata
from grader.messages import message, text
from grader.scorecard import KataResult, Scorecard, TestResult, Verdict, grade_kata, reject_kata, total, worded
from grader.seeds import Secret
from grader.store import NOTEBOOK, Store
from grader.submission import Submission, Typed

_NOTHING_RAN = str(text("nothing was run: every result is from the store"))
_NO_FILE = str(text("nothing was run: there was no file to judge"))
_TOO_EARLY = str(text("nothing was run: the run ended before a worker could start"))


class Listener:
    """What a session tells while it runs, in the session's own thread. To be overridden where it matters."""

    def planned(self, tests: Mapping[str, int], expected: Mapping[str, float]) -> None:
        """The katas that must be judged with their numbers of tests, and the seconds that each took the last time."""

    def started(self, kata: str) -> None:
        """A judge has taken up a kata: for the second time, where something on our side died."""

    def tested(self, kata: str, result: TestResult) -> None:
        """One test of it has ended."""

    def finished(self, result: KataResult) -> None:
        """All of its tests have ended."""

    def changed(self, partial: Scorecard) -> None:
        """The scorecard as it stands after another kata."""


@dataclass
class Session:
    """One course, one store, one warm ladder."""

    course: Course
    store: Store
    seed: int | Secret = 0
    jobs: int = 1
    hidden: bool = True
    choose: str = ""  # the tests that are judged of a kata, as in `grader.judge.choice`; "" for all
    stop_at_first: bool = False  # of every kata that does not pass
    keeper: Keeper = field(default_factory=Keeper)
    memory: Memory | None = None  # with one, the judges share a kata whose suite is known, the test at hand first
    _run: _Run | None = None
    _stopped: bool = False

    def grade(
        self,
        katas: Sequence[Kata],
        source_dir: Path | None = None,
        *,
        fresh: bool = False,
        listener: Listener | None = None,
        brake: Brake | None = None,
        typed: Mapping[str, Typed] | None = None,
    ) -> Scorecard:
        """Grade `katas` on the learner's files in the course or in `source_dir`, or on what was typed, by the katas' ids.

        Where it is stopped, by its brake or for good, or interrupted, the scorecard says what was left, and holds every
        verdict that was given.
        """
        with closing(_Run(self, katas, source_dir, listener or Listener(), typed or {})) as self._run:
            if self._stopped:
                self._run.engine.stop()
            with suppress(KeyboardInterrupt), (brake or Brake()).on(self._run.engine.stop):
                self._run.go(fresh)
            return self._run.card(ended=True)

    def warm(self, katas: Iterable[Kata]) -> None:
        """Let the ladder climb as far as these katas need, while nobody waits for it. Raises InternalFault."""
        plan = reduce(or_, (task.plan for task in self.tasks(katas)), Plan())
        self.keeper.reaching(plan, plan)

    def stop(self) -> None:
        """Bring what is going on to its end, and begin nothing more. From any thread, and from a signal's handler."""
        self._stopped = True
        if self._run is not None:
            self._run.engine.stop()

    def tasks(self, katas: Iterable[Kata], source_dir: Path | None = None) -> list[Task]:
        """What an engine is given to judge the files of `katas`."""
        read = [(kata, submission.read(kata, source_dir, self.course)) for kata in katas]
        return [self.task(kata, file) for kata, file in read]

    def task(self, kata: Kata, read: Submission) -> Task:
        """What an engine is given to judge one file on one kata."""
        seed = self.seed.digits if isinstance(self.seed, Secret) else self.seed
        job = job_for(self.course, kata, read, seed, hidden=self.hidden)
        job = replace(job, choose=self.choose, stop=self.stop_at_first)
        return Task((read.sha256, kata.id), job, kata.tests)

    def close(self) -> None:
        """Take down the ladder and let go of the store."""
        self.keeper.close()
        self.store.close()


@dataclass(eq=False)
class _Work:
    """One file on one kata, and what has been said of it."""

    kata: Kata
    read: Submission
    task: Task
    course: str  # the digest of what its verdicts depend on beside the file
    stored_as: str
    judgement: Judgement


class _Run:
    """One run of a session: from the katas that are asked for to a scorecard, folded from the engine's events."""

    def __init__(
        self,
        session: Session,
        katas: Sequence[Kata],
        source_dir: Path | None,
        tell: Listener,
        typed: Mapping[str, Typed],
    ) -> None:
        self.engine = Engine(session.keeper, session.jobs)
        self._session = session
        self._store = session.store
        self._katas = katas
        self._source_dir = source_dir
        self._tell = tell
        self._typed = typed
        self._results: dict[str, KataResult] = {}
        self._work: dict[Task, _Work] = {}
        self._began, self._started = time.perf_counter(), datetime.now(UTC).isoformat(timespec="seconds")

    def go(self, fresh: bool) -> None:
        """Answer what is known, and judge the rest, what takes longest first."""
        left = list(self._unknown(fresh))
        if not left:
            return
        seconds = self._store.last_seconds()
        left.sort(key=lambda work: -seconds.get(work.kata.id, work.kata.minutes))
        part = self._session.choose or self._session.stop_at_first
        if len(left) == 1 and self._session.memory is not None and not part:
            left[0].judgement = self._session.memory.judgement(left[0].task, left[0].course, self._session.jobs)
        self._work = {task: work for work in left for task in work.judgement.tasks}
        self._tell.planned({work.kata.id: work.kata.tests for work in left}, seconds)
        for task in self._work:
            self.engine.add(task)
        with closing(self.engine.events()) as events:
            for event in events:
                self._hear(self._work[event.task], event)

    def card(self, *, ended: bool = False) -> Scorecard:
        """The scorecard as it stands; where the run has `ended`, with the verdicts of katas that did not come to their end."""
        session, seed = self._session, self._session.seed
        broken_off = self._broken_off() if ended else {}
        found = {**broken_off, **self._results}
        katas = tuple(found[kata.id] for kata in self._katas if kata.id in found)
        return Scorecard(
            course=session.course.name,
            grader=f"{__version__}+{key.grader_digest()[:12]}",
            versions=key.versions(),
            seed=None if isinstance(seed, Secret) else seed,
            seed_sha256=seed.sha256 if isinstance(seed, Secret) else "",
            sandbox=self._sandbox(),
            jobs=session.jobs,
            started=self._started,
            seconds=round(time.perf_counter() - self._began, 3),
            score=total(self._katas, katas),
            complete=len(self._results) == len(self._katas),
            katas=katas,
            unfinished=tuple(kata.id for kata in self._katas if kata.id not in self._results),
        )

    def close(self) -> None:
        self.engine.close()

    def _unknown(self, fresh: bool) -> Iterator[_Work]:
        """What must be judged; the other katas have their results."""
        for kata in self._katas:
            read = self._read(kata)
            if read.problem is not None:
                self._finish(_rejected(kata, read))
                continue
            task = self._session.task(kata, read)
            manifest = (kata.folder / "kata.toml").read_bytes()  # which says what verdicts are worth
            whole = replace(task.job, choose="", stop=False)
            course = key.of_course(whole)
            stored_as = key.of(whole, course, {"manifest": manifest})
            unasked = fresh or self._secret or bool(self._session.choose)
            known = None if unasked else self._store.get(stored_as, kata.id, accepts)
            if known is None:
                yield _Work(kata, read, task, course, stored_as, Judgement([task]))
            else:
                if not self._origin(kata):
                    self._store.own(known)
                self._learn(course, known)
                shown = replace(known, stub=read.display_path, readme=_statement(kata))
                self._finish(self._diagnosed(kata, shown))

    def _read(self, kata: Kata) -> Submission:
        if kata.id in self._typed:
            return submission.typed(kata, self._typed[kata.id])
        return submission.read(kata, self._source_dir, self._session.course)

    def _origin(self, kata: Kata) -> str:
        """Where it came from, as an attempt has it."""
        if kata.id in self._typed:
            return NOTEBOOK
        folder = "" if self._source_dir is None else str(self._source_dir)
        return folder if folder != NOTEBOOK else os.path.join(os.curdir, folder)

    @property
    def _secret(self) -> bool:
        """What is judged on a secret seed is neither taken from the store nor left there."""
        return isinstance(self._session.seed, Secret)

    def _hear(self, work: _Work, event: Event) -> None:
        work.judgement.take(event)
        match event:
            case Heard(_, Began()) if not work.judgement.tests:
                self._tell.started(work.kata.id)
            case Heard(_, Judged(result)):
                self._tell.tested(work.kata.id, result)
            case Again():
                self._tell.started(work.kata.id)
            case Ended() if work.judgement.over:
                self._leave(work)

    def _leave(self, work: _Work) -> None:
        where = _where(work.kata, work.read)
        result = self._dated(work, work.judgement.result(work.kata, **where, choose=self._session.choose))
        ladder = self.engine.began
        layers = ladder.sandbox.layers if ladder is not None else frozenset[str]()
        origin = self._origin(work.kata)
        if not work.judgement.left:  # else it is known of some tests only, and no attempt at the kata
            self._store.put(work.stored_as, result, layers, keep=not self._secret, origin=origin)
            self._learn(work.course, result)
        result = self._diagnosed(work.kata, result)  # not stored, since fingerprints may change while verdicts stay
        self._finish(result)  # first, so that what was told of is in the scorecard, whenever an interrupt comes
        self._tell.finished(result)

    def _learn(self, course: str, result: KataResult) -> None:
        if self._session.memory is not None:
            self._session.memory.learn(course, result)

    def _finish(self, result: KataResult) -> None:
        self._results[result.id] = result
        self._tell.changed(self.card())

    def _broken_off(self) -> dict[str, KataResult]:
        """The katas that were under way when the run ended: their verdicts, and for the other tests that they did not run."""
        found = {}
        for work in dict.fromkeys(self._work.values()):
            judgement = work.judgement
            if work.kata.id not in self._results and judgement.begun and not judgement.faults:
                left = [not_run(test, "not_run.stopped") for test in judgement.left]
                tests = judgement.in_order([*judgement.tests, *left])
                seconds = round(sum(test.seconds for test in tests), 3)
                result = grade_kata(work.kata, tests, seconds=seconds, **_where(work.kata, work.read))
                found[result.id] = self._diagnosed(work.kata, result)
        return found

    def _sandbox(self) -> str:
        """What stood between the workers of this run and the machine."""
        ladder = self.engine.began
        if ladder is not None and ladder.standing:
            return ladder.sandbox.text
        if self._work or len(self._results) < len(self._katas):
            return _TOO_EARLY
        return _NOTHING_RAN if all(result.from_store for result in self._results.values()) else _NO_FILE

    def _dated(self, work: _Work, result: KataResult) -> KataResult:
        """The result, with the day on which the same file passed if the kata is another one since.

        Another seed is no change of the kata, and neither is a verdict that differs from a stored one of the same content.
        """
        if result.verdict in (Verdict.PASS, Verdict.INTERNAL) or self._session.seed != 0:
            return result
        kata = work.kata
        attempts = [each for name in (kata.id, *kata.aliases) for each in self._store.attempts(name)]
        passed = [each.time for each in attempts if each.verdict is Verdict.PASS and each.sha256 == result.sha256]
        stored = self._store.get(work.stored_as, kata.id)
        if not passed or (stored is not None and stored.verdict is Verdict.PASS):
            return result
        changed = message("kata.changed", date=datetime.fromtimestamp(max(passed)).date().isoformat())
        said = (changed, *result.said)
        return replace(result, message=worded(said), said=said)

    def _diagnosed(self, kata: Kata, result: KataResult) -> KataResult:
        if result.verdict is Verdict.PASS or not self._session.course.settings.diagnosis:
            return result
        return diagnosis.diagnosed(result, diagnosis.load(self._session.course, kata))


def _rejected(kata: Kata, read: Submission) -> KataResult:
    problem = read.problem
    assert problem is not None
    said = text("{problem}: {help}", problem=problem.said, help=problem.help) if problem.help else problem.said
    return reject_kata(kata, Verdict(problem.verdict), [said], **_where(kata, read))


def _where(kata: Kata, read: Submission) -> dict[str, Any]:
    """The learner's file and the statement, as they are shown."""
    return {"stub": read.display_path, "readme": _statement(kata), "sha256": read.sha256}


def _statement(kata: Kata) -> str:
    return f"katas/{kata.id}/README.md"
