"""While it runs: what is being judged, how far it is, and how long it may take yet; on standard error."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from grader.messages.language import Language
from grader.reports.layout import cut
from grader.reports.table import amount, ended
from grader.scorecard import KataResult, TestResult

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.live import Live

BAR = 24  # cells


@dataclass
class _Running:
    """A kata that is being judged, and the test of it that ended last."""

    since: float
    done: int = 0
    last: str = ""


@dataclass
class Progress:
    """Live lines on a terminal, which vanish at the end; elsewhere the plan, and one plain line per kata that is done.

    `tests` has the number of tests of every kata that is to be judged, `expected` the seconds that a kata took the last
    time, for those of which that is known. `within` is the minutes after which the run is ended.
    """

    tests: Mapping[str, int]
    stream: TextIO
    expected: Mapping[str, float] = field(default_factory=dict)
    jobs: int = 1
    within: float | None = None
    clock: Callable[[], float] = time.monotonic
    language: Language = field(default_factory=Language)
    _running: dict[str, _Running] = field(default_factory=dict, init=False)
    _finished: dict[str, int] = field(default_factory=dict, init=False)
    _live: Live | None = field(default=None, init=False)

    def __enter__(self) -> Self:
        if self.tests and self.stream.isatty():
            from rich.console import Console
            from rich.live import Live

            console = Console(file=self.stream)
            if not console.is_dumb_terminal:
                self._live = Live(self, console=console, transient=True, refresh_per_second=8, redirect_stdout=False)
                self._live.start()
        if self.tests and not self._live:
            print(self._plan(), file=self.stream, flush=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()
            self._live = None

    def _plan(self) -> str:
        """What will be judged, and how long that takes, as far as it is known before."""
        say, seconds = self.language, self.remaining()
        katas = say.plural("{count} kata to judge", "{count} katas to judge", len(self.tests))
        parts = [katas, say.plural("{count} test", "{count} tests", sum(self.tests.values()))]
        if seconds is not None:
            parts.append(say.text("about {seconds} s", seconds=max(round(seconds), 1)))
        if self.within is not None:
            parts.append(say.text("at most {minutes} min", minutes=f"{self.within:g}"))
        return " · ".join(parts)

    def started(self, kata: str) -> None:
        """A judge has taken up the kata."""
        self._running[kata] = _Running(self.clock())

    def tested(self, kata: str, test: TestResult) -> None:
        """One test of it has ended."""
        running = self._running.setdefault(kata, _Running(self.clock()))
        running.done += 1
        running.last = test.title

    def finished(self, result: KataResult) -> None:
        """All of its tests have ended."""
        self._running.pop(result.id, None)
        self._finished[result.id] = self.tests.get(result.id, len(result.tests))
        if not self._live:
            points = self.language.text("{points} points", points=f"{amount(result.points)}/{amount(result.max)}")
            print(
                f"{result.id}  {ended(result, self.language)}  {points}  {result.seconds:.1f} s",
                file=self.stream,
                flush=True,
            )

    def remaining(self) -> float | None:
        """Seconds that it may take yet, from the seconds of last time; None where they are not known."""
        now, left = self.clock(), 0.0
        for kata in self.tests.keys() - self._finished.keys():
            if kata not in self.expected:
                return None
            running = self._running.get(kata)
            left += max(self.expected[kata] - (now - running.since if running else 0.0), 0.0)
        return left / max(self.jobs, 1)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        running = dict(self._running)  # a copy, since the lines are drawn in a thread of their own
        done = sum(dict(self._finished).values()) + sum(each.done for each in running.values())
        total = sum(self.tests.values())
        filled = BAR * min(done, total) // max(total, 1)
        left = self.remaining()
        eta = "" if left is None else self.language.text(", about {seconds} s left", seconds=max(round(left), 1))
        told = "{done} of {total} tests, {finished} of {katas} katas"
        numbers = {"done": done, "total": total, "finished": len(self._finished), "katas": len(self.tests)}
        counts = f"  {self.language.text(told, **numbers)}{eta}"
        bar = ("━" * filled, "green"), ("─" * (BAR - filled), "dim")
        yield Text.assemble(*bar, cut(counts, options.max_width - BAR))
        for kata, each in running.items():
            yield Text(cut(f"  {kata}  {each.done}/{self.tests.get(kata, '?')}  {each.last}", options.max_width))
        if not running and not done:
            yield Text(cut(f"  {self.language.text('starting the judges')}", options.max_width), style="dim")
