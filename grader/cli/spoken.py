"""click's commands, options and pages of help in the language of the process, and laid out in cells of a terminal.

What click says by itself goes through gettext, which `grader.cli.speech` leads to the harness's catalogue.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click
from rich.cells import cell_len

from grader.cli.speech import OPTION, language
from grader.messages.language import SOURCE, known
from grader.reports.layout import CLOSING, WIDE, cut, pad, wrap

F = TypeVar("F", bound=Callable[..., Any])


class _Help:
    """A help text, which is in English where it is set, and in the language of the process where it is read."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = f"_english_{name}"

    def __get__(self, item: object, owner: type | None = None) -> str | None:
        english = getattr(item, self._name, None)
        return language().text(inspect.cleandoc(english)) if english else english

    def __set__(self, item: object, english: str | None) -> None:
        setattr(item, self._name, english)


class Formatter(click.HelpFormatter):
    """Paragraphs and lists, where a Chinese character takes two cells and a line may be broken after it."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(prog, args, language().text("{usage} ", usage=language().text("Usage:")))

    def write_heading(self, heading: str) -> None:
        self.write(f"{' ' * self.current_indent}{language().text('{heading}:', heading=heading)}\n")

    def write_text(self, text: str) -> None:
        indent = " " * self.current_indent
        paragraphs = [" ".join(paragraph.split("\n")) for paragraph in text.split("\n\n")]
        wrapped = ["\n".join(indent + line for line in wrap(each, self.width - len(indent))) for each in paragraphs]
        self.write("\n\n".join(wrapped) + "\n")

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        indent = " " * self.current_indent
        listed = list(rows)
        column = min(max(cell_len(term) for term, _ in listed), col_max)
        for term, said in listed:
            lines = wrap(said, self.width - len(indent) - column - col_spacing) if said else []
            if cell_len(term) > column:
                self.write(f"{indent}{term}\n")
                term = ""
            for line in lines or [""]:
                self.write(f"{indent}{pad(term, column)}{' ' * col_spacing}{line}".rstrip() + "\n")
                term = ""


class _Context(click.Context):
    formatter_class = Formatter


class Option(click.Option):
    """An option whose help is translated."""

    help = _Help()


class Whole(click.IntRange):
    """A whole number, by that name."""

    @property
    def name(self) -> str:  # type: ignore[override]  # click has it in English
        return language().text("whole number")


def _completed_language(context: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The languages that begin so, for a shell."""
    return [code for code in known() if code.startswith(incomplete)]


class Command(click.Command):
    """A command whose help is translated, and which may be told the language to speak."""

    context_class = _Context
    help = _Help()

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        said = "The language to speak: en or zh; else that of GRADE_LANG or the locale."
        self.params.append(
            Option([OPTION], metavar="CODE", expose_value=False, help=said, shell_complete=_completed_language)
        )

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [language().text(piece) for piece in super().collect_usage_pieces(ctx)]

    def get_short_help_str(self, limit: int = 45) -> str:
        if language().code == SOURCE:
            return super().get_short_help_str(limit)
        said = re.split("[。：；]", re.sub(r"\s*（[^（）]*）\s*", " ", self.help or ""), maxsplit=1)[0]
        return cut(re.sub(rf"(?<=[{WIDE}])\s+(?=[{WIDE}])|\s+(?=[{CLOSING}]|$)", "", said), 2 * limit)


class Group(Command, click.Group):
    """Commands of these."""


def missing(error: click.MissingParameter) -> click.UsageError:
    """The same complaint, which click ends in an English full stop in any language."""
    name = error.param.get_error_hint(error.ctx) if error.param and error.ctx else error.param_hint
    said = "Missing option {name}." if isinstance(error.param, click.Option) else "Missing argument {name}."
    return click.UsageError(language().text(said, name=name), error.ctx)


def command(function: F) -> Command:
    """A function as a command, whose help is its docstring."""
    return click.command(cls=Command)(function)


def named(name: str) -> Callable[[F], Command]:
    """The same, of a name that Python has for something else."""
    return click.command(name, cls=Command)


def option(*names: str, **settings: Any) -> Callable[[F], F]:
    """`click.option`, translated."""
    return click.option(*names, cls=Option, **settings)
