"""Trajectories and convergence gates: the step that departs is named, and no NaN beats a bar."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from grader.checks import CheckFailure, assert_beats, assert_trajectory
from grader.checks.observations import Observation, drain

LOSSES = [1.5, 0.75, 0.5]


def failure(check, *args, **kwargs) -> CheckFailure:
    with pytest.raises(CheckFailure) as caught:
        check(*args, **kwargs)
    return caught.value


@pytest.mark.parametrize(
    "losses",
    [
        LOSSES,
        tuple(LOSSES),
        np.array(LOSSES),
        torch.tensor(LOSSES),
        list(map(np.float64, LOSSES)),
        [1.5 + 1e-9, 0.75, 0.5],
    ],
    ids=lambda losses: type(losses).__name__,
)
def test_the_same_losses_pass_in_any_plain_form(losses):
    for expected in (LOSSES, np.array(LOSSES), torch.tensor(LOSSES)):
        assert_trajectory(losses, expected)


def test_a_whole_number_is_a_loss():
    assert_trajectory([1, 0], [1.0, 0.0])


@pytest.mark.parametrize("step", [0, 1, 2])
def test_the_first_step_that_departs_is_named(step):
    losses = [loss + 0.1 * (i >= step) for i, loss in enumerate(LOSSES)]
    wrong = failure(assert_trajectory, losses, LOSSES)
    assert wrong.where == f"step {step + 1}" and f"step {step + 1} of 3" in wrong.message
    assert (wrong.actual, wrong.expected) == (f"{losses[step]:.6g}", f"{LOSSES[step]:.6g}")
    assert wrong.help == ("the gradients and the update" if step else "the forward pass and the loss")
    assert failure(assert_trajectory, losses, LOSSES, help="the momentum").help == "the momentum"


def test_each_step_is_compared_on_its_own_scale():
    """A loss that falls a thousandfold is still checked at its end."""
    failure(assert_trajectory, [100.0, 0.1 + 1e-6], [100.0, 0.1])
    assert_trajectory([100.0 + 1e-5, 1e-10], [100.0, 0.0])


@pytest.mark.parametrize(
    ("losses", "word"),
    [
        ([1.5, 0.75], "number of steps"),
        ([*LOSSES, 0.4], "number of steps"),
        ([], "number of steps"),
        ([[1.5], [0.75], [0.5]], "plain number"),
        ([1.5, 0.75, "0.5"], "plain number"),
        ([1.5, 0.75, None], "plain number"),
        ([1.5, 0.75, True], "plain number"),
        ([1.5, 0.75, 0.5 + 0j], "plain number"),
        ([torch.tensor(loss) for loss in LOSSES], ".item()"),
        (None, "not a list"),
        (1.5, "not a list"),
        ("abc", "not a list"),
        ({0: 1.5}, "not a list"),
        (iter(LOSSES), "not a list"),
        (np.array([LOSSES]), "not a list"),
        (np.array([True, True, True]), "not a list"),
        (np.array(LOSSES, dtype=object), "not a list"),
        (torch.tensor(LOSSES)[:, None], "not a list"),
        ([math.nan] * 3, "step 1"),
        ([1.5, math.inf, 0.5], "step 2"),
        (np.array([1.5, 0.75, math.nan]), "step 3"),
    ],
)
def test_other_losses_fail_with_a_reason(losses, word):
    assert word in failure(assert_trajectory, losses, LOSSES, tol=0.9).message


def test_the_position_of_what_is_no_number_is_told():
    assert failure(assert_trajectory, [1.5, None, "x"], LOSSES).where == "position 1"


@pytest.mark.parametrize("expected", [[], [1.0, math.nan], [1.0, "2"], None, np.ones((2, 2)), 1.0])
def test_an_expected_trajectory_is_the_authors_business(expected):
    with pytest.raises(ValueError):
        assert_trajectory(LOSSES, expected)


def test_trajectories_are_observed_also_when_they_fail():
    drain()
    assert_trajectory(LOSSES, LOSSES, name="nll", tol=1e-7)
    failure(assert_trajectory, [1.5, 0.75, 0.75], LOSSES)
    assert drain() == [
        Observation("assert_trajectory", "nll", 0.0, 1e-7),
        Observation("assert_trajectory", "loss", 0.5, 1e-6),
    ]


@pytest.mark.parametrize(
    ("score", "bar", "higher"),
    [
        (0.95, 0.9, True),
        (0.2, 0.3, False),
        (np.float32(0.95), 0.9, True),
        (10, 9, True),
        (torch.tensor(0.95), 0.9, True),
    ],
)
def test_a_score_beyond_the_bar_passes(score, bar, higher):
    assert_beats(score, bar, name="accuracy", higher=higher)


@pytest.mark.parametrize(
    "score", [0.9, 0.5, math.nan, math.inf, -math.inf, True, None, "1.0", [0.95], np.array([0.95])]
)
@pytest.mark.parametrize("higher", [True, False])
def test_anything_else_does_not(score, higher):
    bar = 0.9 if higher else 0.4
    wrong = failure(assert_beats, score, bar, name="accuracy", higher=higher, help="more epochs")
    assert wrong.expected == f"{'more' if higher else 'less'} than {bar}"
    assert "accuracy" in wrong.message and wrong.help == "more epochs"


def test_a_gate_says_what_was_reached_and_what_is_needed():
    wrong = failure(assert_beats, 0.8125, 0.9, name="held-out accuracy")
    assert str(wrong).splitlines()[0] == "held-out accuracy reached 0.8125; more than 0.9 is needed"


def test_a_gate_records_its_margin():
    drain()
    assert_beats(0.75, 0.5, name="a")
    assert_beats(0.25, 0.75, name="b", higher=False)
    failure(assert_beats, 0.25, 0.75, name="c")
    assert [(o.name, o.error, o.margin) for o in drain()] == [("a", 0.0, 0.25), ("b", 0.0, 0.5), ("c", 0.5, -0.5)]


@pytest.mark.parametrize("bar", [math.nan, math.inf, None, "0.9", True, np.ones(2)])
def test_a_bar_is_the_authors_business(bar):
    with pytest.raises(ValueError):
        assert_beats(0.95, bar, name="accuracy")
