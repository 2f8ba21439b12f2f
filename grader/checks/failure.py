"""A failed comparison, told as data that reports word: short, and never an array."""

from __future__ import annotations

import numpy as np

from grader.messages import Message, Value, message, said
from grader.messages.message import ENGLISH

PROPORTIONAL = 1e-4  # relative deviation up to which one array is called a multiple of another


class AuthorFault(ValueError):
    """A check was called with something that cannot be right: the suite is at fault, not the learner."""


class NotFinite(AuthorFault):
    """What a check holds results against is NaN or infinite: of a sound suite only where it follows from the learner's own."""


class CheckFailure(AssertionError):
    """What is wrong, where, what was got and what was expected there, and what to look at: a code and its arguments.

    name, if there is one, and help are texts of the suite's own, or English that stands for one.
    """

    def __init__(self, code: str, /, *, help: Value = "", **args: Value) -> None:
        if "name" in args:
            args["name"] = said(args["name"])
        self.said = message(code, **args)
        self.advice = said(help) if help else None
        super().__init__(str(self))

    @property
    def message(self) -> str:
        return str(self.said)

    @property
    def where(self) -> str:
        return ENGLISH.rows(self.said).where

    @property
    def actual(self) -> str:
        return ENGLISH.rows(self.said).got

    @property
    def expected(self) -> str:
        return ENGLISH.rows(self.said).expected

    @property
    def help(self) -> str:
        return str(self.advice) if self.advice else ""

    def __str__(self) -> str:
        rows = [("where", self.where), ("got", self.actual), ("expected", self.expected), ("look at", self.help)]
        return "\n".join([self.message, *(f"  {label:<8}  {text}" for label, text in rows if text)])


def pair(actual: complex, expected: complex) -> tuple[Value, Value]:
    """Both numbers rounded to six significant digits, or to as many as it takes to tell them apart."""
    for digits in (6, 9, 12, 17):
        shown = rounded(actual, digits), rounded(expected, digits)
        if shown[0] != shown[1]:
            break
    return shown


def rounded(value: complex, digits: int = 6) -> Value:
    """The number as it is shown, of `digits` significant digits; whole numbers and truth values in full."""
    if type(value) is float:
        return float(f"{value:.{digits}g}")
    return value if type(value) in (bool, int) and abs(value) < 1 << 63 else number(value, digits)


def number(value: complex, digits: int = 6) -> str:
    """One number as text: whole numbers and truth values in full, others with `digits` significant digits."""
    return cut(str(value) if type(value) in (bool, int) else f"{value:.{digits}g}", 40)


def cut(text: str, length: int = 200) -> str:
    """The text, shortened with a visible mark where it is longer than `length`."""
    return text if len(text) <= length else text[: length - 3] + "..."


def proportion(actual: np.ndarray, expected: np.ndarray) -> Message | None:
    """Words for the commonest slips (a sign, a forgotten mean): all entries too large by one factor, or all zero."""
    if actual.size < 2 or not expected.any():
        return None
    if not actual.any():
        return message("slip.zero")
    with np.errstate(all="ignore"):
        factor = np.vdot(expected, actual) / np.vdot(expected, expected)
        alike = np.max(np.abs(actual - factor * expected)) <= PROPORTIONAL * np.max(np.abs(actual))
    if not alike or abs(factor - 1) <= PROPORTIONAL:
        return None
    return message("slip.factor", factor=float(f"{factor.real:.6g}"))
