"""What a learner's training loop did, against an oracle that takes the same steps: every loss, and the weights at the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from grader.checks.close import assert_close
from grader.checks.convergence import assert_trajectory
from grader.checks.state import state_of
from grader.messages import Value, text

if TYPE_CHECKING:
    import torch


def descend(steps: Iterable[torch.Tensor], optimiser: torch.optim.Optimizer) -> list[float]:
    """Take a step down each loss before the next one is asked for; returns the losses."""
    losses = []
    for loss in steps:
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


def assert_trained(
    losses: object,
    model: torch.nn.Module,
    oracle: torch.nn.Module,
    steps: Iterable[torch.Tensor],
    optimiser: torch.optim.Optimizer,
    *,
    parameters: Iterable[str] | Mapping[str, str],
    tol: float = 1e-6,
    weights_tol: float = 1e-5,
    name: Value = "loss",
    help: Value = "",
) -> None:
    """The learner's losses are those of the oracle's steps, as many of them, and so are the model's weights after the last.

    Both models began with the same weights, and the learner's has been trained: `losses` is what that gave, be it a
    function of the learner's or, of a model alone, `descend`. steps: a generator of the oracle's loss at each step, which
    is asked for the next one only after `optimiser` has taken the last. parameters are their names in both, or from the learner's to the oracle's.
    """
    __tracebackhide__ = True
    assert_trajectory(losses, descend(steps, optimiser), tol=tol, name=name, help=help)
    pairs = parameters if isinstance(parameters, Mapping) else {key: key for key in parameters}
    found, wanted = state_of(model, pairs), state_of(oracle, pairs.values())
    for key, value in found.items():
        after = text("{name} after the last step", name=key)
        assert_close(value, wanted[pairs[key]], tol=weights_tol, name=after, help=help)
