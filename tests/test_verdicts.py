"""From how a test ended to words: what helps is said, and what matters of a long text is kept."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from grader.judge.explain import help_with
from grader.judge.gone import learner_error
from grader.judge.verdicts import ending
from grader.scorecard import Verdict


def bridge(nothing: str = "") -> Any:
    return SimpleNamespace(gone=None, forbidden=[], todo=None, line=None, nothing=nothing)


def test_the_keys_that_torch_names_are_kept() -> None:
    try:
        torch.nn.Linear(2, 1).load_state_dict({"weight": torch.ones(1, 2), "more": torch.ones(1)})
    except RuntimeError as error:
        said = ending(error, bridge())
    assert said.verdict is Verdict.FAIL
    assert (
        'Missing key(s) in state_dict: "bias"' in said.message
        and 'Unexpected key(s) in state_dict: "more"' in said.message
    )


def test_a_forgotten_return_is_told_by_the_function_that_forgot_it() -> None:
    with pytest.raises(TypeError) as caught:
        _a, _b = None  # type: ignore[misc]
    assert ending(caught.value, bridge("step")).message == "step returned None: is a return missing?"
    said = ending(AssertionError("step must return the tuple (h, c)"), bridge("step")).message
    assert said == "step must return the tuple (h, c): step returned None, is a return missing?"
    assert "None" not in ending(AssertionError("h must be two"), bridge()).message
    assert "cannot use" in ending(TypeError("'int' object is not iterable"), bridge("reset")).message


NEWER = ["type Vector = list[float]", "def first[T](xs): ...", "    async def f[T](x): ...", "class Box[T]:", "except A, B:",
         "    x = f'{a['b']}'", "t'{x}'"]  # fmt: skip
OLDER = ["type(x) == 1", "x = types[0] = 2", "def first(xs) -> list[int]", "class Box(Generic[T])", "except (A, B):",
         "x = f'{a}' + f'{b}'", "lt'x'", "print('a'"]  # fmt: skip


@pytest.mark.parametrize(("line", "newer"), [*((line, True) for line in NEWER), *((line, False) for line in OLDER)])
def test_syntax_of_a_newer_python_is_told_from_a_slip(line: str, newer: bool) -> None:
    error = learner_error("SyntaxError", ["SyntaxError", "Exception"], "invalid syntax", 1)
    assert ("run by Python" in str(help_with(error, "04_lstm", line))) is newer


@pytest.mark.parametrize(
    ("kind", "text", "causes", "words"),
    [
        (
            "RuntimeError",
            "[enforce fail at x.cc:1] . open file failed with strerror: Permission denied",
            [],
            "locked away",
        ),
        ("RuntimeError", "cannot save", ["PermissionError", "OSError"], "locked away"),
        ("OSError", "[Errno 38] Function not implemented", [], "locked away"),
        ("RuntimeError", "can't start new thread", [], "few dozen threads"),
        ("AttributeError", "module 'itertools' has no attribute 'batched'", [], "run by Python"),
        ("AttributeError", "module 'torch' has no attribute 'batched'", [], ""),
        ("ImportError", "cannot import name 'batched' from 'itertools' (unknown location)", [], "run by Python"),
        ("ImportError", "cannot import name 'Net' from 'torch.nn' (x)", [], ""),
        ("ValueError", "odd", [], ""),
    ],
)
def test_what_the_locked_process_refuses_says_so_in_whatever_words_it_comes(
    kind: str, text: str, causes: list[str], words: str
) -> None:
    said = help_with(learner_error(kind, [kind, "Exception"], text, 1, causes), "04_lstm")
    assert words in str(said) if words else said is None
