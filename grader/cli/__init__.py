"""The command `grade`: one file per audience, and the only place where an error becomes an exit code.

What stands here is imported within a few milliseconds: a signal is to be heard before the command itself is there.
"""

from __future__ import annotations

import sys
from typing import NoReturn

from grader.cli import output, signals
from grader.errors import GradeError


def main(args: list[str] | None = None) -> NoReturn:
    """Run the command; every exit code comes from here. Without `args` it is the process's, with its signals and streams.

    0: all passes; 1: something does not; 2: usage or course at fault, or standard output cannot be written; 3: a fault of
    ours; 128 + n: ended by signal n (129 SIGHUP, 130 Ctrl-C, 143 SIGTERM), 141 where nobody reads the output any more.
    """
    if args is None:
        signals.take()
        output.take()
    code = _run(args)
    try:
        sys.stdout.flush()
    except GradeError as error:
        code = _told(error)
    sys.exit(code)


def _run(args: list[str] | None) -> int:
    try:
        from grader.cli.commands import run

        return run(args)
    except GradeError as error:
        return _told(error)
    except KeyboardInterrupt:
        _say("grade: interrupted")
        return signals.exit_code()
    except Exception as error:
        import traceback

        traceback.print_exc()
        _say(f"grade: a fault of ours: {type(error).__name__}: {error}")
        _say("       please report it with the lines above and the output of `grade doctor`")
        return 3


def _told(error: GradeError) -> int:
    if isinstance(error, output.OutputFault):
        output.give_up()
    if not isinstance(error, output.NobodyReads):
        _say(f"grade: {error.message}")
        if error.next_step:
            _say(f"       {error.next_step}")
    return error.exit_code


def _say(line: str) -> None:
    print(line, file=sys.stderr)
