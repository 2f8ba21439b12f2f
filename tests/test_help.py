"""`grade --help`: what every command is for, without the cost of any of them."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from grader.cli import commands, speech
from grader.cli.spoken import Command
from grader.cli.verbs import COMMANDS
from grader.messages.language import Language


def test_a_line_of_help_imports_no_command() -> None:
    """Nor what they stand on: `import click` is most of what is left."""
    start = "import sys; from grader.cli.commands import run; run(['--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", start], capture_output=True, text=True, check=True)
    help, _, loaded = done.stdout.rstrip().rpartition("\n")
    assert all(f"\n  {name} " in help for name in COMMANDS)
    ours = {name for name in loaded.split() if name.startswith("grader.")}
    assert not ours & {*COMMANDS.values(), "grader.session", "grader.kata", "grader.scorecard", "grader.store"}
    assert not {"numpy", "torch", "jsonschema", "babel", "sqlite3"} & set(loaded.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_a_line_of_help_says_what_the_command_says(name: str) -> None:
    context = click.Context(commands.grade)
    command, listed = commands.grade.get_command(context, name), commands._Listed().get_command(context, name)
    assert command is not None and listed is not None
    assert listed.help == command.help and len(listed.get_short_help_str()) > 10


@pytest.mark.parametrize(
    ("said", "short"),
    [
        ("显示 KATA（或全部）的题目。\n\n例如：……", "显示 KATA 的题目"),
        ("显示题目（或全部）的内容：都写", "显示题目的内容"),
        ("列出各题（都不写就全部）。", "列出各题"),
        ("列出各题 （都不写） lstm", "列出各题 lstm"),
    ],
)
def test_a_line_of_chinese_help_is_a_sentence_without_its_asides(
    monkeypatch: pytest.MonkeyPatch, said: str, short: str
) -> None:
    chinese = Language("zh")
    monkeypatch.setattr(speech, "_chosen", chinese)
    monkeypatch.setattr(Language, "text", lambda self, text, **_: text)
    assert Command("x", help=said, params=[]).get_short_help_str() == short
