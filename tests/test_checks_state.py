"""What a module holds: the named tensors and no parameters beyond them; buffers, attributes and second names are free."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from grader.checks import CheckFailure, assert_state, load_state, renamed, state_of, tensors_of

SHAPES = {"a.weight": (3, 2), "a.bias": (3,), "b.weight": (2, 3), "b.bias": (2,)}


class Net(nn.Module):
    """Two layers, and what a test makes of them."""

    def __init__(self, change=lambda net: None, dtype=torch.float64):
        super().__init__()
        self.a, self.b = nn.Linear(2, 3, dtype=dtype), nn.Linear(3, 2, dtype=dtype)
        change(self)


def chained(net):
    net.chain = nn.Sequential(net.a, nn.Tanh(), net.b)


def listed(net):
    net.layers = nn.ModuleList([net.b, net.a])


def mapped(net):
    net.layers = nn.ModuleDict({"last": net.b})


def other_names(net):
    net.first = net.a.weight


def chained_before(net):
    a, b = net.a, net.b
    del net.a, net.b
    net.chain = nn.Sequential(a, b)
    net.a, net.b = net.chain


def with_buffers(net):
    net.register_buffer("mask", torch.ones(3).bool())
    net.register_buffer("hidden", torch.zeros(2), persistent=False)
    net.plain = torch.zeros(4)
    net.register_buffer("view", net.a.weight.data[0])


@pytest.mark.parametrize(
    "change", [chained, listed, mapped, other_names, chained_before, with_buffers, lambda net: None]
)
def test_second_names_buffers_and_attributes_are_free(change):
    net = Net(change)
    before = state_of(net, SHAPES)
    assert assert_state(net, SHAPES, dtype=torch.float64) is net
    assert all(torch.equal(value, before[name]) for name, value in state_of(net, SHAPES).items())
    given = {name: torch.randn(shape, dtype=torch.float64) for name, shape in SHAPES.items()}
    assert load_state(net, given) is net
    assert list(state_of(net, given)) == list(SHAPES)
    assert all(torch.equal(value, given[name]) for name, value in state_of(net, SHAPES).items())
    assert torch.equal(net.b(torch.ones(3).double()), given["b.weight"].sum(1) + given["b.bias"])
    assert tensors_of(net, ["b.bias"])["b.bias"] is net.b.bias


def test_a_message_has_one_name_of_each_tensor_the_same_whatever_was_registered_first():
    """Who also keeps the layers in an nn.Sequential, before or after, reads of no tensor twice."""
    told = set()
    for change in (lambda net: None, chained, chained_before):
        with pytest.raises(CheckFailure) as caught:
            assert_state(Net(change), {name: shape for name, shape in SHAPES.items() if name != "b.bias"})
        told.add((caught.value.said.args["key"], caught.value.said.args["extra"]))
        with pytest.raises(CheckFailure) as caught:
            assert_state(Net(change), {**SHAPES, "c.weight": (1, 1)})
        assert sorted(caught.value.said.args["found"].split(", ")) == sorted(SHAPES)
    assert told == {("b.bias", "b.bias (2,)")}


def one_more(net):
    net.scale = nn.Parameter(torch.ones(1, dtype=torch.float64))


def one_more_that_views(net):
    net.again = nn.Parameter(net.a.weight.data)


def without(net):
    del net.b.bias
    net.b.register_parameter("bias", None)


def in_a_plain_list(net):
    net.layers = [net.a, net.b]
    del net.a, net.b


def swapped(net):
    net.a.weight = nn.Parameter(net.a.weight.data.t().clone())


def narrow(net):
    net.b.bias = nn.Parameter(torch.zeros(2))


def frozen(net):
    net.a.weight.requires_grad_(False)


def as_a_buffer(net):
    bias = net.a.bias.data
    del net.a.bias
    net.a.register_buffer("bias", bias)


def expanded(net):
    net.a.bias = nn.Parameter(torch.zeros(1, dtype=torch.float64).expand(3))


def sparse(net):
    net.a.bias = nn.Parameter(torch.zeros(3, dtype=torch.float64).to_sparse())


def lazy(net):
    net.a = nn.LazyLinear(3, dtype=torch.float64)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (one_more, "Net has a parameter that the statement does not name: scale"),
        (one_more_that_views, "Net has a parameter that the statement does not name: again"),
        (without, "Net has no b.bias"),
        (in_a_plain_list, "Net has no a.weight"),
        (swapped, "a.weight of Net has the wrong shape: the right sizes in the wrong order"),
        (narrow, "b.bias of Net has the wrong dtype"),
        (frozen, "a.weight of Net cannot be trained"),
        (as_a_buffer, "a.bias of Net cannot be trained"),
        (expanded, "a.bias of Net cannot be written to"),
        (sparse, "a.bias of Net is no dense tensor"),
        (lazy, "a.weight of Net is no dense tensor"),
    ],
)
def test_what_is_not_as_the_statement_says_is_named(change, message):
    with pytest.raises(CheckFailure) as caught:
        assert_state(Net(change), SHAPES, dtype=torch.float64, name="Net")
    assert caught.value.message.startswith(message)
    assert caught.value.expected or caught.value.help


def test_the_failure_says_what_was_expected_and_got():
    with pytest.raises(CheckFailure) as caught:
        assert_state(Net(one_more), SHAPES, name="Net")
    failure = caught.value
    assert (failure.expected, failure.actual) == ("the 4 named parameters and no others", "beside them scale (1,)")
    with pytest.raises(CheckFailure) as caught:
        assert_state(Net(without), SHAPES, name="Net")
    failure = caught.value
    assert failure.expected == "b.bias, a parameter of shape (2,)"
    assert failure.actual == "a.weight, a.bias, b.weight"
    with pytest.raises(CheckFailure) as caught:
        assert_state(Net(), {**SHAPES, "a.weight": (3, 4)})
    assert (caught.value.expected, caught.value.actual) == ("(3, 4)", "(3, 2)")


@pytest.mark.parametrize("value", [None, Net, {"a": 1}, torch.zeros(2)])
def test_only_a_module_is_a_module(value):
    with pytest.raises(CheckFailure, match=r"Net must be an nn\.Module"):
        assert_state(value, SHAPES, name="Net")


def transposed(net):
    net.b.weight = nn.Parameter(net.a.weight.t())


def data(net):
    net.b.weight.data = net.a.weight.data.t()


def sliced(net):
    net.b.bias = nn.Parameter(net.a.weight.detach()[0])


def one_for_both(net):
    net.b.bias = net.a.bias


@pytest.mark.parametrize(
    ("change", "shapes", "pair"),
    [
        (transposed, SHAPES, "a.weight and b.weight"),
        (data, SHAPES, "a.weight and b.weight"),
        (sliced, SHAPES, "a.weight and b.bias"),
        (one_for_both, {**SHAPES, "b.bias": (3,)}, "a.bias and b.bias"),
    ],
)
def test_two_named_tensors_never_share_memory(change, shapes, pair):
    with pytest.raises(CheckFailure, match=f"{pair} of the model share memory"):
        assert_state(Net(change), shapes)


def test_a_pair_that_the_statement_ties_is_one_parameter():
    shapes, tied = {**SHAPES, "b.bias": (3,)}, {"b.bias": "a.bias"}
    assert_state(Net(one_for_both), shapes, tied=tied)

    def two(net):
        net.b.bias = nn.Parameter(net.a.bias.data)

    with pytest.raises(CheckFailure, match=r"b\.bias and a\.bias of the model are two parameters"):
        assert_state(Net(two), shapes, tied=tied)
    with pytest.raises(ValueError, match="found 'c'"):
        assert_state(Net(), SHAPES, tied={"a.bias": "c"})


def test_buffers_that_the_statement_names_are_held_too():
    norm = nn.BatchNorm1d(3, dtype=torch.float64)
    shapes = {"weight": (3,), "bias": (3,)}
    buffers = {"running_mean": (3,), "running_var": (3,), "num_batches_tracked": ()}
    assert_state(norm, shapes, buffers=buffers, dtype=torch.float64)
    assert norm.num_batches_tracked == 0 and (norm.running_var == 1).all(), "put back as it was"
    with pytest.raises(CheckFailure, match="has no running_mean"):
        assert_state(nn.BatchNorm1d(3, track_running_stats=False), shapes, buffers=buffers)
    norm.running_var = nn.Parameter(torch.ones(3).double()) if norm._buffers.pop("running_var") is not None else None
    with pytest.raises(CheckFailure, match="running_var of the model would be trained"):
        assert_state(norm, shapes, buffers=buffers)
    norm = nn.BatchNorm1d(3)
    norm.running_var = norm.running_mean
    with pytest.raises(CheckFailure, match="running_mean and running_var of the model share memory"):
        assert_state(norm, shapes, buffers=buffers)


def test_no_dtype_is_any_dtype():
    assert_state(Net(narrow), SHAPES)


def test_what_cannot_be_loaded_is_named():
    with pytest.raises(CheckFailure, match=r"^Net has no c\n"):
        load_state(Net(), {"c": torch.zeros(1)}, name="Net")
    with pytest.raises(CheckFailure, match=r"^a\.bias of Net has the wrong shape\n"):
        load_state(Net(), {"a.bias": torch.zeros(4)}, name="Net")
    with pytest.raises(CheckFailure, match=r"^Net has no c\n"):
        tensors_of(Net(), ["a.bias", "c"], name="Net")


def test_what_is_read_is_a_copy_and_what_is_loaded_is_written_in_place():
    net = Net()
    held, copy = tensors_of(net, SHAPES), state_of(net, SHAPES)
    load_state(net, {"a.bias": torch.full((3,), 7.0)})
    assert held["a.bias"] is net.a.bias and (held["a.bias"] == 7).all() and net.a.bias.dtype == torch.float64
    assert (copy["a.bias"] != 7).any() and not copy["a.bias"].requires_grad


def test_methods_of_the_learners_own_are_not_asked():
    class Odd(Net):
        def named_parameters(self, *args, **kwargs):
            raise AssertionError

        def state_dict(self, *args, **kwargs):
            raise AssertionError

    assert_state(Odd(), SHAPES)


def test_names_of_an_oracle_are_those_of_the_statement() -> None:
    oracle = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.LayerNorm(3))
    changes = {"0.": "layer.", "1.": "norm."}
    assert renamed(oracle, changes) == {
        "layer.weight": "0.weight",
        "layer.bias": "0.bias",
        "norm.weight": "1.weight",
        "norm.bias": "1.bias",
    }
