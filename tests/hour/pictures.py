"""Pictures of what was captured: a terminal as SVG, and the page of `grade report --html` as a browser shows it."""

from __future__ import annotations

import io
from pathlib import Path

from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.text import Text

_BROWSER = "/usr/bin/chromium"
_SIZE = {"width": 900, "height": 1000}  # pixels of the page that are shown
# As rich draws a terminal, with the fonts of whoever looks: nothing is fetched.
_FORMAT = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", "Noto Sans Mono CJK SC", monospace; font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" /></clipPath>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def terminal(coloured: str, title: str, columns: int) -> str:
    """A capture with its colours as an SVG picture."""
    console = Console(file=io.StringIO(), record=True, width=columns, color_system="truecolor", force_terminal=True)
    console.print(Text.from_ansi(coloured), soft_wrap=True)
    return console.export_svg(title=title, code_format=_FORMAT, unique_id="terminal")


def page(file: Path) -> bytes:
    """The top of a page as a PNG picture."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_BROWSER, args=["--no-sandbox"])
        try:
            shown = browser.new_page(viewport=_SIZE)  # type: ignore[arg-type]
            shown.goto(file.absolute().as_uri())
            return shown.screenshot()
        finally:
            browser.close()
