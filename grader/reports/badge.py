"""A badge: how many katas pass, as an SVG of one line, with nothing in it that a browser would fetch or run."""

from __future__ import annotations

from xml.sax.saxutils import escape

from rich.cells import cell_len

from grader.messages.language import Language
from grader.reports.layout import escaped
from grader.scorecard import Scorecard, Verdict

CELL = 7  # pixels, of a letter of 11 pixels; a Chinese character takes two
GREY, BLUE, GREEN, DARK = "#6e7781", "#0969da", "#1a7f37", "#383f46"


def render(card: Scorecard, *, language: Language | None = None) -> str:
    """Grey where nothing passes yet, blue on the way, green where all do: what is to do is not red."""
    language = language or Language()
    passed = sum(kata.verdict is Verdict.PASS for kata in card.katas)
    asked = len(card.katas) + len(card.unbegun)
    name = language.text("katas")
    told = language.text("{passed} of {count}", passed=passed, count=asked)
    colour = GREEN if passed == asked else BLUE if passed else GREY
    left, right = (CELL * cell_len(each) + 10 for each in (name, told))
    label = escape(f"{name}: {told}", {'"': "&quot;"})

    def part(x: int, width: int, fill: str, said: str) -> str:
        middle = x + width / 2
        return (
            f'<rect x="{x}" width="{width}" height="20" fill="{fill}"/>'
            f'<text x="{middle:g}" y="14">{escape(said)}</text>'
        )

    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" aria-label="{label}">'
        f"<title>{escape(f'{name}: {told}')}</title>"
        '<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">'
        f"{part(0, left, DARK, name)}{part(left, right, colour, told)}</g></svg>\n"
    )
    return escaped(svg, lambda character: f"&#{ord(character)};")
