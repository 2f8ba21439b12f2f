"""How close each comparison came: the record from which authors read the room between right and wrong."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Observation:
    """One comparison that got as far as an error.

    error and tolerance are relative, except that exact comparisons (integers, truth values) have tolerance 0 and
    the largest difference as error. A convergence gate has tolerance 0, its shortfall as error, and a margin:
    how far the score is beyond the bar, positive when it passes.
    """

    check: str
    name: str
    error: float
    tolerance: float
    margin: float | None = None


_observations: list[Observation] = []


def observe(check: str, name: str, error: float, tolerance: float, margin: float | None = None) -> None:
    """Append one observation; the checks call this before they decide."""
    _observations.append(Observation(check, name, float(error), float(tolerance), margin))


def drain() -> list[Observation]:
    """All observations since the last call, oldest first."""
    drained = _observations[:]
    _observations.clear()
    return drained
