"""How long a worker may go on: by the processor time that it uses, with the wall as a backstop.

The judge reads both clocks itself. A worker that the machine lets wait uses no processor time, so that other work beside
it condemns nobody; one that sleeps, or waits for a lock, is ended by the wall. A look at the processor's clock is a system
call, so there is none before a limit can be reached at all: a call that is answered at once costs nothing.
"""

from __future__ import annotations

import ctypes
import math
import os
import time
from collections.abc import Callable
from typing import NamedTuple

from grader.limits import CLOSING_SHARE, WALL_FACTOR
from grader.messages import Message, message
from grader.scorecard import Verdict

_SHORTEST = 0.01  # seconds between two looks, so that nobody polls on the last microseconds

Spent = Callable[[], float | None]


class Closing(NamedTuple):
    """The moment (monotonic) at which no test of a kata goes on, and why, as the end of a sentence."""

    at: float
    why: Message

    @classmethod
    def after_timeout(cls, seconds: float) -> Closing:
        """What a first test that ran out of its seconds leaves to all others."""
        share = CLOSING_SHARE * seconds
        return cls(time.monotonic() + share, message("overdue.kata", seconds=float(share)))


NEVER = Closing(math.inf, Message(""))


class Overdue(TimeoutError):
    """A limit is reached. `after` says which, as the end of a sentence."""

    def __init__(self, verdict: Verdict, after: Message) -> None:
        super().__init__(str(after))
        self.verdict = verdict
        self.after = after


class Clock:
    """The limits of one worker from now on, and `due`, the first moment (monotonic) at which one can be reached.

    wall       seconds that may pass
    processor  seconds of processor time, of all threads together, if `spent` can tell how many were used
    closing    the end of all tests of the kata
    """

    def __init__(
        self,
        wall: float,
        processor: float = math.inf,
        spent: Spent = lambda: None,
        closing: Closing = NEVER,
    ) -> None:
        self._wall, self._processor, self._spent, self._closing = wall, processor, spent, closing
        self._ends = time.monotonic() + wall
        self._limit = (spent() or 0.0) + processor
        self._at_once = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self.due = -math.inf

    @classmethod
    def of_test(cls, seconds: float, spent: Spent, closing: Closing) -> Clock:
        """The clock of one test whose kata allows this many seconds."""
        return cls(WALL_FACTOR * seconds, seconds, spent, closing)

    def look(self) -> None:
        """Work out `due` anew. Raises Overdue when a limit is reached."""
        now = time.monotonic()
        if now >= self._closing.at:
            raise Overdue(Verdict.NOT_RUN, self._closing.why)
        if now >= self._ends:
            raise Overdue(Verdict.TIMEOUT, message("overdue.wall", seconds=float(self._wall)))
        self.due = min(self._closing.at, self._ends)
        spent = self._spent()
        if spent is not None:
            left = self._limit - spent
            if left <= 0:
                raise Overdue(Verdict.TIMEOUT, message("overdue.processor", seconds=float(self._processor)))
            self.due = min(self.due, now + max(left / self._at_once, _SHORTEST))


def processor_clock(pid: int | None) -> Spent:
    """What tells the processor time of all threads of another process, in seconds: None once it is gone.

    Linux has a clock for every process. Where others cannot read one, as on macOS, it is always None: the wall alone counts.
    """
    find = getattr(ctypes.CDLL(None), "clock_getcpuclockid", None)
    number = ctypes.c_int()
    if pid is None or find is None or find(pid, ctypes.byref(number)):
        return lambda: None

    def spent() -> float | None:
        try:
            return time.clock_gettime(number.value)
        except OSError:
            return None

    return spent


def counts_processor_time() -> bool:
    """Whether this system tells the processor time of another process; found by asking for one's own from outside."""
    return processor_clock(os.getpid())() is not None
