"""What is still to do: a stub's own `raise NotImplementedError`, and no other."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

import pytest

from grader.todo import is_the_stubs

SOURCE = """
def stub():
    raise NotImplementedError

def deep():
    stub()

def asks(library):
    library()

def divides():
    1 / 0
"""


def raised(call: Callable[..., Any], *values: Any) -> TracebackType | None:
    """The traceback of what a call raises, from the call on."""
    with pytest.raises((NotImplementedError, ZeroDivisionError)) as error:
        call(*values)
    trace = error.value.__traceback__
    assert trace is not None
    return trace.tb_next


@pytest.fixture
def learners() -> dict[str, Any]:
    module: dict[str, Any] = {}
    exec(compile(SOURCE, "answer.py", "exec"), module)
    return module


def library() -> None:
    raise NotImplementedError


def test_a_raise_in_the_learners_own_file_is_the_stubs(learners: dict[str, Any]) -> None:
    """Wherever it was called from; and so is one of which nothing more is known."""
    assert is_the_stubs(raised(learners["stub"]), "answer.py")
    assert is_the_stubs(raised(learners["deep"]), "answer.py")
    assert is_the_stubs(None, "answer.py")


def test_what_a_library_raises_is_not(learners: dict[str, Any]) -> None:
    assert not is_the_stubs(raised(learners["asks"], library), "answer.py")
    assert not is_the_stubs(raised(library), "answer.py")
    assert not is_the_stubs(raised(learners["stub"]), "another.py")


def test_what_is_raised_by_no_raise_is_not(learners: dict[str, Any]) -> None:
    """As by a kernel in C, which has no frame of its own."""
    assert not is_the_stubs(raised(learners["divides"]), "answer.py")
