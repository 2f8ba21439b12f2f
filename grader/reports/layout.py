"""Text laid out in the cells of a terminal, where a Chinese character takes two and a colour none."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise

from rich.cells import cell_len, chop_cells, set_cell_size

COLOURS = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "magenta": "35", "cyan": "36"}
WIDE = "\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef"  # a line may be broken between two of these
CLOSING = "\u3001\u3002\u300d\u300f\uff01\uff09\uff0c\uff1a\uff1b\uff1f"  # but not before one of these
PIECES = rf"\s+|(?:`[^`\s][^`]*`|[{WIDE}]|[^\s{WIDE}]+)[{CLOSING}]*"  # nor within `code`
BARS = "▁▂▃▄▅▆▇█"
# What CI systems obey in a log, wherever wrapping may have put it: `::error::` and `##[error]` at the start of a line
# (GitHub), `##vso[...]` (Azure) and `##teamcity[...]` anywhere.
COMMANDS = re.compile(r"^(?P<indent>[^\S\n]*)(?:::|##(?=\[))|##(?=vso\[|teamcity\[)", re.MULTILINE)


class Paint:
    """Words in colours, or as they are where there are none."""

    def __init__(self, colour: bool) -> None:
        self.colour = colour

    def __call__(self, text: str, *styles: str) -> str:
        codes = ";".join(COLOURS[style] for style in styles)
        return f"\x1b[{codes}m{text}\x1b[0m" if self.colour and codes and text.strip() else text


def pad(text: str, width: int, *, right: bool = False) -> str:
    """The text in exactly `width` cells: cut with an ellipsis, or filled up on the right (or the left)."""
    text = cut(text, width)
    return " " * (width - cell_len(text)) + text if right else set_cell_size(text, width)


def cut(text: str, width: int) -> str:
    """The text in at most `width` cells, with an ellipsis where some is missing."""
    return text if cell_len(text) <= width else set_cell_size(text, max(width - 1, 0)).rstrip() + "…"


def wrap(text: str, width: int, most: int = 1000) -> list[str]:
    """The text in lines of at most `width` cells, and in at most `most` lines; its indentation is kept."""
    lines = [line for paragraph in text.expandtabs(4).split("\n") for line in _wrapped(paragraph, max(width, 8))]
    return lines if len(lines) <= most else [*lines[: most - 1], "…"]


def hang(line: str, width: int) -> list[str]:
    """A line of code in as many lines as it takes: where it is too wide, the others stand four cells further in."""
    if cell_len(line.expandtabs(4)) <= width:
        return [line.expandtabs(4)]
    code = line.expandtabs(4).lstrip()
    indent = " " * min(len(line.expandtabs(4)) - len(code), width // 2)
    first, *others = wrap(code, width - len(indent) - 4)
    return [indent + first, *(f"{indent}    {other}" for other in others)]


@cache
def _pieces() -> re.Pattern[str]:
    """Compiled where a text is wrapped: that takes milliseconds."""
    return re.compile(PIECES)


def _wrapped(text: str, width: int) -> list[str]:
    lines, line = [], ""
    for piece in _pieces().findall(text):
        if cell_len(line + piece) > width and line.strip():
            lines.append(line.rstrip())
            line = "" if piece.isspace() else piece
        else:
            line += piece
        while cell_len(line) > width:
            head = chop_cells(line, width)[0]
            lines.append(head)
            line = line[len(head) :]
    return [*lines, line.rstrip()]


def disarmed(text: str) -> str:
    """The text with what a CI system would obey in its log made to look like it only, in as many cells or fewer."""
    return COMMANDS.sub(lambda found: (found["indent"] or "") + ("∷" if "::" in found[0] else "♯"), text)


def escaped(text: str, escape: Callable[[str], str]) -> str:
    """The same for a document that others read: where a CI system would obey, one character is written in another way."""
    return COMMANDS.sub(lambda found: found[0][:-1] + escape(found[0][-1]), text)


def sparkline(values: Sequence[float | None], width: int) -> str:
    """A curve in at most `width` bars, of equal shares of the values each; `!` where a value was not finite."""
    shares = min(len(values), width)
    bounds = [len(values) * i // shares for i in range(shares + 1)] if shares else [0]
    means = [_mean(values[a:b]) for a, b in pairwise(bounds)]
    finite = [mean for mean in means if mean is not None]
    low, span = min(finite, default=0.0), max(finite, default=0.0) - min(finite, default=0.0)
    steps = len(BARS) - 1
    return "".join("!" if m is None else BARS[round((m - low) / span * steps) if span else 0] for m in means)


def _mean(values: Sequence[float | None]) -> float | None:
    finite = [value for value in values if value is not None]
    return sum(finite) / len(finite) if len(finite) == len(values) else None
