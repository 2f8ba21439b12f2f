"""What a scorecard does not know and its learner does: what was tried before, and whether the file is still the judged one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo

from grader.store import Attempt


@dataclass(frozen=True)
class Past:
    """Attempts by the kata's id, oldest first; `changed` has the katas whose file is another one than was judged.

    zone: in which times are told; None for that of the machine.
    """

    attempts: Mapping[str, Sequence[Attempt]] = field(default_factory=dict)
    changed: frozenset[str] = frozenset()
    zone: tzinfo | None = None
