"""Which tests are meant by parts of their names, with `and`, `or`, `not` and brackets: pytest's -k, of tests' names alone."""

from __future__ import annotations

import re
from collections.abc import Callable

_WORD = re.compile(r"[\w:+.\[\]\\/-]+")
_OPERATORS = frozenset(["and", "or", "not"])


def choice(expression: str) -> Callable[[str], bool]:
    """Whether a test's name is meant, capitals or not. Raises ValueError where the expression is none."""
    words: list[str] = []

    def numbered(found: re.Match[str]) -> str:
        if found[0] in _OPERATORS:
            return found[0]
        words.append(found[0].lower())
        return f"has({len(words) - 1})"

    if re.sub(r"[()\s]", "", _WORD.sub("", expression)):
        raise ValueError(expression)
    try:
        code = compile(_WORD.sub(numbered, expression).strip(), "-k", "eval", dont_inherit=True)
    except (SyntaxError, RecursionError, MemoryError):
        raise ValueError(expression) from None

    def meant(name: str) -> bool:
        return bool(eval(code, {"__builtins__": {}, "has": lambda place: words[place] in name.lower()}))

    return meant
