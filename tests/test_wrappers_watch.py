"""What is noted of calls: no more than a bound, and that it was reached."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from grader.authoring.mutating.wrappers import calls
from grader.authoring.mutating.wrappers.entries import entries
from grader.checks.observations import drain

SOURCE = "found = []\n\n\ndef grown(x, n):\n    found.append(x)\n    return x * 4.0 ** len(found)\n"


@pytest.mark.parametrize("alike", [0, 2])
def test_the_last_call_that_is_noted_says_so(alike: int) -> None:
    """Calls alike in their arguments are told apart by their results, so the bound is met at either of the two."""
    home: dict[str, Any] = {}
    exec(calls.watching(SOURCE, entries(SOURCE)), home)
    drain()
    for n in [*[0] * alike, *range(99)]:
        home["grown"](np.ones(1), n)
    noted = [call.last for call in calls._calls(SimpleNamespace(comparisons=drain()))]  # type: ignore[arg-type]
    assert len(noted) < 99 and noted == [False] * (len(noted) - 1) + [True]


def test_a_number_that_is_none_is_noted_without_its_value() -> None:
    home: dict[str, Any] = {}
    source = "def ratio(x, n):\n    return x / n if n else float('inf')\n"
    exec(calls.watching(source, entries(source)), home)
    drain()
    home["ratio"](1.0, 0)
    home["ratio"](float("nan"), 2)
    first, second = calls._calls(SimpleNamespace(comparisons=drain()))  # type: ignore[arg-type]
    assert (first.result.kind, first.result.value) == ("float", None)
    assert second.arguments["x"].value is None and second.arguments["n"].value == 2
