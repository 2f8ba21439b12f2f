"""Two sides of one module: what is changed on one, in whatever way, is what the other is told, and no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from grader.modulestate import Twin


class Net(nn.Module):
    """Slots: inner.weight (tied), inner.bias, wide, twelve, count, scale; the empty one last."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(2, 3)
        self.tied = nn.Linear(2, 3)
        self.tied.weight = self.inner.weight
        self.tied.register_parameter("bias", None)
        self.wide = nn.Parameter(torch.zeros(2, dtype=torch.complex128))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self.register_buffer("large", torch.zeros(1 << 15))
        self.register_buffer("nothing", torch.zeros(0))


NAMES = ["wide", "count", "large", "nothing", "inner.weight", "inner.bias"]


def pair() -> tuple[Net, Twin, Net, Twin]:
    """A module twice, with equal state, and its twins."""
    one, other = Net(), Net()
    other.load_state_dict(one.state_dict())
    return one, Twin(one), other, Twin(other)


def equal(one: Net, other: Net) -> bool:
    mine, yours = one.state_dict(), other.state_dict()
    return all(
        a.dtype == b.dtype and a.shape == b.shape and a.view(torch.uint8).equal(b.view(torch.uint8))
        if a.dim() else torch.equal(a, b)
        for a, b in zip(mine.values(), yours.values(), strict=True)
    )  # fmt: skip


def test_each_tensor_has_one_number() -> None:
    net = Net()
    twin = Twin(net)
    named = dict(net.named_parameters()) | dict(net.named_buffers())
    assert [name for name in NAMES for place in [twin.index[id(named[name])]]] == NAMES
    assert [twin.index[id(named[name])] for name in NAMES] == list(range(6))
    assert twin.index[id(net.tied.weight)] == 4 and len(twin.index) == 6
    assert [id(one) for one in twin.tensors()] == [id(named[name]) for name in NAMES]
    net.wide.requires_grad_(False)
    assert [id(one) for one in twin.differentiable()] == [id(net.inner.weight), id(net.inner.bias)]


CHANGES: dict[str, tuple[Callable[[Net], Any], list[str]]] = {
    "one small tensor": (lambda net: net.inner.bias.data.add_(1), ["inner.bias"]),
    "the first of its group": (lambda net: net.inner.weight.data.add_(1), ["inner.weight"]),
    "one element": (lambda net: net.inner.weight.data[2, 1].mul_(2), ["inner.weight"]),
    "both of a group": (lambda net: [p.data.add_(1) for p in net.inner.parameters()], ["inner.weight", "inner.bias"]),
    "a tied one": (lambda net: net.tied.weight.data.add_(3), ["inner.weight"]),
    "an integer": (lambda net: net.count.add_(1), ["count"]),
    "the last element of a complex one": (lambda net: net.wide.data[1].add_(1j), ["wide"]),
    "a large one": (lambda net: net.large[-1].add_(1), ["large"]),
    "the sign of a zero": (lambda net: net.large.neg_(), ["large"]),
    "another tensor in its place": (lambda net: setattr(net, "count", torch.tensor(7)), ["count"]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_changed_crosses_and_nothing_else(name: str) -> None:
    change, slots = CHANGES[name]
    one, mine, other, yours = pair()
    assert mine.changes() is None
    change(one)
    said = mine.changes()
    assert said is not None and said[1:] == ([], [], [])
    assert sorted(slot for places, _ in said[0] for slot in places) == sorted(map(NAMES.index, slots))
    sizes = [sum(mine.tensors()[slot].numel() for slot in places) for places, _ in said[0]]
    assert [flat.numel() for _, flat in said[0]] == sizes, "no more than that"
    assert not equal(one, other)
    yours.apply(said)
    assert equal(one, other)
    assert mine.changes() is None and yours.changes() is None, "both know it now"
    change(other)
    back = yours.changes()
    assert back is None if "another tensor" in name else back is not None, "what is known is the other's as well"


def test_nan_is_no_change_of_its_own() -> None:
    one, mine, other, yours = pair()
    one.inner.bias.data.fill_(float("nan"))
    yours.apply(mine.changes())
    assert other.inner.bias.isnan().all() and mine.changes() is None and yours.changes() is None


def test_a_part_that_was_taken_over_is_known_in_its_place() -> None:
    one, mine, other, yours = pair()
    for step in (one.inner.bias, one.inner.weight):
        step.data.add_(1)
        yours.apply(mine.changes())
        assert yours.changes() is None
    other.inner.bias.data.add_(1)
    said = yours.changes()
    assert said is not None and [places for places, _ in said[0]] == [[5]]


class Held(nn.Module):
    """Buffers, numbered as they are given."""

    def __init__(self, *tensors: torch.Tensor) -> None:
        super().__init__()
        for place, tensor in enumerate(tensors):
            self.register_buffer(f"b{place}", tensor.clone())


@pytest.mark.parametrize("slots", [[0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2]])
def test_any_part_of_a_group_is_known_once_it_crossed(slots: list[int]) -> None:
    tensors = [torch.zeros(size) for size in (4, 3, 2)]
    one, other = Held(*tensors), Held(*tensors)
    mine, yours = Twin(one), Twin(other)
    for slot in slots:
        one.get_buffer(f"b{slot}").add_(slot + 1)
    said = mine.changes()
    assert said is not None and [places for places, _ in said[0]] == [slots]
    yours.apply(said)
    assert [buffer.tolist() for buffer in other.buffers()] == [buffer.tolist() for buffer in one.buffers()]
    assert yours.changes() is None
    other.b1.add_(1)
    said = yours.changes()
    assert said is not None and [places for places, _ in said[0]] == [[1]]


@pytest.mark.parametrize(("size", "parts"), [((1 << 15) - 1, [[0, 1]]), (1 << 15, [[0], [1]])])
def test_a_large_tensor_is_compared_by_itself(size: int, parts: list[list[int]]) -> None:
    net = Held(torch.zeros(size), torch.zeros(3))
    twin = Twin(net)
    for buffer in net.buffers():
        buffer.add_(1)
    said = twin.changes()
    assert said is not None and [places for places, _ in said[0]] == parts


@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "int8", "float16", "bfloat16", "int32", "float32", "float64", "complex64", "complex128"]
)
def test_a_tensor_of_any_dtype_is_compared_bit_by_bit(dtype: str) -> None:
    tensors = [torch.zeros(3, dtype=getattr(torch, dtype)), torch.zeros(5, dtype=getattr(torch, dtype))]
    one, other = Held(*tensors), Held(*tensors)
    mine, yours = Twin(one), Twin(other)
    for place in (0, 1):
        one.get_buffer(f"b{place}")[-1] = 1
        said = mine.changes()
        assert said is not None and [places for places, _ in said[0]] == [[place]]
        yours.apply(said)
        assert yours.changes() is None and other.get_buffer(f"b{place}").equal(one.get_buffer(f"b{place}"))


FORMS: dict[str, Callable[[Net], Any]] = {
    "another dtype": lambda net: net.double(),
    "another shape": lambda net: setattr(net, "count", torch.tensor([1, 2])),
    "a buffer that goes": lambda net: setattr(net, "count", None),
    "a bias that comes": lambda net: setattr(net.tied, "bias", nn.Parameter(torch.ones(3))),
    "all of it at once": lambda net: (
        net.double(),
        net.inner.bias.data.add_(1),
        setattr(net, "large", None),
        net.count.add_(2),
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_another_form_crosses_whole(name: str) -> None:
    one, mine, other, yours = pair()
    before = list(other.parameters())
    FORMS[name](one)
    said = mine.changes()
    assert said is not None and said[0] == [] and len(said[1]) == 7
    assert all(type(each) is torch.Tensor and not each.requires_grad for each in said[1] if each is not None)
    yours.apply(said)
    assert list(one.state_dict()) == list(other.state_dict()) and equal(one, other)
    assert [id(p) for p in before] == [id(p) for p in other.parameters()][: len(before)], "the tensors are the same"
    assert mine.changes() is None
    one.inner.bias.data.add_(1)
    said = mine.changes()
    assert said is not None and len(said[0]) == 1, "and from then on parts do"
    yours.apply(said)
    assert equal(one, other) and yours.changes() is None


def test_what_comes_is_a_parameter_where_parameters_hang() -> None:
    one, mine, other, yours = pair()
    one.tied.bias = nn.Parameter(torch.ones(3))
    said = mine.changes()
    assert said is not None and said[2] == [True, False, False, False, True, True, True]
    yours.apply(said)
    assert isinstance(other.tied.bias, nn.Parameter) and other.tied.bias.requires_grad
    one, mine, other, yours = pair()
    one.tied.bias = nn.Parameter(torch.ones(3), requires_grad=False)
    yours.apply(mine.changes())
    assert isinstance(other.tied.bias, nn.Parameter) and not other.tied.bias.requires_grad
    one, mine, other, yours = pair()
    one.count = other.count = None
    mine.changes(), yours.changes()
    one.count = torch.tensor(3)
    yours.apply(mine.changes())
    assert type(other.count) is torch.Tensor and other.count == 3


def test_what_requires_grad_and_what_trains_crosses() -> None:
    one, mine, other, yours = pair()
    one.inner.weight.requires_grad_(False)
    one.tied.eval()
    said = mine.changes()
    assert said == ([], [], [True, False, False, False, False, True, False], [True, True, False])
    yours.apply(said)
    assert not other.inner.weight.requires_grad and other.inner.bias.requires_grad
    assert [module.training for module in other.modules()] == [True, True, False]
    assert mine.changes() is None and yours.changes() is None
    one.train()
    said = mine.changes()
    assert said == ([], [], [], [True, True, True])
    yours.apply(said)
    assert other.tied.training and yours.changes() is None


BAD: dict[str, Any] = {
    "nothing": None,
    "too few parts": ([], [], []),
    "slots of two groups": ([([0, 5], torch.zeros(5))], [], [], []),
    "slots that are not there": ([([17], torch.zeros(1))], [], [], []),
    "too many elements": ([([5], torch.zeros(4))], [], [], []),
    "elements in another shape": ([([4], torch.zeros(3, 2))], [], [], []),
    "elements of another dtype": ([([5], torch.zeros(3, dtype=torch.float64))], [], [], []),
    "a parameter for elements": ([([5], nn.Parameter(torch.zeros(3)))], [], [], []),
    "no tensor for elements": ([([5], [0.0, 0.0, 0.0])], [], [], []),
    "no tensor in place of one": ([], [1, *[None] * 6], [], []),
    "a parameter in place of a tensor": ([], [nn.Parameter(torch.zeros(2)), *[None] * 6], [], []),
    "too few tensors": ([], [None], [], []),
    "too few marks": ([], [], [True], []),
    "too many modes": ([], [], [], [True] * 4),
    "integers that require grad": ([], [], [True] * 7, []),
}


@pytest.mark.parametrize("name", BAD)
def test_changes_that_do_not_fit_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="the state of a module that does not fit it"):
        pair()[1].apply(BAD[name])


def test_marks_are_made_truths() -> None:
    one, twin, _, _ = pair()
    twin.apply(([], [], [1, 0, 0, 0, "", 1, 0], [0, 1, 1]))
    assert one.training is False and one.wide.requires_grad is True and one.inner.weight.requires_grad is False


def test_a_tensor_that_is_no_leaf_keeps_its_mark() -> None:
    net = Net()
    net.large = net.inner.bias.sum() * torch.ones(1 << 15)
    Twin(net).apply(([], [], [True, False, False, False, True, True, False], []))
    assert net.large.requires_grad


def test_a_conjugate_is_compared_by_its_values() -> None:
    net = nn.Module()
    net.register_buffer("x", torch.tensor([1 + 2j]).conj())
    other = nn.Module()
    other.register_buffer("x", torch.tensor([1 - 2j]))
    mine, yours = Twin(net), Twin(other)
    net.x.mul_(2)
    said = mine.changes()
    assert said is not None
    yours.apply(said)
    assert other.x.tolist() == [2 - 4j]
