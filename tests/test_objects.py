"""The worker's handles: one number per object, what is told of each, and how many one test may hold."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
from torch import nn

from grader.limits import MAX_OBJECTS
from grader.wire import Unsendable
from grader.worker.objects import Objects

LEARNERS = """
import torch
from torch import nn

class Base:
    def inherited(self): pass
    @classmethod
    def made(cls): pass
    @staticmethod
    def static(): pass
    @property
    def value(self): return 1
    number = 3

class Words(Base):
    def run(self): pass
    def inherited(self): pass
    def _own(self): pass
    def __len__(self): return 0
    def __getitem__(self, i): raise IndexError
    def __iter__(self): return iter(())
    def __next__(self): raise StopIteration
    def __contains__(self, x): return False
    def __add__(self, x): return self

class Call:
    def __call__(self): pass

class Layer(nn.Linear):
    def twice(self, x): return self(x)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = Layer(2, 1)
        self.second = nn.Linear(2, 1, bias=False)
        self.second.weight = self.first.weight
        self.again = self.first
        self.gone = nn.Linear(1, 1)
        self.gone = None
        self.own = nn.Parameter(torch.ones(1), requires_grad=False)
        self.register_buffer("kept", torch.zeros(3))
        self.register_buffer("lost", torch.zeros(3), persistent=False)
        self.register_buffer("none", None)
        self.second.eval()
"""


@pytest.fixture
def learners() -> dict[str, Any]:
    module: dict[str, Any] = {"__name__": "answer"}
    exec(LEARNERS, module)
    return module


def test_an_object_has_one_handle_and_is_described_once(learners: dict[str, Any]) -> None:
    objects, words = Objects("root"), learners["Words"]()
    assert objects[0] == objects.resolve(0, None) == "root"
    handle, description = objects.export(words)
    assert handle == 1 and description == (
        "object",
        "answer.Words",
        [
            "run",
            "inherited",
            "_own",
            "__len__",
            "__getitem__",
            "__iter__",
            "__next__",
            "__contains__",
            "made",
            "static",
        ],
    )
    assert objects.export(words) == (1, None) and objects[1] is words is objects.resolve(1, None)
    assert objects.export(learners["Call"]()) == (2, ("callable", "answer.Call", ["__call__"]))
    assert objects.export(learners["Words"]())[0] == 3
    assert Objects(words).export(words) == (0, None)


def test_without_torch_all_objects_are_plain(learners: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    objects, words = Objects(None), learners["Words"]()
    monkeypatch.delitem(sys.modules, "torch")
    assert objects.export(words)[1][0] == "object"


def test_of_very_many_methods_the_first_are_told() -> None:
    kind = type("Many", (), {f"m{n}": (lambda self: None) for n in range(600)})
    (_, (_, _, methods)) = Objects(None).export(kind())
    assert methods == [f"m{n}" for n in range(500)]


def test_one_test_holds_so_many_objects() -> None:
    objects = Objects(None)
    things = [type("Thing", (), {})() for _ in range(MAX_OBJECTS)]
    assert [objects.export(thing)[0] for thing in things[:-1]] == list(range(1, MAX_OBJECTS))
    with pytest.raises(Unsendable, match="more objects than one test can hold"):
        objects.export(things[-1])
    assert objects.export(things[0]) == (1, None)


def test_a_module_is_its_nodes_and_its_slots(learners: dict[str, Any]) -> None:
    objects, net = Objects(None), learners["Net"]()
    handle, (kind, name, nodes, slots) = objects.export(net)
    assert (handle, kind, name) == (1, "module", "answer.Net")
    assert nodes == [
        (1, "Net", ["__init__"][:0], [("first", 1), ("second", 2), ("again", 1), ("gone", -1)], [("own", 0)],
         [("kept", 1, True), ("lost", 2, False), ("none", -1, True)], True),
        (2, "Layer", ["twice", "reset_parameters", "forward", "extra_repr"], [], [("weight", 3), ("bias", 4)], [], True),
        (3, "Linear", ["reset_parameters", "forward", "extra_repr"], [], [("weight", 3), ("bias", -1)], [], False),
    ]  # fmt: skip
    tensors = [net.own, net.kept, net.lost, net.first.weight, net.first.bias]
    assert [(grad, parameter) for _, grad, parameter in slots] == [
        (False, True), (False, False), (False, False), (True, True), (True, True)
    ]  # fmt: skip
    for (sent, _, _), tensor in zip(slots, tensors, strict=True):
        assert not sent.requires_grad and sent.data_ptr() == tensor.data_ptr()
    assert objects.export(net) == (1, None) and objects.export(net.second) == (3, None)
    assert list(objects.twins) == [1] and [id(p) for p in objects.differentiable()] == [
        id(net.first.weight), id(net.first.bias)
    ]  # fmt: skip


def test_a_part_that_is_known_keeps_its_handle() -> None:
    objects, part = Objects(None), nn.Linear(1, 1)
    assert objects.export(part)[0] == 1
    handle, (_, _, nodes, _) = objects.export(nn.Sequential(part))
    assert (handle, [node[0] for node in nodes]) == (2, [2, 1])


def test_what_changed_in_known_modules_is_told_by_their_handles() -> None:
    objects, one, other = Objects(None), nn.Linear(1, 1), nn.Linear(1, 1)
    objects.export(one), objects.export(other)
    assert objects.changes() == []
    other.weight.data.fill_(3)
    ((handle, (((slots, flat),), *rest)),) = objects.changes()
    assert (handle, slots, flat.tolist(), rest) == (2, [0], [3.0], [[], [], []])
    objects.apply([(1, ([([1], torch.tensor([5.0]))], [], [], []))])
    assert one.bias.item() == 5.0 and objects.changes() == []
