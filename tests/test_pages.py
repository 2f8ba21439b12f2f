"""Pages that are made from the code are in step with it, and say all that there is."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from grader import checks
from grader.cli import pages
from grader.cli.verbs import COMMANDS
from grader.judge import plugin

PAGES = ("commands.md", "commands.zh.md", "suites.md")


def test_every_page_is_as_the_code_makes_it_now() -> None:
    """In a process of its own, since it changes the language; where this fails, `make pages` writes them."""
    command = [sys.executable, "-m", "grader.cli.pages", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "\n"), done.stdout + done.stderr


@pytest.mark.parametrize("name", PAGES[:2])
def test_every_command_stands_in_the_table_and_has_a_place_of_its_own(name: str) -> None:
    page = (pages.FOLDER / name).read_text(encoding="utf-8")
    assert re.findall(r"^\| \[`grade (\w+)`\]\(#grade-\w+\)", page, re.MULTILINE) == list(COMMANDS)
    assert re.findall(r"^## grade (\w+)$", page, re.MULTILINE) == list(COMMANDS)
    rows = re.findall(r"^\|(.*)\|$", page, re.MULTILINE)
    assert rows and all(len(re.split(r"(?<!\\)\|", row)) == 2 and row.rpartition("|")[2].strip() for row in rows)


def test_every_fixture_and_check_is_told_in_more_than_its_name() -> None:
    page = (pages.FOLDER / "suites.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^### (\w+)\n\n(.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL))
    fixtures = {"solution", "reference", "mutated", "operations", "record", "rng", "generator"}
    assert set(told) == fixtures | set(checks.__all__)
    assert all(len(re.sub(r"```.*?```", "", said, flags=re.DOTALL).split()) >= 5 for said in told.values())
    assert all(f"| `{kind}` |" in page for kind in plugin.KINDS)
