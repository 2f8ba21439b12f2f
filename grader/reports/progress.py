"""While a run goes on: what is being judged, how far it is, and how long it will take. Always on standard error."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from grader.scorecard import KataResult, Verdict

if TYPE_CHECKING:
    from rich.live import Live

_UNKNOWN_SECONDS = 3.0  # what a kata is expected to take that was never judged
_SHOW_AFTER = 0.3  # a run that is over by then shows nothing


class Progress:
    """Live lines on a terminal; elsewhere one plain line per finished kata, and none when all come from the store."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._live: Live | None = None
        self._running: dict[str, str] = {}
        self._expected: dict[str, float] = {}
        self._left: list[str] = []
        self._asked = 0
        self._began = 0.0

    def __enter__(self) -> Progress:
        self._began = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def planned(self, ids: Sequence[str], seconds: dict[str, float]) -> None:
        """The katas of the run, and how long each took the last time."""
        self._left, self._asked, self._expected = list(ids), len(ids), dict(seconds)

    def began(self, kata: str, test: str) -> None:
        """A test is being judged."""
        self._running[kata] = test
        self._show()

    def judged(self, kata: str, test: str, verdict: Verdict) -> None:
        """A test has its verdict."""
        self._running.pop(kata, None)

    def finished(self, result: KataResult) -> None:
        """A kata is done."""
        if result.id in self._left:
            self._left.remove(result.id)
        self._running.pop(result.id, None)
        if self._live is not None:
            self._live.update(self._lines())
        elif not result.from_store and result.tests and not self._stream.isatty():
            print(f"{result.id}: {result.verdict} in {result.seconds:.1f} s", file=self._stream, flush=True)

    def _show(self) -> None:
        if not self._stream.isatty() or time.monotonic() - self._began < _SHOW_AFTER:
            return
        if self._live is None:
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(file=self._stream), transient=True, refresh_per_second=8)
            self._live.start()
        self._live.update(self._lines())

    def _lines(self) -> Any:
        from rich.text import Text

        done = self._asked - len(self._left)
        left = sum(self._expected.get(kata, _UNKNOWN_SECONDS) for kata in self._left) / max(1, len(self._running))
        head = f"judging {done} of {self._asked}, about {max(1, round(left))} s to go"
        return Text("\n".join([head, *(f"  {kata}  {test}" for kata, test in self._running.items())]))
