"""Against an oracle that autograd runs through: values, gradients, both modes, and inputs that are views."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from grader.checks import CheckFailure, as_view, assert_agrees, normal
from grader.checks.failure import AuthorFault


def cumulated(x: Any, h: Any) -> Any:
    """A recurrence over the steps of x (T, D) from h (D,): the states, and the last one."""
    states = []
    for row in x:
        h = torch.tanh(0.9 * h + row)
        states.append(h)
    return torch.stack(states), h


def check(function: Callable[..., Any], steps: int = 40, **more: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    x = 0.01 * torch.randn(steps, 3, dtype=torch.float64, generator=generator)
    h = torch.randn(3, dtype=torch.float64, generator=generator)
    rng = np.random.default_rng(0)
    assert_agrees(function, cumulated, {"x": x, "h": h}, rng, name=("states", "last"), **more)


def test_what_is_right_agrees() -> None:
    check(cumulated)
    check(lambda x, h: list(cumulated(h=h, x=x)))


def cut_after_eight(x: Any, h: Any) -> Any:
    states, _ = cumulated(x[:-8], h)
    more, last = cumulated(x[-8:], states[-1].detach())
    return torch.cat([states, more]), last


def needs_contiguous(x: Any, h: Any) -> Any:
    return cumulated(x.view(-1).view(x.shape), h)


def no_gradient_of_h(x: Any, h: Any) -> Any:
    return cumulated(x, h.detach())


WRONG: dict[str, tuple[Callable[..., Any], str]] = {
    "a value": (lambda x, h: (cumulated(x, h)[0], h), "last is off"),
    "one result": (lambda x, h: cumulated(x, h)[1], "must return the tuple"),
    "a gradient further back": (cut_after_eight, "gradient of states, last by"),
    "an input that is cut off": (no_gradient_of_h, "no gradient reaches h"),
    "everything cut off": (lambda x, h: tuple(y.detach() for y in cumulated(x, h)), "no gradient reaches x, h"),
    "a length": (lambda x, h: cumulated(x[:64], h), "wrong shape"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told(name: str) -> None:
    function, words = WRONG[name]
    with pytest.raises(CheckFailure, match=words):
        check(function, steps=70)


def test_a_view_is_a_real_one() -> None:
    x = torch.arange(6.0).reshape(2, 3)
    assert torch.equal(as_view(x), x) and not as_view(x).is_contiguous()
    with pytest.raises(RuntimeError, match="view size is not compatible"):
        check(needs_contiguous)
    assert as_view(3) == 3 and as_view(torch.tensor(2.0)).item() == 2


class Net(nn.Module):
    def __init__(self, change: Callable[[Net, Any], Any] = lambda net, y: y) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2, dtype=torch.float64)
        self.change = change

    def forward(self, x: Any) -> Any:
        return self.change(self, self.layer(x))


def modules(change: Callable[[Net, Any], Any]) -> tuple[Net, Net]:
    learner, oracle = Net(change), Net()
    learner.load_state_dict(oracle.state_dict())
    return learner, oracle


def compare(change: Callable[[Net, Any], Any], scale: float = 1.0) -> None:
    learner, oracle = modules(change)
    x = scale * torch.ones(4, 3, dtype=torch.float64)
    names = {"layer.weight": "layer.weight", "layer.bias": "layer.bias"}
    rng = np.random.default_rng(0)
    assert_agrees(learner, oracle, {"x": x}, rng, modules=(learner, oracle), parameters=names, fixed=["x"])
    assert learner.training and oracle.training


def test_a_module_agrees_in_both_modes_and_by_every_parameter() -> None:
    compare(lambda net, y: y)
    with pytest.raises(CheckFailure, match="in evaluation mode"):
        compare(lambda net, y: y if net.training else y.softmax(-1))
    with pytest.raises(CheckFailure, match="in training mode"):
        compare(lambda net, y: y + 1e-3 if net.training else y)
    with pytest.raises(CheckFailure, match=r"gradient of the result by layer\.bias"):
        compare(lambda net, y: y - net.layer.bias + net.layer.bias.detach() + 0 * net.layer.bias)
    compare(lambda net, y: y.clamp(-30, 30))
    with pytest.raises(CheckFailure, match="is off"):
        compare(lambda net, y: y.clamp(-30, 30), scale=1e3)


def test_a_call_leaves_the_mode_as_it_was() -> None:
    with pytest.raises(CheckFailure, match="a call puts the model into training mode"):
        compare(lambda net, y: net.train(not net.training) and y)
    with pytest.raises(CheckFailure, match="a call puts layer into evaluation mode"):
        compare(lambda net, y: net.layer.eval() and y)


def test_running_statistics_of_both_stay_alike() -> None:
    learner, oracle = (nn.Sequential(nn.BatchNorm1d(3, dtype=torch.float64)) for _ in range(2))
    rng = np.random.default_rng(0)
    for _ in range(2):
        assert_agrees(
            lambda x: learner(x), lambda x: oracle(x), {"x": normal(rng, 4, 3)}, rng, modules=(learner, oracle)
        )


def test_parameters_without_modules_are_the_authors_fault() -> None:
    with pytest.raises(AuthorFault, match="parameters need the modules"):
        check(cumulated, parameters=["w"])
