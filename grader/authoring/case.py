"""A case: one file whose verdicts are known beforehand, be it right, wrong or nothing at all."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a case is there for."""

    REFERENCE = "reference"
    VARIANT = "variant"
    MISTAKE = "mistake"
    ZOO = "zoo"
    MUTANT = "mutant"
    AGAIN = "again"


@dataclass(frozen=True)
class Case:
    """One solution of one kata: its source, and where an author goes to change it."""

    role: Role
    name: str
    source: bytes
    file: str  # from the root of the course
    line: int | None = None
    caught_by: str = ""  # the test that a mistake names
    again: str = ""  # the mistake that this is, in another style
    ablation: bool = False  # whether a mistake takes away what the task needs

    @property
    def right(self) -> bool:
        """Whether every test must pass."""
        return self.role in (Role.REFERENCE, Role.VARIANT)

    def __str__(self) -> str:
        return {
            Role.REFERENCE: "the reference",
            Role.VARIANT: f"variant {self.name}",
            Role.ZOO: f"`{self.name}` of the zoo",
        }.get(self.role, self.name)
