"""A failed comparison, told in short strings that a learner can act on: never an array."""

from __future__ import annotations

import numpy as np

PROPORTIONAL = 1e-4  # relative deviation up to which one array is called a multiple of another


class AuthorFault(ValueError):
    """A check was called with something that cannot be right: the suite is at fault, not the learner."""


class NotFinite(AuthorFault):
    """What a check holds results against is NaN or infinite: of a sound suite only where it follows from the learner's own."""


class CheckFailure(AssertionError):
    """What is wrong, where, what was got and what was expected there, and what to look at."""

    def __init__(self, message: str, *, expected: str = "", actual: str = "", where: str = "", help: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.expected = expected
        self.actual = actual
        self.where = where
        self.help = help

    def __str__(self) -> str:
        rows = [("where", self.where), ("got", self.actual), ("expected", self.expected), ("look at", self.help)]
        return "\n".join([self.message, *(f"  {label:<8}  {text}" for label, text in rows if text)])


def pair(actual: complex, expected: complex) -> tuple[str, str]:
    """Both numbers with six significant digits, or with as many as it takes to tell them apart."""
    for digits in (6, 9, 12, 17):
        shown = number(actual, digits), number(expected, digits)
        if shown[0] != shown[1]:
            break
    return shown


def number(value: complex, digits: int = 6) -> str:
    """One number as text: whole numbers and truth values in full, others with `digits` significant digits."""
    return cut(str(value) if type(value) in (bool, int) else f"{value:.{digits}g}", 40)


def at(index: tuple[int, ...]) -> str:
    """An index as text; nothing for the only entry of a scalar."""
    return f"index ({', '.join(map(str, index))})" if index else ""


def cut(text: str, length: int = 200) -> str:
    """The text, shortened with a visible mark where it is longer than `length`."""
    return text if len(text) <= length else text[: length - 3] + "..."


def proportion(actual: np.ndarray, expected: np.ndarray) -> str:
    """Words for the commonest slips (a sign, a forgotten mean): all entries too large by one factor, or all zero."""
    if actual.size < 2 or not expected.any():
        return ""
    if not actual.any():
        return ": it is zero everywhere"
    with np.errstate(all="ignore"):
        factor = np.vdot(expected, actual) / np.vdot(expected, expected)
        alike = np.max(np.abs(actual - factor * expected)) <= PROPORTIONAL * np.max(np.abs(actual))
    if not alike or abs(factor - 1) <= PROPORTIONAL:
        return ""
    return f": it is {factor:.4g} times what is expected, everywhere"
