"""The process as the learner's file finds it: as if Python had been started with that file, and with nothing else."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any, NoReturn


def become(filename: str) -> None:
    """Let nothing of the zygote show: neither its arguments nor its `__main__`."""
    sys.argv = [filename]
    sys.orig_argv = [sys.executable, filename]
    sys.modules["__main__"] = ModuleType("__main__")
    sys.breakpointhook = _no_keyboard


def _no_keyboard(*args: Any, **kwargs: Any) -> NoReturn:
    """What `breakpoint()` does where nobody could type: end as a debugger whose input has ended."""
    from bdb import BdbQuit

    raise BdbQuit("breakpoint()")
