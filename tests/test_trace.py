"""The trace of what a learner's functions returned: blind to rounding and form, and to nothing else."""

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import torch

from grader.diagnosis import same_trace
from grader.judge.trace import MOST, trace

RNG = np.random.default_rng(0)
ARRAY = RNG.normal(size=(7, 5))


def alike(one: list[Any], other: list[Any]) -> bool:
    return same_trace(trace(one), trace(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ARRAY, ARRAY * (1 + 1e-9)),
        (ARRAY, torch.from_numpy(ARRAY)),
        (ARRAY, ARRAY.astype(np.float32)),
        ((ARRAY, 1.5), [ARRAY, 1.5]),
        ({"a": ARRAY, "b": 2.0}, OrderedDict(b=2.0, a=ARRAY)),
        (0.5, np.array(0.5)),
        (np.zeros(4), np.full(4, 1e-17)),
        (np.array([1.0, np.nan]), np.array([1.0, np.nan])),
    ],
)
def test_rounding_form_and_order_of_a_dict_are_the_same(one: Any, other: Any) -> None:
    assert alike([one], [other])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ARRAY, -ARRAY),
        (ARRAY, 2 * ARRAY),
        (ARRAY, ARRAY[::-1]),
        (ARRAY, ARRAY.T),
        (ARRAY, np.where(np.arange(35).reshape(7, 5) == 17, ARRAY + 0.01, ARRAY)),
        (np.array([1.0, np.nan]), np.array([np.nan, 1.0])),
        (np.array([1.0, np.inf]), np.array([1.0, -np.inf])),
        (np.array([1, 2]), np.array([1, 3])),
        ("word", "words"),
        (None, 0.0),
        ({"a": ARRAY}, {"b": ARRAY}),
        ([ARRAY], [ARRAY, ARRAY]),
        (True, False),
    ],
)
def test_other_values_are_others(one: Any, other: Any) -> None:
    assert not alike([one], [other])


def test_the_order_of_calls_counts() -> None:
    assert not alike([1.5, 2.5], [2.5, 1.5])


def test_what_comes_after_the_most_does_not_count() -> None:
    many = np.ones(MOST + 1)
    assert alike([many, 1.0], [many, 2.0])


def test_what_is_no_value_is_an_object_whatever_it_is() -> None:
    assert alike([object()], [torch.nn.Linear(1, 1)])
