"""A word that ends one run and no other, whoever says it and whenever."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Brake:
    """Pulled from any thread, before its run begins or while it goes on; it stays pulled."""

    def __init__(self) -> None:
        self.pulled = False
        self._stop: Callable[[], None] | None = None

    def pull(self) -> None:
        """Let the run come to its end, with whatever is undone."""
        self.pulled = True
        if (stop := self._stop) is not None:
            stop()

    @contextmanager
    def on(self, stop: Callable[[], None]) -> Iterator[None]:
        """Within the block pulling calls `stop`, also where that was done before."""
        self._stop = stop
        if self.pulled:
            stop()
        try:
            yield
        finally:
            self._stop = None
