"""Pages of the documentation that are made from the code: `make pages` writes them, and a test holds them to it.

Every command in both languages, from what the command itself says under `--help`; what a suite is given, and what it
compares with, from docstrings.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from grader.cli import speech
from grader.cli.commands import grade
from grader.cli.speech import language

FOLDER = Path(__file__).parents[2] / ".github" / "docs"
_COMMON = {"--help", "--lang", "--course"}  # of most commands: said once
_MADE = "<!-- made by `make pages`: change the code and not this page -->"


def pages() -> dict[str, str]:
    """Every page by its name."""
    made = {"suites.md": suites()}
    for code, name in (("en", "commands.md"), ("zh", "commands.zh.md")):
        speech.choose(["--lang", code])
        made[name] = commands()
    speech.choose(["--lang", "en"])
    return made


def commands() -> str:
    """A table of every command, and one of the options of each."""
    context = click.Context(grade, info_name="grade")
    found = {name: grade.get_command(context, name) for name in grade.list_commands(context)}
    verbs = {name: command for name, command in found.items() if command is not None}
    say = language()
    parts = [f"# {say.text('The commands')}", _MADE, _table(verbs)]
    common = [param for param in verbs["list"].params if _COMMON & {*param.opts}]
    parts += [say.text("Most commands take these:"), _options(common)]
    for name, command in verbs.items():
        inner = click.Context(command, info_name=f"grade {name}")
        usage = " ".join(["grade", name, *command.collect_usage_pieces(inner)])
        own = [param for param in command.params if isinstance(param, click.Option) and not _COMMON & {*param.opts}]
        parts += [f"## grade {name}", f"```text\n{usage}\n```", *_paragraphs(command.help or "")]
        parts += [_options(own)] if own else []
    return "\n\n".join(parts) + "\n"


def _table(verbs: dict[str, click.Command]) -> str:
    heads = f"| {language().text('command')} | {language().text('what it does')} |\n|---|---|"
    rows = [
        f"| [`grade {name}`](#grade-{name}) | {_cell(_first(command.help or ''))} |" for name, command in verbs.items()
    ]
    return "\n".join([heads, *rows])


def _first(help: str) -> str:
    """The first paragraph, on a line."""
    return " ".join(help.split("\n\n")[0].split())


def _options(params: list[click.Parameter] | list[click.Option]) -> str:
    heads = f"| {language().text('option')} | {language().text('what it does')} |\n|---|---|"
    rows = []
    for param in params:
        if isinstance(param, click.Option):
            context = click.Context(grade)
            names, said = param.get_help_record(context) or ("", "")
            rows.append(f"| `{_cell(names)}` | {_cell(said)} |")
    return "\n".join([heads, *rows])


def _cell(said: str) -> str:
    return " ".join(said.split()).replace("|", "\\|")


def _plain(help: str) -> str:
    """Paragraphs as Markdown shows them: what stands in angle brackets is no element."""
    return re.sub(r"<(\w+)>", r"&lt;\1&gt;", help)


def _paragraphs(help: str) -> list[str]:
    """The same, with examples as code."""
    examples = re.compile(r"^(\w+[:：]\s*)(grade .*)$")

    def shown(found: re.Match[str]) -> str:
        return found[1] + ", ".join(f"`{each}`" for each in re.split(r", (?=grade )", found[2]))

    return [examples.sub(shown, _plain(each)) for each in help.split("\n\n")]


def suites() -> str:
    """What the tests of a suite may ask for, and what they compare with."""
    from grader import checks
    from grader.judge import plugin

    kinds = [f"| `{kind}` | {meaning} |" for kind, meaning in plugin.KINDS.items()]
    parts = [
        "# What suites are made of",
        _MADE,
        "## Kinds",
        "A test has one of these marks, as in `@pytest.mark.value`.",
    ]
    parts.append("\n".join(["| kind | what it holds |", "|---|---|", *kinds]))
    parts += ["## Fixtures", "A test asks for them by their names, as its parameters."]
    parts += [part for name, made in _fixtures(plugin) for part in (f"### {name}", _doc(made))]
    parts += ["## Checks", "All of them are imported from `grader.checks`."]
    for name in checks.__all__:
        made = getattr(checks, name)
        parts += [f"### {name}", f"```python\n{_signature(name, made)}\n```", _doc(made)]
    return "\n\n".join(parts) + "\n"


def _fixtures(plugin: object) -> Iterator[tuple[str, object]]:
    for name, made in vars(plugin).items():
        if type(made).__name__ == "FixtureFunctionDefinition":
            yield name, made._get_wrapped_function()  # pytest has no public name for it


def _signature(name: str, made: object) -> str:
    """The parameters without their types, which a reader of a suite never sees either, and with their defaults."""
    if not callable(made):
        return name
    signature = inspect.signature(made)
    bare = [each.replace(annotation=inspect.Parameter.empty) for each in signature.parameters.values()]
    return f"{name}{signature.replace(parameters=bare, return_annotation=inspect.Signature.empty)}"


def _doc(made: object) -> str:
    return _plain(inspect.getdoc(made) or "")


def main(check: bool = False) -> int:
    """Write the pages; with `check` only say which are not in step."""
    apart = []
    for name, page in pages().items():
        path = FOLDER / name
        if not path.is_file() or path.read_text(encoding="utf-8") != page:
            apart.append(name)
            if not check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(page, encoding="utf-8", newline="\n")
    print("\n".join(apart))
    return 1 if check and apart else 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
