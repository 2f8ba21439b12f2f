"""What is noted of calls: no more than a bound, and that it was reached."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from grader.authoring.wrappers import calls
from grader.authoring.wrappers.entries import entries
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
