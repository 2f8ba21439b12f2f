"""The commands by their names: each is imported when it is asked for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import click

from grader import __version__
from grader.cli import speech
from grader.cli.spoken import Command, Group, Option, missing
from grader.cli.verbs import COMMANDS

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_PYTHONS = ("list", "next", "import", "class")  # names that Python has already


class _Listed(Group):
    """The same commands, by their names and docstrings alone."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        return Command(name, help=_documented(name, COMMANDS[name]))


class _Commands(Group):
    """Commands by name, imported when they are asked for; whatever is no command is meant for `run`."""

    _lazy: ClassVar = COMMANDS

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        args = speech.without_language(args)
        if context.resilient_parsing and not args:
            return super().parse_args(context, args)  # a shell asks what can stand here
        if not args or (args[0] not in self._lazy and args[0] not in ("--help", "-h", "--version")):
            args = ["run", *args]
        return super().parse_args(context, args)

    def shell_complete(self, context: click.Context, incomplete: str) -> list[CompletionItem]:
        """Commands, and the katas that `run` would be given."""
        from grader.cli.options import completed

        return [*super().shell_complete(context, incomplete), *completed(context, None, incomplete)]

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """As click lists them, but from the docstrings in their sources: a line of help imports none of them."""
        _Listed().format_commands(context, formatter)

    def list_commands(self, context: click.Context) -> list[str]:
        return list(self._lazy)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in self._lazy:
            return None
        import importlib

        command: click.Command = getattr(importlib.import_module(self._lazy[name]), _function(name))
        return command


def _function(name: str) -> str:
    """What the command is called in its file."""
    return f"{name}_" if name in _PYTHONS else name


def _documented(name: str, module: str) -> str:
    """The docstring of a command, read off its source."""
    source = Path(__file__).with_name(f"{module.rpartition('.')[2]}.py").read_text(encoding="utf-8")
    found = re.search(rf'^def {_function(name)}\(.*?\) -> int:\n    """(.*?)"""', source, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


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
        (missing(error) if isinstance(error, click.MissingParameter) else error).show()
        return 2
    except click.Abort:
        raise KeyboardInterrupt from None
    return code if isinstance(code, int) else 0
