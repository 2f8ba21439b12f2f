"""Two files beside each other: a learner's and the authors'."""

from __future__ import annotations

from itertools import zip_longest

from grader.messages.language import Language
from grader.reports.layout import cut, pad

SIDE_BY_SIDE = 120  # cells from which there is room for two


def beside(mine: str, theirs: str, width: int, language: Language) -> str:
    """Both, line by line, in `width` cells."""
    half = (width - 3) // 2
    left = [language.text("yours"), "", *mine.expandtabs(4).split("\n")]
    right = [language.text("the solution"), "", *theirs.expandtabs(4).split("\n")]
    pairs = zip_longest(left, right, fillvalue="")
    return "\n".join(f"{pad(one, half)} │ {cut(other, half)}".rstrip() for one, other in pairs) + "\n"
