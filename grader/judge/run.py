"""A run: jobs go to judges, a few at a time, and their events come back as they happen."""

from __future__ import annotations

import os
import selectors
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import msgspec
from msgspec.structs import replace

from grader.judge.job import Began, Done, Event, Events, Fault, Job, Judged, send
from grader.judge.ladder import Judges, Plan
from grader.judge.workers import Leash
from grader.limits import START_SECONDS, SUITE_GRACE_SECONDS, WALL_FACTOR
from grader.scorecard import TestResult

_CHUNK = 1 << 16


@dataclass
class Judgement:
    """What one judge said of one job. Only a judgement that is `done` and without faults counts."""

    job: Job
    tests: list[TestResult] = field(default_factory=list)
    transcripts: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    done: bool = False
    seconds: float = 0.0
    running: str = ""


Listener = Callable[[Judgement, Event], None]


@dataclass
class _Seat:
    judgement: Judgement
    line: socket.socket
    leash: Leash
    began: float
    deadline: float
    processor: int | None
    events: Events = field(default_factory=Events)


def run(
    jobs: Iterable[tuple[Job, Plan, int]],
    judges: Judges,
    at_once: int,
    listen: Listener = lambda judgement, event: None,
    finished: Callable[[Judgement], None] = lambda judgement: None,
) -> None:
    """Judge every job, `at_once` of them at a time, in the order given; each comes with its plan and number of tests.

    `listen` hears every event, `finished` every judgement as it ends.
    """
    waiting = list(jobs)[::-1]
    processors = _processors(at_once)
    seats: dict[socket.socket, _Seat] = {}
    selector = selectors.DefaultSelector()

    def leave(seat: _Seat) -> None:
        if seat.processor is not None:
            processors.append(seat.processor)
        _leave(seat, seats, selector, finished)

    try:
        while waiting or seats:
            while waiting and len(seats) < at_once:
                seat = _sit(judges, *waiting.pop(), processors.pop() if processors else None)
                seats[seat.line] = seat
                selector.register(seat.line, selectors.EVENT_READ)
            soonest = min(seat.deadline for seat in seats.values())
            for key, _ in selector.select(max(0.0, soonest - time.monotonic())):
                seat = seats[key.fileobj]  # type: ignore[index]  # every registered object is a line of a seat
                if not _hear(seat, listen):
                    leave(seat)
            for seat in [seat for seat in seats.values() if time.monotonic() >= seat.deadline]:
                seat.judgement.faults.append("the suite did not come to its end in time")
                leave(seat)
    finally:
        for seat in seats.values():
            seat.leash.kill()
            seat.leash.exit(5.0)
            seat.leash.close()
            seat.line.close()
        selector.close()


def _processors(at_once: int) -> list[int]:
    """One processor for each seat, where there are enough.

    A judge and its worker take turns, so they lose nothing by sharing a processor, and a call between them takes a third of
    the time that it takes across processors. Runs at the same time begin at different ones.
    """
    if not hasattr(os, "sched_getaffinity") or at_once > len(os.sched_getaffinity(0)):
        return []
    all_of_them = sorted(os.sched_getaffinity(0))
    first = os.getpid() % len(all_of_them)
    return [*all_of_them[first:], *all_of_them[:first]][:at_once]


def _sit(judges: Judges, job: Job, plan: Plan, tests: int, processor: int | None) -> _Seat:
    line, leash = judges.judge(plan)
    send(line, job if job.threads > 1 else replace(job, processor=processor))
    now = time.monotonic()
    # What a busy machine may take; beyond that the suite itself hangs.
    patience = START_SECONDS + SUITE_GRACE_SECONDS + tests * (WALL_FACTOR * job.seconds + 2)
    return _Seat(Judgement(job), line, leash, now, now + patience, processor)


def _hear(seat: _Seat, listen: Listener) -> bool:
    """Take in what a judge said; False when it has nothing more to say."""
    judgement = seat.judgement
    try:
        data = seat.line.recv(_CHUNK)
    except OSError:
        data = b""
    try:
        for event in seat.events.feed(data):
            match event:
                case Began(name):
                    judgement.running = name
                case Judged(result, transcript):
                    judgement.tests.append(result)
                    judgement.transcripts[result.name] = transcript
                    judgement.running = ""
                case Fault(message):
                    judgement.faults.append(message)
                case Done(tests):
                    judgement.done = tests == len(judgement.tests)
            listen(judgement, event)
    except msgspec.MsgspecError as error:
        judgement.faults.append(f"a judge said what cannot be read: {error}")
        return False
    return bool(data)


def _leave(
    seat: _Seat,
    seats: dict[socket.socket, _Seat],
    selector: selectors.BaseSelector,
    finished: Callable[[Judgement], None],
) -> None:
    """The end of a judge, whatever it was."""
    judgement = seat.judgement
    selector.unregister(seat.line)
    del seats[seat.line]
    if not judgement.done and not judgement.faults:
        status = seat.leash.exit(2.0)
        how = f"killed by signal {status.signal}" if status and status.signal else "without a word"
        where = f" in {judgement.running}" if judgement.running else ""
        judgement.faults.append(f"the judge ended{where}, {how}")
    seat.leash.close()
    seat.line.close()
    judgement.seconds = time.monotonic() - seat.began
    finished(judgement)
