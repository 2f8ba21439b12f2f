"""What a call changed of what it was given: nothing of it is missed, and nothing that may change is told."""

from __future__ import annotations

import sys
from collections import OrderedDict, deque
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from grader.given import Given


class Vocabulary:
    def __init__(self) -> None:
        self.words = {"a": 0}
        self.vectors = np.ones(2)
        self._cache: dict[str, int] = {}
        self.myself = self


class Slots:
    __slots__ = ("a",)


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)
        self.norm = torch.nn.BatchNorm1d(2)

    def forward(self, x: Any, hidden: Any = None) -> Any:
        return x


def call(x: Any, *rest: Any, cache: Any = None) -> None:
    """Only its signature counts."""


def set_data(tensor: torch.Tensor) -> None:
    tensor.data = torch.zeros(3)


CHANGES: dict[str, tuple[Any, Any]] = {
    "an element": (np.ones(3), lambda x: x.__setitem__(0, 2)),
    "an element of a view": (np.ones((3, 4)).T[::2], lambda x: x.__setitem__((0, 0), 2)),
    "an element of a tensor": (torch.ones(3), lambda x: x.add_(1)),
    "an element of a transposed tensor": (torch.ones(2, 3).t(), lambda x: x.mul_(2)),
    "an element of a conjugate": (torch.tensor([1 + 2j]).conj(), lambda x: x.mul_(2)),
    "an element of a bfloat16 tensor": (torch.ones(3, dtype=torch.bfloat16), lambda x: x.add_(1)),
    "a sign that no comparison sees": (np.zeros(2), lambda x: np.negative(x, out=x)),
    "the shape": (np.ones((2, 3)), lambda x: setattr(x, "shape", (3, 2))),
    "the axes": (torch.ones(2, 2), lambda x: x.t_()),
    "the data": (torch.ones(3), set_data),
    "a popped item": ([1, 2], lambda x: x.pop()),
    "an appended item": ([1, 2], lambda x: x.append(3)),
    "a sorted list": (["b", "a"], lambda x: x.sort()),
    "another type": ([1, 2], lambda x: x.__setitem__(0, True)),
    "a new key": ({"a": 1}, lambda x: x.setdefault("b", 2)),
    "another order of keys": ({"a": 1, "b": 2}, lambda x: x.update(a=x.pop("a"))),
    "a rebound value": ({"w": np.ones(2)}, lambda x: x.update(w=np.zeros(2))),
    "an array within": ({"w": [np.ones(2)]}, lambda x: x["w"][0].fill(0)),
    "an entry of a cache": ([(torch.ones(1), torch.ones(1))], lambda x: x.__setitem__(0, (torch.ones(2), torch.ones(1)))),
    "a rotated deque": (deque([1, 2]), lambda x: x.rotate()),
    "a moved key": (OrderedDict(a=1, b=2), lambda x: x.move_to_end("a")),
    "a word of a vocabulary": (Vocabulary(), lambda x: x.words.update(b=1)),
    "an array of an object": (Vocabulary(), lambda x: x.vectors.fill(0)),
    "a new attribute": (Vocabulary(), lambda x: setattr(x, "more", 1)),
    "a weight": (Net(), lambda x: x.layer.weight.data.zero_()),
    "a running mean": (Net(), lambda x: x.norm.running_mean.add_(1)),
    "a mode": (Net(), lambda x: x.norm.eval()),
    "a frozen weight": (Net(), lambda x: x.layer.bias.requires_grad_(False)),
    "a module in a list": ([Net()], lambda x: x[0].layer.bias.data.add_(1)),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_seen_wherever_the_value_is(name: str) -> None:
    value, change = CHANGES[name]
    given = Given(call, (value, [1.5, {"deep": (value,)}]), {"cache": value})
    assert given.changed() == []
    change(value)
    assert given.changed()[0] == "x of call" and given.changed()[-1] == "cache of call"


FREE: dict[str, tuple[Any, Any]] = {
    "a private attribute": (Vocabulary(), lambda x: x._cache.update(a=1)),
    "a mode that is put back": (Net(), lambda x: (x.eval(), x.train())),
    "a generator that is drawn from": (torch.Generator(), lambda x: torch.rand(1, generator=x)),
    "a generator of numpy": (np.random.default_rng(0), lambda x: x.normal()),
    "an optimiser": (torch.optim.SGD([torch.ones(1)], lr=0.1), lambda x: x.param_groups[0].update(lr=0.2)),
    "what a library holds": (SimpleNamespace(a=1), lambda x: setattr(x, "a", 2)),
    "what a library of numbers holds": (np.poly1d([1, 2]), lambda x: x.__dict__.update(more=1)),
    "a class": (Vocabulary, lambda x: setattr(x, "more", 1)),
    "slots": (Slots(), lambda x: setattr(x, "a", 2)),
    "a gradient": (Net(), lambda x: x.layer(torch.ones(1, 2)).sum().backward()),
    "NaN that stays": ([float("nan"), np.array([np.nan])], lambda x: x[0] + 1),
}


@pytest.mark.parametrize("name", FREE)
def test_what_may_change_is_not_told(name: str) -> None:
    value, change = FREE[name]
    given = Given(call, (value,), {})
    change(value)
    assert given.changed() == []


def test_arguments_are_told_by_the_names_that_a_learner_gave_them() -> None:
    a, b, c = np.ones(1), np.ones(1), np.ones(1)
    given = Given(call, (a, b), {"cache": c})
    for each in (a, b, c):
        each += 1
    assert given.changed() == ["x of call", "argument 2 of call", "cache of call"]
    net, x, hidden = Net(), [1], [2]
    given = Given(net, (x,), {"hidden": hidden})
    x.pop(), hidden.pop()
    assert given.changed() == ["x of Net", "hidden of Net"]
    given = Given(net.forward, (x,), {})
    x.append(1)
    assert given.changed() == ["x of Net.forward"]
    given = Given(len, (x,), {})
    x.append(1)
    assert given.changed() == ["argument 1 of len"] or given.changed() == ["obj of len"]


def test_what_has_no_name_is_told_by_its_place() -> None:
    a, b, c, same = [1], [2], [3], [4]
    given = Given(call, (a, same, b, c), {})
    for each in (a, b, c):
        each.append(0)
    assert given.changed() == ["x of call", "argument 3 of call", "argument 4 of call"]
    given = Given(min, (same, a), {})  # which does not say what it takes
    a.append(1)
    assert given.changed() == ["argument 2 of min"]

    class Called:
        def __call__(self, x: Any) -> None: ...

    given = Given(Called(), (a,), {})
    a.append(2)
    assert given.changed() == ["x of Called"]
    given = Given(lambda: None, (), {})
    assert given.changed() == []


@pytest.mark.parametrize("missing", [("torch",), ("numpy", "torch")])
def test_libraries_that_are_not_loaded_are_not_needed(
    monkeypatch: pytest.MonkeyPatch, missing: tuple[str, ...]
) -> None:
    for name in missing:
        monkeypatch.delitem(sys.modules, name)
    words = Vocabulary.__new__(Vocabulary)
    words.words = {"a": 0}
    given = Given(call, (words, [1.5, {2}]), {})
    assert given.changed() == []
    words.words["b"] = 1
    assert given.changed() == ["x of call"]


def test_an_object_that_holds_itself_many_times_ends() -> None:
    knot: list[Any] = []
    knot += [knot, knot, knot]
    holder = Vocabulary()
    holder.others = [holder] * 50  # type: ignore[attr-defined]
    assert Given(call, (knot, holder), {}).changed() == []
