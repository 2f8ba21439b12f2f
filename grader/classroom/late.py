"""The late policy of a course: which part of its points a file that came after its deadline keeps.

Points are stored as they were earned; what being late costs is worked out anew at every export, so that a policy may be
changed after a class was graded. The settings stand in `course.toml`:

    [late]
    due = 2026-10-01T23:59:00+08:00       # of all katas
    grace_minutes = 30                    # so much later is not late yet
    percent_per_day = 10                  # of the earned points, for each day that has begun
    most_percent = 50                     # and no more than this
    closed_after_days = 14                # later than this, nothing is earned

    [late.katas]
    04_lstm = 2026-10-15T23:59:00+08:00   # its own deadline
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import ceil
from pathlib import Path
from typing import Any

from grader.errors import CourseFault, Fault, did_you_mean
from grader.kata import SETTINGS
from grader.messages import text

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Late:
    """What one file loses: `days` begun after its deadline, `percent` of its points."""

    days: int = 0
    percent: float = 0.0

    def of(self, points: float) -> float:
        """What is left of these points."""
        return points * (100.0 - self.percent) / 100.0


@dataclass(frozen=True)
class Policy:
    """When katas are due, and what each day after that costs. Percentages are of the points that were earned."""

    due: datetime | None = None
    katas: Mapping[str, datetime] = field(default_factory=dict)
    grace: timedelta = timedelta()
    percent_per_day: float = 0.0
    most_percent: float = 100.0
    closed_after_days: float | None = None

    def due_of(self, kata: str) -> datetime | None:
        """The deadline of a kata; None where it has none."""
        return self.katas.get(kata, self.due)

    def late(
        self, due: datetime | None, handed_in: datetime | None, *, closes: datetime | None = None, marked: bool = False
    ) -> Late:
        """What a file loses that was handed in then, where after `closes` nothing counts.

        `marked` stands for a file that is known to be late, and of which no more is known: it loses what one day costs.
        """
        if due is None or handed_in is None:
            return self._of_days(1) if marked else Late()
        if handed_in <= due + self.grace:
            return Late()
        over = handed_in - due
        closed = self.closed_after_days is not None and over > self.closed_after_days * _DAY
        if closed or (closes is not None and handed_in > closes):
            return Late(ceil(over / _DAY), 100.0)
        return self._of_days(ceil(over / _DAY))

    def _of_days(self, days: int) -> Late:
        return Late(days, min(days * self.percent_per_day, self.most_percent))


def policy(root: Path, katas: tuple[str, ...]) -> Policy:
    """The policy of the course at `root`, which has these katas, and whose settings follow their schema.

    Raises CourseFault for what no schema can say: deadlines that are none, and of katas that there are not.
    """
    try:
        settings = tomllib.loads((root / SETTINGS).read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return Policy()
    return of(settings.get("late", {}), katas)


def of(settings: Mapping[str, Any], katas: tuple[str, ...]) -> Policy:
    """The policy that the table `[late]` describes. Raises CourseFault."""
    due, dues, closed = settings.get("due"), settings.get("katas", {}), settings.get("closed_after_days")
    if faults := [*_faults(due, dues, katas)]:
        raise CourseFault(faults)
    return Policy(
        due=None if due is None else in_zone(due),
        katas={kata: in_zone(each) for kata, each in dues.items()},
        grace=timedelta(minutes=settings.get("grace_minutes", 0)),
        percent_per_day=float(settings.get("percent_per_day", 0)),
        most_percent=float(settings.get("most_percent", 100)),
        closed_after_days=None if closed is None else float(closed),
    )


def in_zone(moment: datetime) -> datetime:
    """A moment of a TOML file, in UTC where it names no other zone."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _faults(due: Any, dues: Mapping[str, Any], katas: tuple[str, ...]) -> Iterator[Fault]:
    moments = {"late.due": due} if due is not None else {}
    for key, moment in {**moments, **{f"late.katas.{kata}": each for kata, each in dues.items()}}.items():
        if not isinstance(moment, datetime):
            wanted = text("must look like {example}", example="2026-10-01T23:59:00+08:00")
            yield Fault(SETTINGS, key, wanted, str(moment))
    for kata in dues:
        if kata not in katas:
            wanted = text("must name katas of this course")
            yield Fault(SETTINGS, "late.katas", wanted, kata, did_you_mean(kata, katas))
