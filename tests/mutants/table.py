"""The table of scores in `tests/README.md`, between marks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from .fates import Module, Tally

BEGIN, END = "<!-- mutants -->\n", "<!-- /mutants -->"
HEAD = ["| module | mutants | killed | excused | alive | score |", "|---|---:|---:|---:|---:|---:|"]


def row(tally: Tally) -> str:
    """A line of the table."""
    killed, excused, alive = len(tally.killed), len(tally.excused), len(tally.alive)
    return (
        f"| `{tally.file}` | {killed + excused + alive} | {killed} | {excused} | {alive} | {100 * tally.score:.1f} % |"
    )


def write(page: Path, held: Iterable[Module], tally: Tally) -> None:
    """Put the row of one module in its place; the rows of others stay, of what is not held any more they go."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    old, _, after = rest.partition(END)
    rows = {line.split("`")[1]: line for line in old.splitlines() if line.startswith("| `")}
    rows[tally.file] = row(tally)
    lines = [*HEAD, *(rows[module.file] for module in held if module.file in rows)]
    page.write_text(before + BEGIN + "".join(f"{line}\n" for line in lines) + END + after, encoding="utf-8")
