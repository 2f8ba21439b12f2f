"""What passed before, in a file that outlives the machine: how a run in a fork knows what got worse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from grader.errors import UsageFault
from grader.kata import Kata
from grader.messages import text
from grader.scorecard import Scorecard, Verdict


class Pass(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a kata first passed, as the scorecard says it, and the SHA-256 of the learner's file that passed last."""

    since: str
    sha256: str


class Solved(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The katas that have passed, by id."""

    format_version: Literal[1] = 1
    katas: Annotated[dict[str, Pass], msgspec.Meta(max_length=10_000)] = {}

    def of(self, kata: Kata) -> Pass | None:
        """The pass of a kata, by its id or a former one."""
        return next((self.katas[name] for name in (kata.id, *kata.aliases) if name in self.katas), None)

    def and_now(self, card: Scorecard, katas: Iterable[Kata]) -> Solved:
        """The same with what passes on this scorecard; nothing that is known is forgotten."""
        named, found = {kata.id: kata for kata in katas}, dict(self.katas)
        for result in card.katas:
            if result.verdict is Verdict.PASS:
                before = self.of(named[result.id])
                found[result.id] = Pass(before.since if before else card.started, result.sha256)
        return Solved(katas=dict(sorted(found.items())))

    def json(self) -> str:
        """One line of JSON, which is again what `read` gives."""
        return msgspec.json.encode(self).decode() + "\n"


def read(path: Path) -> Solved:
    """What the file at `path` says; nothing where there is none. Raises UsageFault where it says something else."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Solved)
    except FileNotFoundError:
        return Solved()
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise UsageFault(
            text("{file} does not say what passed before: {reason}", file=str(path), reason=str(error)),
            text("remove it to begin anew, or bring an earlier one back"),
        ) from None


def lost(card: Scorecard, before: Mapping[str, str]) -> dict[str, bool]:
    """The katas that passed before and were found not to now; true where the learner's file is still the one that passed.

    before: the SHA-256 of the file that passed, by id of the kata.
    """
    calm = (Verdict.PASS, Verdict.NOT_RUN, Verdict.INTERNAL)
    worse = [kata for kata in card.katas if kata.id in before and kata.verdict not in calm]
    return {kata.id: kata.sha256 == before[kata.id] for kata in worse}
