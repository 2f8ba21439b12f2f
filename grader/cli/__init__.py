"""The command `grade`: one file per audience, and the only place where an error becomes an exit code."""

from __future__ import annotations

import io
import os
import sys
from typing import Any, ClassVar, NoReturn

import click

from grader import __version__
from grader.cli.codes import INTERRUPTED
from grader.errors import GradeError


class _Commands(click.Group):
    """Commands by name, imported when they are asked for; whatever is no command is meant for `run`."""

    _lazy: ClassVar = {
        "run": "grader.cli.learn",
        "doctor": "grader.cli.doctor",
        "new": "grader.cli.scaffold",
        "stub": "grader.cli.scaffold",
        "check": "grader.cli.author",
        "release": "grader.cli.release",
    }

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self._lazy and args[0] not in ("--help", "-h", "--version")):
            args = ["run", *args]
        return super().parse_args(context, args)

    def list_commands(self, context: click.Context) -> list[str]:
        return list(self._lazy)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in self._lazy:
            return None
        import importlib

        command: click.Command = getattr(importlib.import_module(self._lazy[name]), name)
        return command


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gradkata")
def grade() -> None:
    """Grade neural-network katas: fill in a stub, run `grade`, read which bug you wrote.

    `grade` alone, or with names of katas, means `grade run`.
    """


def main(args: list[str] | None = None) -> NoReturn:
    """Run the command; every exit code comes from here.

    0: all passes; 1: something does not; 2: usage or course at fault; 3: a fault of ours; 130: interrupted.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a screen that lacks a sign shows its number
    try:
        code: Any = grade.main(args, prog_name="grade", standalone_mode=False)
        code = code if isinstance(code, int) else 0
    except click.ClickException as error:
        error.show()
        code = 2
    except GradeError as error:
        _say(f"grade: {error.message}")
        if error.next_step:
            _say(f"       {error.next_step}")
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        _say("grade: interrupted")
        code = INTERRUPTED
    except BrokenPipeError:  # whoever read the scorecard has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 1
    except Exception as error:
        import traceback

        traceback.print_exc()
        _say(f"grade: a fault of ours: {type(error).__name__}: {error}")
        _say("       please report it with the lines above and the output of `grade doctor`")
        code = 3
    sys.exit(code)


def _say(line: str) -> None:
    print(line, file=sys.stderr)
