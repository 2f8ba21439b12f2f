"""A training loop against an oracle's: every loss, how many there are, and the weights after the last step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from grader.checks import CheckFailure, assert_trained, descend

RATES = [0.1, 0.02, 0.3, 0.1, 0.05, 0.2, 0.1, 0.1, 0.4, 0.1, 0.02, 0.1]


def model() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(3, 2, dtype=torch.float64)


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    return x, torch.randn(5, 2, generator=generator, dtype=torch.float64)


def steps(oracle: nn.Module, optimiser: Any) -> Iterator[torch.Tensor]:
    x, y = batch()
    for rate in RATES:
        optimiser.param_groups[0]["lr"] = rate
        yield F.mse_loss(oracle(x), y)


def fit(learner: nn.Linear, *, anew: int = 0, decay: int = 99, count: int = len(RATES), frozen: bool = False) -> Any:
    """Right without options: Adam with the rate of each step."""
    x, y = batch()
    parameters = [learner.weight] if frozen else list(learner.parameters())
    adam, losses = torch.optim.Adam(parameters), []
    for step, rate in enumerate(RATES[:count]):
        adam = torch.optim.Adam(parameters) if step == anew else adam
        adam.param_groups[0]["lr"] = rate * (0.99 if step > decay else 1)
        loss = F.mse_loss(learner(x), y)
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    return losses


def compare(names: Any = ("weight", "bias"), **options: Any) -> None:
    learner, oracle = model(), model()
    losses = fit(learner, **options)
    optimiser = torch.optim.Adam(oracle.parameters())
    assert_trained(losses, learner, oracle, steps(oracle, optimiser), optimiser, parameters=names, name="the loss")


def test_the_same_steps_agree_under_the_same_names_or_others() -> None:
    compare()
    compare({"bias": "bias"})


def test_a_loss_that_departs_is_told_with_its_step() -> None:
    with pytest.raises(CheckFailure, match="the loss departs at step 12 of 12"):
        compare(anew=10)
    with pytest.raises(CheckFailure, match="the loss departs at step 2 of 12"):
        compare(frozen=True)


def test_as_many_losses_as_steps() -> None:
    with pytest.raises(CheckFailure, match="the loss has the wrong number of steps"):
        compare(count=11)


def test_weights_that_the_last_step_left_otherwise_are_told() -> None:
    with pytest.raises(CheckFailure, match="weight after the last step is off"):
        compare(decay=10)


def test_a_descent_takes_a_step_before_it_asks_for_the_next_loss() -> None:
    one, other = model(), model()
    adam = torch.optim.Adam(one.parameters())
    losses = descend(steps(one, adam), adam)
    assert losses == fit(other)
    assert torch.equal(one.weight, other.weight) and torch.equal(one.bias, other.bias)
