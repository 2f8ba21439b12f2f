"""What stands between a worker and the machine, and what does not: for the scorecard, in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_SWITCH = "GRADKATA_TEST_WITHOUT"  # names of layers, separated by commas; only the grader's own tests set it


def switched_off(name: str, environ: Mapping[str, str]) -> str | None:
    """Why a layer is to be left out although the machine has it, or None."""
    return "switched off for a test" if name in environ.get(_SWITCH, "").split(",") else None


@dataclass(frozen=True)
class Layer:
    """One layer: in force or not, and the detail of it or the reason."""

    name: str
    on: bool
    detail: str = ""
    parts: tuple[str, ...] = ()  # of a layer that not every kernel has whole

    @property
    def names(self) -> list[str]:
        """What is in force of it."""
        return [f"{self.name} {part}" for part in self.parts] or [self.name] if self.on else []

    def __str__(self) -> str:
        if not self.on:
            return f"{self.name} off ({self.detail})"
        return f"{self.name}({self.detail})" if self.detail else self.name


@dataclass(frozen=True)
class Layers:
    """The state of every layer. A class run asks for `complete`; namespaces are a bonus."""

    landlock: Layer
    seccomp: Layer
    rlimits: Layer
    namespaces: Layer

    @property
    def complete(self) -> bool:
        """Whether all that Linux gives without privileges is in force."""
        return self.landlock.on and self.seccomp.on and self.rlimits.on

    @property
    def names(self) -> list[str]:
        """What is in force, as in `offer.offers`: the more there is, the stronger."""
        return [name for layer in (self.landlock, self.seccomp, self.rlimits, self.namespaces) for name in layer.names]

    def __str__(self) -> str:
        """`sandbox: landlock(abi7 fs+net+scope) seccomp rlimits(64 threads); namespaces off (not entered)`"""
        layers = (self.landlock, self.seccomp, self.rlimits, self.namespaces)
        on = " ".join(str(layer) for layer in layers if layer.on) or "none"
        return "; ".join((f"sandbox: {on}", *(str(layer) for layer in layers if not layer.on)))
