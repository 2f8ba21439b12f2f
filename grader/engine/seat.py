"""A judge at work on one task."""

from __future__ import annotations

import time
from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from grader.engine import processors
from grader.engine.hold import Judges
from grader.engine.task import Task
from grader.judge.job import Began, Done, Event, Events, Fault, Judged, Lost, send
from grader.limits import START_SECONDS, SUITE_GRACE_SECONDS, WALL_FACTOR
from grader.messages import Message, text

_CHUNK = 1 << 16


class Seat:
    """The line to one judge and the hold on its process. `over` once nothing more is to be heard of it.

    Raises InternalFault where the ladder has no more judges.
    """

    def __init__(self, task: Task, ladder: Judges, at_once: int) -> None:
        self.task = task
        self.ladder = ladder
        self.over = False
        self.lost: Message | None = None  # what died on our side
        self._line, self._leash = ladder.judge(task.plan)
        # More threads than one are tried on all processors.
        self._claim = processors.claim(at_once) if task.job.threads == 1 else None
        self._events = Events()
        self._running = ""
        self._began = time.monotonic()
        # What a busy machine may take; beyond that the suite itself hangs.
        patience = START_SECONDS + SUITE_GRACE_SECONDS + task.tests * (WALL_FACTOR * task.job.seconds + 2)
        self.deadline = self._began + patience
        try:
            send(self._line, replace(task.job, processor=self._claim.number if self._claim else None))
        except OSError:
            self._end_unasked()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def fileno(self) -> int:
        return self._line.fileno()

    def hear(self) -> Iterator[Event]:
        """What the judge says now, to be called when there is something to read."""
        try:
            data = self._line.recv(_CHUNK)
        except OSError:
            data = b""
        if not data:
            self._end_unasked()
            return
        try:
            for event in self._events.feed(data):
                match event:
                    case Began(name):
                        self._running = name
                    case Judged():
                        self._running = ""
                    case Lost(said):
                        self.lost, self.over = said, True
                        return
                    case Done():
                        self.over = True
                yield event
        except msgspec.MsgspecError as error:
            self.over = True
            yield Fault(text("a judge said what cannot be read: {error}", error=str(error)))

    def give_up(self) -> Fault:
        """Its time is over."""
        self.over = True
        return Fault(text("the suite did not come to its end in time"))

    def kill(self) -> None:
        self._leash.kill()

    def leave(self, patience: float = 0.0) -> None:
        """Let go of the judge, which is killed if it is there, waiting at most so many seconds for its end."""
        if patience:
            self._leash.exit(patience)
        self._leash.close()
        self._line.close()
        if self._claim is not None:
            self._claim.release()

    def _end_unasked(self) -> None:
        self.over = True
        status = self._leash.exit(2.0)
        how = text("without a word")
        if status and status.signal:
            how = text("killed by signal {signal}", signal=status.signal)
        ended = "the judge ended in {test}, {how}" if self._running else "the judge ended, {how}"
        refused = self._leash.refused()
        if refused:
            ended = "a judge did not start: {refused}"
        self.lost = text(ended, test=self._running, how=how, refused=refused)
