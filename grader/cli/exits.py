"""From whatever a command comes to, to a sentence and an exit code."""

from __future__ import annotations

import sys

from grader.cli import output, speech
from grader.errors import GradeError


def run(args: list[str] | None) -> int:
    """Run the command; every exit code but an interrupt's comes from here. Raises KeyboardInterrupt.

    0: all passes; 1: something does not; 2: usage or course at fault, or standard output cannot be written; 3: a fault of
    ours; 128 + n: ended by signal n (129 SIGHUP, 130 Ctrl-C, 143 SIGTERM), 141 where nobody reads the output any more.
    """
    if args is None:
        output.take()
    code = _run(args)
    try:
        sys.stdout.flush()
    except GradeError as error:
        code = _told(error)
    return code


def _run(args: list[str] | None) -> int:
    try:
        speech.choose(sys.argv[1:] if args is None else args)
        from grader.cli.commands import run

        return run(args)
    except GradeError as error:
        return _told(error)
    except Exception as error:
        import traceback

        from grader import machine

        if refused := machine.refusal(error):
            return _told(refused)
        traceback.print_exc()
        spoken = speech.language()
        told = f"{type(error).__name__}: {error}"
        _say(f"grade: {spoken.text('a fault of ours: {error}', error=told)}")
        _say(f"       {spoken.text('please report it with the lines above and the output of `grade doctor`')}")
        return 3


def _told(error: GradeError) -> int:
    if isinstance(error, output.OutputFault):
        output.give_up()
    if not isinstance(error, output.NobodyReads):
        spoken = speech.language()
        _say(f"grade: {spoken.say(error.said)}")
        if error.next_step:
            _say(f"       {spoken.say(error.next_step)}")
    return error.exit_code


def _say(line: str) -> None:
    print(line, file=sys.stderr)
