"""A result of several parts: what is a kind of tuple or list counts as one, and nothing else does."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from grader.checks import CheckFailure, assert_numpy_gradients, assert_parts, assert_trajectory


class State(NamedTuple):
    h: int
    c: int


class Losses(list):
    pass


class Gradients(dict):
    pass


@pytest.mark.parametrize("result", [(1, 2), [1, 2], State(1, 2), Losses([1, 2])])
def test_two_parts_are_two_parts(result):
    assert assert_parts(result, ("h", "c"), name="lstm_step") is result


@pytest.mark.parametrize(
    ("result", "found"),
    [((1,), "a tuple of length 1"), (None, "None"), ({1: 2, 3: 4}, "a dict of length 2"), ("hc", "a str of length 2")],
)
def test_anything_else_is_told(result, found):
    with pytest.raises(CheckFailure) as caught:
        assert_parts(result, "hc", name="lstm_step", help="both")
    failure = caught.value
    assert failure.message == "lstm_step must return the tuple (h, c)"
    assert (failure.expected, failure.actual, failure.help) == ("a tuple of length 2", found, "both")


def test_losses_and_gradients_may_be_of_a_kind_too():
    assert_trajectory(Losses([1.0, 2.0]), [1.0, 2.0])
    x, rng = np.ones(3), np.random.default_rng(0)
    assert_numpy_gradients(lambda x: float(x @ x), {"x": x}, Gradients(x=2 * x), rng)
