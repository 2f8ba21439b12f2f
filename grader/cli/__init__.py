"""The command `grade`: one file per audience, and the only place where an error becomes an exit code (`exits.py`).

What stands here is imported within milliseconds: a signal is to be heard before the command itself is there.
"""

from __future__ import annotations

import os
import sys

from grader.cli import signals

TYPE_CHECKING = False  # `typing` takes milliseconds
if TYPE_CHECKING:
    from typing import NoReturn


def _own_packages_first() -> None:
    """Look where the command is installed before the folders of PYTHONPATH, as judges and workers do, which see none of them."""
    named = os.environ.get("PYTHONPATH", "")
    try:  # as Python puts them on the path
        absolute = {os.path.abspath(path) for path in named.split(os.pathsep)} if named else set()
    except OSError:  # the folder that this one stands in is gone
        absolute = set()
    sys.path.sort(key=lambda path: path in absolute)


def main(args: list[str] | None = None) -> NoReturn:
    """Run the command and exit. Without `args` it is the process's own, with its signals and its streams."""
    if args is None:
        signals.take()
        _own_packages_first()
    try:
        from grader.cli.exits import run

        code = run(args)
    except KeyboardInterrupt:
        from grader.cli import speech

        speech.note_interrupt()
        code = signals.exit_code()
    sys.exit(code)
