"""Ctrl-C, SIGTERM and SIGHUP: what is going on comes to its end in order, and tells what it found.

A signal that the command was started without, as `nohup` does it, stays without.
"""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False  # `typing` takes milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

NUMBERS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
PATIENCE = 3  # so many, and it ends at once

_received: list[int] = []
_stop: list[Callable[[], None]] = []  # what is to be told, the innermost last


def take() -> None:
    """From here on a signal is heard, by whoever listens, and else as a KeyboardInterrupt, once."""
    for number in NUMBERS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _hear)


def exit_code() -> int:
    """As shells have it: 128 and the number of the signal that came first, 130 for Ctrl-C."""
    return 128 + (_received[0] if _received else signal.SIGINT)


def came() -> bool:
    """Whether any signal was heard."""
    return bool(_received)


class told_to:  # it reads as a word of a sentence: with told_to(session.stop)
    """Within the block a signal calls `stop`, which is safe at any moment, and nothing is interrupted."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop

    def __enter__(self) -> None:
        _stop.append(self._stop)
        if _received:
            self._stop()

    def __exit__(self, *_: object) -> None:
        _stop.remove(self._stop)


def _hear(number: int, frame: FrameType | None) -> None:
    first = not _received
    _received.append(number)
    if len(_received) >= PATIENCE:  # somebody is in a hurry, or a report goes where nobody reads it
        os._exit(exit_code())
    if _stop:
        _stop[-1]()
    elif first and not sys.is_finalizing():
        raise KeyboardInterrupt
