"""How far a ladder has to reach, read off the suites that it is to judge."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.workerkinds import kind_of

_IMPORT = re.compile(rb"^[ \t]*(?:from|import)[ \t]+([A-Za-z_][\w.]*)", re.MULTILINE)
_TRAINS = re.compile(rb"\b(?:optim|Adam\w*|SGD|RMSprop|LBFGS|func|vmap|compile)\b")  # what pulls in torch._dynamo
_ORACLES = ("numpy", "torch", "scipy", "sklearn")


@dataclass(frozen=True)
class Plan:
    """How far a ladder has to reach."""

    workers: frozenset[str] = frozenset()
    preload: frozenset[str] = frozenset()  # what the suites import
    training: bool = False  # whether an optimiser runs

    @classmethod
    def of(cls, worker: str, suites: Iterable[Path], source: bytes) -> Plan:
        """The plan for one kata, read off what its suites import and whether anything trains."""
        texts = [suite.read_bytes() for suite in suites]
        names = {name.decode() for text in texts for name in _IMPORT.findall(text)}
        preload = frozenset(name for name in names if name.partition(".")[0] in _ORACLES)
        training = any(_TRAINS.search(text) for text in (*texts, *([source] if kind_of(worker).torch else [])))
        return cls(frozenset([worker]), preload, training)

    def __or__(self, other: Plan) -> Plan:
        """One plan that covers both."""
        return Plan(self.workers | other.workers, self.preload | other.preload, self.training or other.training)

    def covers(self, other: Plan) -> bool:
        """Whether a ladder for this plan serves another one too."""
        return self | other == self

    def document(self) -> dict[str, Any]:
        return {
            "workers": sorted(self.workers),
            "preload": sorted(self.preload),
            "training": self.training,
        }
