"""A scorecard in a notebook: the text that a terminal shows, and the same as HTML, in which everything is escaped."""

from __future__ import annotations

import io
from html import escape

from rich.console import Console
from rich.text import Text

from grader.notebook.words import Asked
from grader.reports import terminal
from grader.reports.terminal import After
from grader.scorecard import Scorecard

WIDTH = 100  # cells
_PRE = '<pre style="line-height: 1.35; white-space: pre; overflow-x: auto">{code}</pre>'


def bundle(card: Scorecard, asked: Asked, after: After) -> dict[str, str]:
    """What a frontend chooses from: text for all of them, and HTML with the colours."""

    def rendered(colour: bool) -> str:
        return terminal.render(
            card,
            width=WIDTH,
            colour=colour,
            language=asked.language,
            after=after,
            every=asked.every,
            prints=asked.prints,
        )

    return {"text/plain": rendered(False), "text/html": _html(rendered(True))}


def plain(words: str) -> dict[str, str]:
    """Words, in both forms."""
    return {"text/plain": words, "text/html": f"<div>{escape(words)}</div>"}


def lines(text: str) -> dict[str, str]:
    """Lines that somebody's model wrote, in both forms."""
    return {"text/plain": text, "text/html": _PRE.format(code=escape(text))}


def _html(coloured: str) -> str:
    """Text with a terminal's colours as HTML that stands in any page, light or dark."""
    console = Console(
        file=io.StringIO(),
        record=True,
        width=10 * WIDTH,
        color_system="standard",
        force_terminal=True,
        force_jupyter=False,  # else it shows what it records
    )
    console.print(Text.from_ansi(coloured.rstrip("\n")), soft_wrap=True, end="")
    return console.export_html(inline_styles=True, code_format=_PRE)
