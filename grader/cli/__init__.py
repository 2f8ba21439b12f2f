"""The command `grade`: one file per audience, and the only place where an error becomes an exit code (`exits.py`).

What stands here is imported within milliseconds: a signal is to be heard before the command itself is there.
"""

from __future__ import annotations

import sys

from grader.cli import signals

TYPE_CHECKING = False  # `typing` takes milliseconds
if TYPE_CHECKING:
    from typing import NoReturn


def main(args: list[str] | None = None) -> NoReturn:
    """Run the command and exit. Without `args` it is the process's own, with its signals and its streams."""
    if args is None:
        signals.take()
    try:
        from grader.cli.exits import run

        code = run(args)
    except KeyboardInterrupt:
        from grader.cli import speech

        speech.note_interrupt()
        code = signals.exit_code()
    sys.exit(code)
