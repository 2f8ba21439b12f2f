"""A result of several parts: as many as the statement names, in a tuple or a list, or in what is a kind of these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from grader.checks.failure import CheckFailure
from grader.checks.reading import describe
from grader.messages import Value


def assert_parts(result: object, parts: Sequence[str], *, name: Value, help: Value = "") -> Any:
    """What `name` returned is a tuple (a list, a named tuple) of these parts, by number; it is returned."""
    __tracebackhide__ = True
    if isinstance(result, tuple | list) and len(result) == len(parts):
        return result
    raise CheckFailure("value.parts", name=name, parts=list(parts), count=len(parts), got=describe(result), help=help)
