"""What is told of an exception: its types, its text within bounds, the learner's own lines, and what was behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from grader.limits import MAX_MESSAGE_CHARACTERS
from grader.wire import Unsendable
from grader.worker.raised import Raised, raised

SOURCE = """
class Mine(LookupError):
    pass

def mine():
    raise Mine("no such word")

def deep(n):
    if n:
        deep(n - 1)
    1 / 0

def handed(call):
    call()

def todo():
    raise NotImplementedError("later")

def chained():
    try:
        1 / 0
    except ZeroDivisionError as error:
        raise ValueError("worse") from error

def chain(n):
    error = OSError(0)
    for place in range(n):
        outer = KeyError() if place % 2 else IndexError()
        outer.__cause__ = error
        error = outer
    raise error
"""


@pytest.fixture(scope="module")
def learners() -> dict[str, Any]:
    module: dict[str, Any] = {"__name__": "answer"}
    exec(compile(SOURCE, "answer.py", "exec"), module)
    return module


def of(call: Callable[..., Any], *values: Any) -> Raised:
    with pytest.raises(BaseException) as error:  # whichever it is
        call(*values)
    return raised(error.value, "answer.py")


def test_an_exception_is_its_types_its_text_and_the_learners_lines(learners: dict[str, Any]) -> None:
    assert of(learners["mine"]) == (
        "answer.Mine", ["LookupError", "Exception", "BaseException", "object"], "no such word", [(6, "mine")], []
    )  # fmt: skip
    assert of(learners["deep"], 2).lines == [(10, "deep"), (10, "deep"), (11, "deep")]


def test_of_many_lines_the_innermost_are_told(learners: dict[str, Any]) -> None:
    lines = of(learners["deep"], 80).lines
    assert len(lines) == 50 and lines[-1] == (11, "deep") and set(lines[:-1]) == {(10, "deep")}


def test_only_what_the_stub_raises_is_to_do(learners: dict[str, Any]) -> None:
    def kernel() -> None:
        raise NotImplementedError("no kernel")

    assert of(learners["todo"]).bases[0] == "NotImplementedError"
    found = of(learners["handed"], kernel)
    assert found.bases[:2] == ["RuntimeError", "Exception"] and found.lines == [(14, "handed")]


def test_a_syntax_error_is_at_its_own_line_and_only_in_the_learners_file() -> None:
    def compiled(text: str, filename: str) -> None:
        compile(text, filename, "exec")

    found = of(compiled, "x = 1\ndef f(:\n", "answer.py")
    assert (found.lines, found.text) == ([(2, "")], "invalid syntax")
    assert of(compiled, "x = (\n", "answer.py")[2:4] == ("'(' was never closed", [(1, "")])
    other = of(compiled, "x = 1\ndef f(:\n", "other.py")
    assert other.lines == [] and other.text == "invalid syntax (other.py, line 2)"

    bare = SyntaxError()
    bare.filename = "answer.py"
    assert raised(bare, "answer.py")[2:4] == ("invalid syntax", [(0, "")])


def test_the_text_is_bounded_and_may_be_unreadable() -> None:
    assert len(raised(ValueError("x" * 9999), "answer.py").text) == MAX_MESSAGE_CHARACTERS

    class Hostile(Exception):
        def __str__(self) -> str:
            raise KeyboardInterrupt

    assert raised(Hostile(), "answer.py").text == "(its text cannot be read)"


def test_what_cannot_be_sent_was_returned() -> None:
    assert raised(Unsendable("a set"), "answer.py").text == "nothing that can be sent: it returned a set"

    class Own(Unsendable):
        pass

    assert raised(Own("a set"), "answer.py").text == "a set"


def test_a_group_tells_of_its_first_exceptions(learners: dict[str, Any]) -> None:
    inner = [OSError("far")]
    for name in ("mine", "todo"):
        with pytest.raises(Exception) as error:
            learners[name]()
        inner.append(error.value)
    found = raised(ExceptionGroup("all", [*inner, *[ValueError("x")] * 9]), "answer.py")
    assert (
        found.text == "all: OSError: far; answer.Mine: no such word; NotImplementedError: later" + 7 * "; ValueError: x"
    )
    assert found.lines == [(6, "mine")]

    def grouped() -> None:
        raise ExceptionGroup("all", [ValueError("x")])

    assert of(learners["handed"], grouped).lines == [(14, "handed")]


def test_what_was_behind_it_is_told_once_and_to_a_depth(learners: dict[str, Any]) -> None:
    found = of(learners["chained"])
    assert found.causes == ["ZeroDivisionError", "ArithmeticError", "Exception", "BaseException", "object"]

    def handled() -> None:
        try:
            raise KeyError
        except KeyError:
            raise ValueError from None

    assert of(handled).causes[0] == "KeyError"

    def twice() -> None:
        try:
            handled()
        except ValueError:
            raise TypeError  # noqa: B904  # it is raised in the handling of another

    assert [name for name in of(twice).causes if name.endswith("Error")] == ["ValueError", "KeyError", "LookupError"]
    assert "OSError" in of(learners["chain"], 10).causes and "OSError" not in of(learners["chain"], 11).causes
    assert of(learners["chain"], 4).causes == [
        "IndexError", "LookupError", "Exception", "BaseException", "object", "KeyError", "OSError"
    ]  # fmt: skip
