"""The one place that keeps a ladder warm: it grows with what is asked of it, and is replaced when it has lost something."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from grader.engine.hold import NOTHING, Judges, Ladder, start
from grader.engine.plan import Plan

Borrow = Callable[[Plan], Judges | None]


class Keeper:
    """Holds the ladder for as many runs as its owner likes, and those before it for as long as judges are at work on them.

    environment: what every ladder is given beside its usual one (`grader.engine.hold.environment`)
    borrow: asked for somebody else's ladder before one is started, until one that was borrowed fails
    Engines are at work with it in one thread; it may be lent from others (`grader.engine.shared`).
    """

    def __init__(self, environment: Mapping[str, str] = NOTHING, borrow: Borrow | None = None) -> None:
        self.environment = environment
        self.current: Judges | None = None
        self._borrow = borrow
        self._former: list[Judges] = []
        self._lent: Counter[Judges] = Counter()
        self._at_work = 0  # engines, whose ladders nobody else takes down
        self._lock = threading.RLock()

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """An engine is at work in this block. At its end former ladders are taken down."""
        self._at_work += 1
        try:
            yield
        finally:
            self._at_work -= 1
            if not self._at_work:
                self.tidy([])

    def reaching(self, plan: Plan, soon: Plan) -> Judges:
        """The ladder, if it reaches as far as `plan`; else a new one, which also reaches `soon` and as far as the old one."""
        with self._lock:
            if self.current is not None and not self.current.plan.covers(plan):
                soon |= self.current.plan
                self._set_aside()
            if self.current is None and self._borrow is not None:
                self.current = self._borrow(soon | plan)
            if self.current is None:
                self.current = start(soon | plan, self.environment)
            return self.current

    def lend(self, plan: Plan, *, start: bool) -> Ladder | None:
        """The ladder for somebody else, who has it until `give_back`: one that reaches as far as `plan`.

        None where there is none of our own to lend: what is borrowed is not lent on. Without `start` there is only one that
        stands already. Raises InternalFault where the system lets none start.
        """
        with self._lock:
            if self.current is not None and self.current.borrowed:
                return None
            if not start and not (self.current and self.current.standing and self.current.plan.covers(plan)):
                return None
            borrow, self._borrow = self._borrow, None
            try:
                ladder = self.reaching(plan, plan)
            finally:
                self._borrow = borrow
            if not isinstance(ladder, Ladder):
                return None
            self._lent[ladder] += 1
            return ladder

    def give_back(self, ladder: Ladder) -> None:
        """What was lent is not used any more."""
        with self._lock:
            self._lent[ladder] -= 1
            if not self._at_work:
                self.tidy([])

    def retire(self, ladder: Judges) -> None:
        """Give out no more judges of this ladder: it has lost something. If it was borrowed, no other will be."""
        with self._lock:
            if ladder.borrowed:
                self._borrow = None
            if ladder is self.current:
                self._set_aside()

    def tidy(self, used: list[Judges]) -> None:
        """Take down the former ladders that are neither in `used` nor lent."""
        with self._lock:
            for ladder in [former for former in self._former if former not in used and not self._lent[former]]:
                self._former.remove(ladder)
                del self._lent[ladder]
                ladder.close()

    def close(self) -> None:
        """Take down everything, what is lent too."""
        with self._lock:
            if self.current is not None:
                self._set_aside()
            self._lent.clear()
            self.tidy([])

    def _set_aside(self) -> None:
        """The ladder is one of the former."""
        if self.current is not None:
            self._former.append(self.current)
            self.current = None
