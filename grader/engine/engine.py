"""Tasks go to judges, some at a time, and what these say comes back as it happens."""

from __future__ import annotations

import selectors
import socket
import time
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import suppress
from functools import reduce
from operator import or_

from grader.engine.events import Again, Ended, Event, Heard
from grader.engine.hold import Judges
from grader.engine.keeper import Keeper
from grader.engine.seat import Seat
from grader.engine.task import Task
from grader.errors import InternalFault
from grader.judge.workers import OVERDUE
from grader.limits import ORDERLY_SECONDS
from grader.messages import Message, text

TRIES = 2  # of a task, and of starting a ladder, where something on our side dies


class Engine:
    """One run: `add` tasks, go through `events`, `cancel` some or `stop` it all. The ladder belongs to the keeper.

    Everything but `stop` is called from one thread, also while events are gone through.
    """

    def __init__(self, keeper: Keeper, at_once: int = 1) -> None:
        self.began: Judges | None = None  # the last ladder that was asked for judges
        self._keeper = keeper
        self._at_once = at_once
        self._waiting: deque[Task] = deque()
        self._seats: list[Seat] = []
        self._tries: dict[Task, int] = {}
        self._failures = 0  # ladders in a row that did not stand
        self._stopped = False
        self._alarm, self._bell = socket.socketpair()
        self._bell.setblocking(False)

    def add(self, task: Task) -> None:
        """One more task, to be judged after those that wait already."""
        self._waiting.append(task)

    def cancel(self, task: Task) -> None:
        """Nothing more is heard of the task."""
        with suppress(ValueError):
            self._waiting.remove(task)
        for seat in [seat for seat in self._seats if seat.task is task]:
            self._leave(seat)

    def stop(self) -> None:
        """Let `events` end as soon as it can, with whatever is undone. From any thread, and from a signal's handler."""
        self._stopped = True
        with suppress(OSError):  # it was rung before, or the engine is closed
            self._bell.send(b"!")

    def events(self) -> Generator[Event, None, None]:
        """What happens, until every task has ended or the engine is stopped. Whoever breaks off leaves no judge behind."""
        with self._keeper.at_work():
            try:
                while (self._waiting or self._seats) and not self._stopped:
                    yield from self._fill()
                    yield from self._listen()
            finally:
                self._leave_all()

    def close(self) -> None:
        """Let go of the bell; the keeper keeps the ladder."""
        self._leave_all()
        self._alarm.close()
        self._bell.close()

    def _fill(self) -> Iterator[Event]:
        """Take seats for tasks that wait, as long as there are free ones and the ladder stands."""
        while self._waiting and len(self._seats) < self._at_once and not self._stopped:
            soon = reduce(or_, (task.plan for task in self._waiting))
            try:
                ladder = self.began = self._keeper.reaching(self._waiting[0].plan, soon)
            except InternalFault as fault:
                yield from self._unstarted(fault)
                continue
            if not ladder.standing:
                return
            task = self._waiting.popleft()
            self._tries[task] = self._tries.get(task, 0) + 1
            try:
                self._seats.append(Seat(task, ladder, self._at_once))
            except InternalFault as fault:
                yield self._lose(task, ladder, fault.said, 0.0)

    def _listen(self) -> Iterator[Event]:
        """Wait for the next thing to happen, and tell of it."""
        warming = self._keeper.current
        if warming is not None and (warming.standing or not self._waiting):
            warming = None
        if warming is None and not self._seats:
            return
        soonest = min([seat.deadline for seat in self._seats] + ([warming.overdue] if warming else []))
        with selectors.DefaultSelector() as selector:
            for source in (self._alarm, warming, *self._seats):
                if source is not None:
                    selector.register(source, selectors.EVENT_READ, source)
            ready = [key.data for key, _ in selector.select(max(0.0, soonest - time.monotonic()))]
        if warming is not None and (warming in ready or time.monotonic() >= warming.overdue):
            yield from self._hear_ladder(warming, warming in ready)
        for seat in [seat for seat in self._seats if seat in ready]:
            for said in seat.hear() if seat in self._seats else ():  # else it was cancelled a moment ago
                yield Heard(seat.task, said)
        for seat in [seat for seat in self._seats if not seat.over and time.monotonic() >= seat.deadline]:
            yield Heard(seat.task, seat.give_up())
        for seat in [seat for seat in self._seats if seat.over]:
            self._leave(seat)
            if seat.lost:
                yield self._lose(seat.task, seat.ladder, seat.lost, seat.seconds)
            else:
                yield Ended(seat.task, seat.seconds)

    def _hear_ladder(self, ladder: Judges, spoke: bool) -> Iterator[Event]:
        """It stands, or it never will: then another one is tried, and after that every task that waits is lost."""
        try:
            if not spoke:
                raise InternalFault(text("the ladder did not start: {why}", why=OVERDUE))
            ladder.hear()
            self._failures = 0
        except InternalFault as fault:
            self._keeper.retire(ladder)
            self._keeper.tidy([seat.ladder for seat in self._seats])
            if not ladder.borrowed:
                yield from self._unstarted(fault)

    def _unstarted(self, fault: InternalFault) -> Iterator[Event]:
        self._failures += 1
        while self._failures >= TRIES and self._waiting:
            yield Ended(self._waiting.popleft(), 0.0, fault.said)

    def _lose(self, task: Task, ladder: Judges, why: Message, seconds: float) -> Event:
        """Something died on our side: once more on another ladder, and not a third time. What was borrowed does not count."""
        self._keeper.retire(ladder)
        self._keeper.tidy([seat.ladder for seat in self._seats])
        if ladder.borrowed:
            self._tries[task] -= 1
        if self._tries[task] < TRIES:
            self._waiting.appendleft(task)
            return Again(task, why)
        if not ladder.sandbox.refused.get("end by SIGKILL"):
            why = text("{why}; without a whole sandbox your own code can do that to itself", why=why)
        return Ended(task, seconds, why)

    def _leave(self, seat: Seat) -> None:
        if seat in self._seats:
            self._seats.remove(seat)
            seat.leave()
            self._keeper.tidy([seat.ladder for seat in self._seats])

    def _leave_all(self) -> None:
        left, self._seats = self._seats, []
        for seat in left:
            seat.kill()
        for seat in left:
            seat.leave(ORDERLY_SECONDS)
