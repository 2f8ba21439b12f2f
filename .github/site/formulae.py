"""A statement's formulae as MathML: what it writes in lines of text, a browser sets as mathematics, without a script.

Lines stay lines, and what stands apart by three spaces or more is a column. A letter with an underscore has an index, `^` a
power, and every other sign stays what it is.
"""

from __future__ import annotations

import re
from html import escape

_TOKEN = re.compile(
    r"\s+|[A-Za-z]+(?:_[A-Za-z]+\d*)+|\d+(?:\.\d+)?|[A-Za-z]+\d*|[\u4e00-\u9fff\uff00-\uffef\u3000-\u303f]+|."
)
_INDEXED = re.compile(r"[A-Za-z]_[A-Za-z]{1,2}\d*")  # `x_t` and `w_ih`; `learning_rate` is a name
_GAP = re.compile(r" {3,}")
_MARKS = "′ᵀ²³₀₁₂₃ₜ⁺⁻¹"  # set where they stand, by the font


def mathml(text: str) -> str:
    """A block of lines as one table."""
    rows = [_GAP.split(line.rstrip()) for line in text.strip("\n").split("\n")]
    cells = ["".join(f"<mtd>{_row(cell)}</mtd>" for cell in row) for row in rows]
    table = "".join(f"<mtr>{row}</mtr>" for row in cells)
    return f'<math display="block" class="formula"><mtable columnalign="left">{table}</mtable></math>'


def _row(text: str) -> str:
    tokens = _TOKEN.findall(text)
    made = []
    while tokens:
        made.append(_power(tokens))
    return f"<mrow>{''.join(made)}</mrow>"


def _power(tokens: list[str]) -> str:
    base = _one(tokens)
    while tokens and tokens[0] in "_^" and len(tokens) > 1:
        kind = "msub" if tokens.pop(0) == "_" else "msup"
        base = f"<{kind}>{base}{_group(tokens)}</{kind}>"
    return base


def _group(tokens: list[str]) -> str:
    """What is raised or lowered: one sign, or all between parentheses, which are not shown then."""
    if tokens[0] != "(":
        return _one(tokens)
    tokens.pop(0)
    depth, inner = 1, []
    while tokens and depth:
        depth += (tokens[0] == "(") - (tokens[0] == ")")
        if depth:
            inner.append(tokens.pop(0))
    if tokens:
        tokens.pop(0)
    return _row("".join(inner))


def _one(tokens: list[str]) -> str:
    token = tokens.pop(0)
    if token.isspace():
        between_signs = not tokens or not tokens[0][0].isalnum()
        return "" if between_signs else '<mspace width="0.3em"/>'
    if _INDEXED.fullmatch(token):
        base, _, index = token.partition("_")
        return f"<msub><mi>{base}</mi><mi>{index}</mi></msub>"
    shown = escape(token)
    if token[0].isdigit():
        return f"<mn>{shown}</mn>"
    if token in _MARKS:
        return f"<mi>{shown}</mi>"
    if token.replace("_", "").isalnum():
        return f"<mi>{shown}</mi>"  # a browser slants one letter, and sets a word upright
    return f"<mtext>{shown}</mtext>" if token in "[]…:;,." else f"<mo>{shown}</mo>"
