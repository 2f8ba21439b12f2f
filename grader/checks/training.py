"""What a learner's training loop did, against an oracle that takes the same steps: every loss, and the weights at the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from grader.checks.close import assert_close
from grader.checks.convergence import assert_trajectory
from grader.checks.state import state_of

if TYPE_CHECKING:
    import torch


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
    name: str = "loss",
    help: str = "",
) -> None:
    """The learner's losses are those of the oracle's steps, as many of them, and so are the model's weights after the last.

    Both models began with the same weights, and the learner's has been trained: `losses` is what that gave. steps: a
    generator of the oracle's loss at each step, which is asked for the next one only after `optimiser` has taken the
    last. parameters are their names in both, or from the learner's to the oracle's.
    """
    __tracebackhide__ = True
    expected = []
    for loss in steps:
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        expected.append(loss.item())
    assert_trajectory(losses, expected, tol=tol, name=name, help=help)
    pairs = parameters if isinstance(parameters, Mapping) else {key: key for key in parameters}
    found, wanted = state_of(model, pairs), state_of(oracle, pairs.values())
    for key, value in found.items():
        assert_close(value, wanted[pairs[key]], tol=weights_tol, name=f"{key} after the last step", help=help)
