"""The limits of a test that runs in this process itself, as plain pytest runs it: past them its code is interrupted."""

from __future__ import annotations

import signal
import time
from typing import Any

from grader.judge.clock import Clock, Overdue
from grader.scorecard import Verdict

_AGAIN = 1.0  # seconds until code that catches everything is interrupted once more


class Interrupted(BaseException):
    """Raised in the midst of what ran too long; no `except Exception` catches it."""

    def __init__(self, overdue: Overdue) -> None:
        super().__init__(str(overdue.after))
        self.verdict: Verdict = overdue.verdict
        self.after = overdue.after


class Alarm:
    """Rings whenever a limit of `clock` may be reached, until it is stopped; in the main thread only."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        signal.signal(signal.SIGALRM, self._ring)
        self._set()

    def stop(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _set(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, max(1e-3, self._clock.due - time.monotonic()))

    def _ring(self, *_: Any) -> None:
        try:
            self._clock.look()
        except Overdue as overdue:
            signal.setitimer(signal.ITIMER_REAL, _AGAIN)
            raise Interrupted(overdue) from None
        self._set()
