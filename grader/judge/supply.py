"""The supply of workers: one for each test, the next of them forked while this one is at work."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from grader.judge.job import Held, Job
from grader.judge.workers import Worker, Workshop
from grader.limits import SUITE_GRACE_SECONDS

_MIB = 1 << 20


class Supply:
    """The workers of one judge, from their start until they are gone and it was told how much memory they held."""

    def __init__(self, workshop: Workshop, job: Job, emit: Callable[[Held], None]) -> None:
        self._workshop = workshop
        self._job = job
        self._emit = emit
        self._spare: Worker | None = None
        self._ended: deque[tuple[Worker, str]] = deque()  # workers that are not gone yet, with their tests

    def take(self, more: bool) -> Worker:
        """A fresh worker; where `more` are going to be asked for, the next is forked now, so that nobody waits for it."""
        worker = self._spare or self._start()
        self._spare = self._start() if more else None
        return worker

    def leave(self, worker: Worker, test: str) -> None:
        """This worker has ended with its test, and may take a moment to be gone."""
        self._ended.append((worker, test))

    def report(self, wait: bool) -> None:
        """Say how much memory workers held, of those that are gone or, with `wait`, of all that ended."""
        while self._ended and (wait or self._ended[0][0].is_gone()):
            worker, test = self._ended.popleft()
            peak = worker.peak()
            if peak is not None:
                self._emit(Held(test, round(peak / _MIB, 1)))

    def close(self) -> None:
        """See the last workers off, and let the one go that waited for a test which did not come."""
        self.report(wait=True)
        if self._spare is not None:
            self._spare.end()
            self._spare.peak()

    def _start(self) -> Worker:
        return self._workshop.start(self._job.memory_bytes, self._job.seconds + SUITE_GRACE_SECONDS)
