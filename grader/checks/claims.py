"""A claim of the suite's own: for what no other check says better."""

from __future__ import annotations

from typing import Any

from grader.checks.failure import CheckFailure
from grader.messages import Value


def assert_that(claim: Any, english: str, /, *, help: Value = "", **fields: Value) -> None:
    """`claim` is true; else the learner reads the sentence, with the values of its fields in braces.

    A plain `assert claim, "sentence"` does the same where the sentence has no fields.
    """
    __tracebackhide__ = True
    if not claim:
        raise CheckFailure(english, help=help, **fields)
