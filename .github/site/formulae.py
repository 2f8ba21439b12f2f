"""A statement's formulae as MathML: what it writes in lines of text, a browser sets as mathematics, without a script.

Lines stay lines, and what stands apart by three spaces or more stands apart. A letter with an underscore has an index, `^`
a power, and every other sign stays what it is: nothing is added and nothing is left out.
"""

from __future__ import annotations

import re
from html import escape

_TOKEN = re.compile(
    r"\s+|\|\||[A-Za-z]+(?:_[A-Za-z]+\d*)+|\d+(?:\.\d+)?|[A-Za-z]+\d*|[\u4e00-\u9fff\uff00-\uffef\u3000-\u303f]+|."
)
_INDEXED = re.compile(r"[A-Za-z]_[A-Za-z]{1,2}\d*")  # `x_t` and `w_ih`; `learning_rate` is a name
_GAP = re.compile(r" {3,}")
_SIGNS = set("=+−·/←→<>≤≥≠⊙∈×~≈")  # the signs of a formula
_MARKS = "′ᵀ²³₀₁₂₃ₜ⁺⁻¹"  # set where they stand, by the font


def mathml(text: str) -> str:
    """A block of lines, each of one formula or more that stand side by side where there is room."""
    rows = [_GAP.split(line.strip()) for line in text.strip("\n").split("\n")]
    shown = ["".join(f"<math>{_row(each)}</math>" for each in row) for row in rows]
    return f'<div class="formula">{"".join(f"<div>{row}</div>" for row in shown)}</div>'


def _row(text: str) -> str:
    tokens = _spaced(_TOKEN.findall(text))
    made: list[str] = []
    before = "("
    while tokens:
        sign = tokens[0] in ("\u2212", "-") and before in "([=←,"  # a minus that belongs to what follows
        before = tokens[0]
        part = _power(tokens)
        made.append(part.replace("<mo ", '<mo form="prefix" ') if sign else part)
    return f"<mrow>{''.join(made)}</mrow>"


def _spaced(tokens: list[str]) -> list[str]:
    """Without the spaces round signs that bring their own."""

    def needed(at: int) -> bool:
        return not any(tokens[each : each + 1] and tokens[each] in _SIGNS for each in (at - 1, at + 1) if each >= 0)

    return [token for at, token in enumerate(tokens) if not token.isspace() or needed(at)]


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
        return '<mspace width="0.3em"/>'
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
    return f"<mtext>{shown}</mtext>" if token in "[]…:;,." else f'<mo stretchy="false">{shown}</mo>'
