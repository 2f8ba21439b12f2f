"""The commands by their names: each is imported when it is asked for."""

from __future__ import annotations

from typing import Any, ClassVar

import click

from grader import __version__
from grader.cli import speech
from grader.cli.spoken import Group, Option
from grader.cli.verbs import COMMANDS

_PYTHONS = ("list", "next", "class")  # names that Python has already


class _Commands(Group):
    """Commands by name, imported when they are asked for; whatever is no command is meant for `run`."""

    _lazy: ClassVar = COMMANDS

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        args = speech.without_language(args)
        if not args or (args[0] not in self._lazy and args[0] not in ("--help", "-h", "--version")):
            args = ["run", *args]
        return super().parse_args(context, args)

    def list_commands(self, context: click.Context) -> list[str]:
        return list(self._lazy)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in self._lazy:
            return None
        import importlib

        command: click.Command = getattr(
            importlib.import_module(self._lazy[name]), f"{name}_" if name in _PYTHONS else name
        )
        return command


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gradkata", cls=Option, help="Show the version and exit.")
def grade() -> None:
    """Grade neural-network katas: fill in a stub, run `grade`, read which bug you wrote.

    `grade` alone, or with names of katas, means `grade run`.
    """


def run(args: list[str] | None) -> int:
    """Run the command that `args` name and return its exit code. Raises GradeError, or KeyboardInterrupt."""
    try:
        code: Any = grade.main(args, prog_name="grade", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return 2
    except click.Abort:
        raise KeyboardInterrupt from None
    return code if isinstance(code, int) else 0
