"""The one place that keeps a ladder warm: it grows with what is asked of it, and is replaced when it has lost something."""

from __future__ import annotations

from collections.abc import Mapping

from grader.engine.ladder import NOTHING, Judges, start
from grader.engine.plan import Plan


class Keeper:
    """Holds the ladder for as many runs as its owner likes, and those before it for as long as judges are at work on them.

    environment: what every ladder is given beside its usual one (`grader.engine.ladder.environment`)
    """

    def __init__(self, environment: Mapping[str, str] = NOTHING) -> None:
        self._environment = environment
        self.current: Judges | None = None
        self._former: list[Judges] = []

    def reaching(self, plan: Plan, soon: Plan) -> Judges:
        """The ladder, if it reaches as far as `plan`; else a new one, which also reaches `soon` and as far as the old one."""
        if self.current is not None and not self.current.plan.covers(plan):
            soon |= self.current.plan
            self.retire(self.current)
        if self.current is None:
            self.current = start(soon | plan, self._environment)
        return self.current

    def retire(self, ladder: Judges) -> None:
        """Give out no more judges of this ladder: it has lost something, or another one is to reach further."""
        if ladder is self.current:
            self.current = None
            self._former.append(ladder)

    def tidy(self, used: list[Judges]) -> None:
        """Take down the former ladders that are not in `used`."""
        for ladder in [former for former in self._former if former not in used]:
            self._former.remove(ladder)
            ladder.close()

    def close(self) -> None:
        """Take down everything."""
        if self.current is not None:
            self.retire(self.current)
        self.tidy([])
