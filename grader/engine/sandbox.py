"""What stands between workers and the machine: as a ladder found it, and whether a stored result was judged in as much."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cache
from typing import Any

from grader import machine

LAYERS = frozenset(
    ["landlock fs", "landlock net", "landlock scope", "seccomp", "rlimits", "namespaces"]
)  # all there are


class Sandbox:
    """What stands between the workers of a ladder and the machine: empty until the ladder stands."""

    def __init__(self, document: dict[str, Any] | None = None, note: str = "") -> None:
        said = document or {"text": "", "layers": [], "complete": False, "refused": {}}
        self.text: str = said["text"].removeprefix("sandbox: ") + note
        self.layers = frozenset[str](said["layers"])
        self.complete: bool = said["complete"]  # every layer that a class run requires is in force, found by trying
        self.refused: dict[str, bool] = said["refused"]  # what a locked worker tried, and whether it was refused

    def document(self) -> dict[str, Any]:
        """What another process makes the same of."""
        layers = sorted(self.layers)
        return {"text": self.text, "layers": layers, "complete": self.complete, "refused": self.refused}


def can_fork() -> bool:
    """Whether the ladder works here; GRADKATA_START=fresh says no, for tests and for systems where fork misbehaves."""
    return machine.LINUX and hasattr(os, "pidfd_open") and os.environ.get("GRADKATA_START") != "fresh"


def weakest(rungs: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """One sandbox that speaks for the workers of every kind."""
    found = list(rungs)
    if not found:
        return {"text": "no workers", "layers": [], "complete": False, "refused": {}}
    return {
        "text": found[0]["text"],
        "layers": sorted(set.intersection(*(set(each["layers"]) for each in found))),
        "complete": all(each["complete"] for each in found),
        "refused": {name: all(each["refused"][name] for each in found) for name in found[0]["refused"]},
    }


def accepts(layers: frozenset[str]) -> bool:
    """Whether a result that was judged behind these layers may be answered now: whether nothing would be added to them.

    Where they are all that there are, nothing is asked of the machine.
    """
    return not any(_offered(name) for name in sorted(LAYERS - layers))


@cache
def _offered(name: str) -> bool:
    """Whether this machine would put a worker behind a layer, found without starting one."""
    from grader.worker.jail.offer import offers

    return offers(name) and (name != "namespaces" or can_fork())
