"""How fast this machine is just now, so that a limit in seconds asks the same of a suite on every machine."""

from __future__ import annotations

import struct
import time

NOMINAL_SECONDS = 0.005  # that the work below takes on the core which limits are meant for
_REPEATS = 9


def pace() -> float:
    """How many times longer than on that core the same Python takes here; 1 where it is as fast, or faster.

    The work is of the kind that a bridged call spends its time with, and the best of some runs counts, as it does for
    the tests that are held against it.
    """
    return max(1.0, min(_seconds() for _ in range(_REPEATS)) / NOMINAL_SECONDS)


def _seconds() -> float:
    began = time.perf_counter()
    _work()
    return time.perf_counter() - began


def _work() -> dict[int, int]:
    head = struct.Struct("<cq")
    seen: dict[int, int] = {}
    for number in range(20_000):
        packed = head.pack(b"i", number)
        _, value = head.unpack_from(packed)
        seen[value & 1023] = seen.get(value & 1023, 0) + len(packed)
    return seen
