"""The worker's loop: what it answers to each request, over a socket, in a process of its own that is no zygote's."""

from __future__ import annotations

import os
import random
import select
import socket
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.utils.flop_counter

from grader.limits import MAX_DEPTH
from grader.wire import HEADER, Encoder, Frame, decode, read_header
from grader.wire.message import ROOT, Kind
from grader.worker import serve

SOURCE = b"""
import random, sys

import numpy as np
import torch

seen = []
constant = 3

class Thing:
    def run(self, x): return x + 1

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.ones(2))
        self.other = torch.nn.Parameter(torch.ones(1), requires_grad=False)
    def forward(self, x): return self.w * x

def drawn(): return random.random(), float(np.random.rand()), float(torch.rand(1))
def twice(x): return 2 * x
def in_place(x): x += 1
def draw(generator): return torch.rand(1, generator=generator)
def product(x, y): return x @ y
def many(x): return x * 2, x * 3, "text"
def made(): return torch.ones(1, requires_grad=True)
def constant_of(x): return 1
def nested(n): return [nested(n - 1)] if n else 0
def grads(): return torch.is_grad_enabled()
def bad(): raise KeyError("gone")
def printed(): print("hello"); return sys.argv, __name__
def threads(): return torch.get_num_threads()
def given(net): net.w.data += 1; return net.w.sum()
def lstm(): return torch.nn.LSTM(1, 1)(torch.ones(1, 1, 1))
def words(**named): return named
_hidden = 1
"""
LINE = SOURCE[: SOURCE.index(b"raise KeyError")].count(b"\n") + 1
SPEC = {
    "source": SOURCE, "filename": "answer.py", "module": "answer", "seed": 5, "threads": 1,
    "forbidden_imports": [], "forbidden_operators": [], "forbidden_jobs": [],
}  # fmt: skip


class Held:
    """An object of the learner's, as its judge has it."""

    def __init__(self, handle: int) -> None:
        self.handle = handle


class Judge:
    """The other end of the socket: asks, and reads what is answered."""

    def __init__(self, near: socket.socket, printed: int) -> None:
        self._near = near
        self._printed = printed
        self._calls = 0
        self.grads: list[Any] = []

    def ask(self, kind: Kind | int, *values: Any) -> tuple[Kind, Any]:
        self._calls += 1
        encoder = Encoder(lambda one: (one.handle, None))
        encoder.value(tuple(values))
        data = b"".join(map(bytes, encoder.frame(kind, self._calls)))
        for part in (data[:7], data[7:]):  # as it may arrive
            self._near.sendall(part)
        kind, call, value = self.hear()
        assert call == self._calls
        return kind, value

    def call(self, name: str, *args: Any, target: Any = ROOT, **how: Any) -> Any:
        """What a call returns: all six parts, by name."""
        values = {"kwargs": {}, "state": [], "freed": [], "grad": True, "counted": False, "watched": []} | how
        kind, said = self.ask(Kind.CALL, target, name, args, *values.values())
        assert kind is Kind.RETURN, said
        return dict(zip(("value", "state", "mutated", "graph", "advanced", "forbidden"), said, strict=True))

    def hear(self) -> tuple[Kind, int, Any]:
        header = read_header(self._exactly(HEADER.size))
        body = bytearray(self._exactly(header.tree_bytes + header.raw_bytes))
        value, decoder = decode(
            Frame(header.kind, header.call, header.tree_bytes, body),
            lambda *seen: seen,
            lambda number, content: content,
        )
        self.grads = decoder.differentiable
        return Kind(header.kind), header.call, value

    def printed(self) -> bytes:
        """What the worker has printed by now."""
        ready, _, _ = select.select([self._printed], [], [], 0)
        return os.read(self._printed, 1 << 16) if ready else b""

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self._near.recv(size - len(data))
            assert more, "the worker has ended"
            data += more
        return data


@pytest.fixture
def judge() -> Iterator[Judge]:
    """Of a worker that has said it is ready; it must end when its judge hangs up."""
    near, far = socket.socketpair()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        near.close()
        sys.stdout = os.fdopen(writing, "w")
        torch.set_num_threads(5)
        try:
            serve.Server(far).run()
        except BaseException:
            os._exit(3)
        os._exit(0)
    far.close()
    os.close(writing)
    made = Judge(near, reading)
    assert made.hear() == (Kind.READY, 0, ())
    yield made
    near.close()
    os.close(reading)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def load(judge: Judge, **spec: Any) -> dict[str, bool]:
    kind, ((names, absent), state, mutated, graph, advanced, forbidden) = judge.ask(Kind.LOAD, SPEC | spec)
    assert (kind, absent, state, mutated, graph, advanced, forbidden) == (Kind.RETURN, [], [], [], 0, [], [])
    return names


def test_a_file_is_loaded_and_its_names_are_told(judge: Judge) -> None:
    names = load(judge)
    assert names["twice"] is True and names["Net"] is True and names["constant"] is False and names["_hidden"] is False
    assert not [name for name in names if name.startswith("__")]
    assert judge.call("printed")["value"] == (["answer.py"], "answer")
    assert judge.printed() == b"hello\n", "before the answer"


def test_before_a_file_is_loaded_there_is_nothing(judge: Judge) -> None:
    kind, said = judge.ask(Kind.GET, ROOT, "constant", [])
    assert (kind, said[0], said[-1]) == (Kind.RAISE, "AttributeError", [])


def test_a_request_is_read_whole_however_it_comes() -> None:
    class Slow:
        def __init__(self, data: bytes) -> None:
            self._data = iter(data)

        def recv_into(self, view: memoryview) -> int:
            for byte in self._data:
                view[0] = byte
                return 1
            return 0

    server = serve.Server(Slow(b"abc"))  # type: ignore[arg-type]
    assert server._exactly(2) == b"ab" and server._exactly(2) is None


def test_every_generator_is_seeded(judge: Judge) -> None:
    load(judge, seed=7)
    drawn = judge.call("drawn")["value"]
    random.seed(7)
    np.random.seed(7)
    torch.manual_seed(7)
    assert drawn == (random.random(), np.random.rand(), float(torch.rand(1)))


def test_a_seed_may_be_larger_than_numpy_takes() -> None:
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        serve.seed((1 << 32) + (1 << 31) + 7)
        drawn = np.random.rand()
        np.random.seed((1 << 31) + 7)
        assert drawn == np.random.rand()
    finally:
        random.setstate(states[0]), np.random.set_state(states[1]), torch.set_rng_state(states[2])


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_are_as_many_as_is_said(judge: Judge, threads: int) -> None:
    load(judge, threads=threads)
    assert judge.call("threads")["value"] == (5 if threads == 1 else threads), "one is what a zygote has set"


def test_a_call_gives_its_value_and_what_it_changed(judge: Judge) -> None:
    load(judge)
    assert judge.call("twice", 4) == {
        "value": 8, "state": [], "mutated": [], "graph": 0, "advanced": [], "forbidden": []
    }  # fmt: skip
    assert judge.call("words", kwargs={"a": 1})["value"] == {"a": 1}
    assert judge.call("in_place", np.ones(2))["mutated"] == ["x of in_place"]
    generator = torch.Generator().manual_seed(3)
    said = judge.call("draw", generator)
    torch.rand(1, generator=generator)
    assert len(said["advanced"]) == 1 and torch.equal(said["advanced"][0].get_state(), generator.get_state())


def test_what_is_raised_is_told(judge: Judge) -> None:
    load(judge)
    kind, said = judge.ask(Kind.CALL, ROOT, "bad", (), {}, [], [], True, False, [])
    assert kind is Kind.RAISE and said[0] == "KeyError" and said[2] == "'gone'"
    assert [tuple(line) for line in said[3]] == [(LINE, "bad")] and said[5] == []
    assert judge.ask(99, ())[0] is Kind.RAISE, "and so is what is no request"
    assert judge.call("twice", 1)["value"] == 2


def test_what_is_forbidden_is_refused_and_noted(judge: Judge) -> None:
    load(
        judge,
        forbidden_operators=["aten::lstm"],
        forbidden_imports=["wave"],
        source=SOURCE + b"\ndef wave(): import wave\n",
    )
    kind, said = judge.ask(Kind.CALL, ROOT, "lstm", (), {}, [], [], True, False, [])
    assert kind is Kind.RAISE and said[-1] == ["aten::lstm"]
    kind, said = judge.ask(Kind.CALL, ROOT, "wave", (), {}, [], [], True, False, [])
    assert kind is Kind.RAISE and said[-1] == ["aten::lstm", "import wave"]
    assert judge.call("twice", 1)["forbidden"] == ["aten::lstm", "import wave"]


def test_a_forbidden_job_is_refused(judge: Judge) -> None:
    load(judge, forbidden_jobs=["recurrent"])
    kind, said = judge.ask(Kind.CALL, ROOT, "lstm", (), {}, [], [], True, False, [])
    assert kind is Kind.RAISE and said[-1]


def test_attributes_are_got_and_set(judge: Judge) -> None:
    load(judge)
    assert judge.ask(Kind.GET, ROOT, "constant", []) == (Kind.RETURN, (3, [], [], 0, [], []))
    assert judge.ask(Kind.SET, ROOT, "constant", 4, []) == (Kind.RETURN, (None, [], [], 0, [], []))
    assert judge.ask(Kind.GET, ROOT, "constant", [])[1][0] == 4
    assert judge.ask(Kind.GET, ROOT, "nowhere", [])[1][0] == "AttributeError"


def test_objects_are_called_under_their_handles(judge: Judge) -> None:
    load(judge)
    handle, description = judge.call("Thing")["value"]
    assert description == ("object", "answer.Thing", ["run"])
    assert judge.call("run", 2, target=handle)["value"] == 3
    function, _ = judge.ask(Kind.GET, ROOT, "twice", [])[1][0]
    assert judge.call("", 2, target=function)["value"] == 4


def test_a_graph_stays_until_it_is_freed(judge: Judge) -> None:
    load(judge)
    x = torch.ones(2, requires_grad=True)
    said = judge.call("many", x)
    assert said["graph"] == 1 and [one.tolist() for one in judge.grads] == [[2.0, 2.0], [3.0, 3.0]]
    kind, said = judge.ask(Kind.BACKWARD, 1, [torch.ones(2), torch.ones(2)], [])
    assert kind is Kind.RETURN and [one.tolist() for one in said[0]] == [[5.0, 5.0]]
    assert judge.call("many", torch.ones(2))["graph"] == 0, "where nothing requires grad there is none"
    assert judge.call("grads")["value"] is True
    assert judge.call("many", x, freed=[1])["graph"] == 2
    assert judge.ask(Kind.BACKWARD, 1, [torch.ones(2), None], [])[0] is Kind.RAISE
    kind, said = judge.ask(Kind.BACKWARD, 2, [torch.ones(2), None], [])
    assert kind is Kind.RETURN and said[0][0].tolist() == [2.0, 2.0]
    assert judge.ask(Kind.BACKWARD, 2, [torch.ones(2), None], [2])[0] is Kind.RAISE


def test_without_grad_there_is_no_graph(judge: Judge) -> None:
    load(judge)
    assert judge.call("made")["graph"] == 0, "nor where nothing came that requires grad"
    assert judge.call("constant_of", torch.ones(1, requires_grad=True))["graph"] == 0, "nor where nothing goes"
    said = judge.call("many", torch.ones(2, requires_grad=True), grad=False)
    assert said["graph"] == 0 and judge.grads == []
    assert judge.call("grads", grad=False)["value"] is False


def test_operations_are_counted(judge: Judge) -> None:
    load(judge)
    value, operations = judge.call("product", torch.ones(2, 3), torch.ones(3, 4), counted=True)["value"]
    assert value.shape == (2, 4) and operations == 2 * 2 * 3 * 4
    assert judge.printed() == b""


def test_the_state_of_a_module_goes_both_ways(judge: Judge) -> None:
    load(judge)
    handle, (kind, *_) = judge.call("Net")["value"]
    assert kind == "module"
    state = [(handle, ([([0], torch.tensor([5.0, 7.0]))], [], [], []))]
    said = judge.call("", torch.ones(2), target=handle, state=state)
    assert said["value"].tolist() == [5.0, 7.0] and said["graph"] == 1 and said["state"] == []
    kind, said = judge.ask(Kind.BACKWARD, 1, [torch.ones(2)], [])
    assert [one.tolist() for one in said[0]] == [[1.0, 1.0]], "one for the parameter that takes part"
    said = judge.call("given", Held(handle))
    assert said["value"].item() == 14.0
    ((changed, (((slots, flat),), *_)),) = said["state"]
    assert (changed, slots, flat.tolist()) == (handle, [0], [6.0, 8.0])
    for kind, values in ((Kind.GET, ("constant",)), (Kind.SET, ("constant", 4))):
        judge.ask(kind, ROOT, *values, [(handle, ([([0], torch.tensor([1.0, 2.0]))], [], [], []))])
        said = judge.call("", torch.ones(2), target=handle, state=[])
        assert said["value"].tolist() == [1.0, 2.0]
        judge.call("", torch.ones(2), target=handle, state=state)


def test_an_answer_nests_as_deep_as_a_frame_may(judge: Judge) -> None:
    load(judge)
    value = judge.call("nested", MAX_DEPTH - 1)["value"]
    assert str(value).count("[") == MAX_DEPTH - 1
    kind, said = judge.ask(Kind.CALL, ROOT, "nested", (MAX_DEPTH,), {}, [], [], True, False, [])
    assert kind is Kind.RAISE and "nested more than" in said[2]


def test_a_large_answer_arrives_whole(judge: Judge) -> None:
    load(judge)
    assert np.array_equal(judge.call("twice", np.arange(1 << 16))["value"], 2 * np.arange(1 << 16))


def test_without_torch_there_is_no_grad_to_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch")
    with serve._grad_mode(False):
        assert torch.is_grad_enabled()
    monkeypatch.delitem(sys.modules, "numpy")
    state = random.getstate()
    serve.seed(3)
    drawn = random.random()
    random.seed(3)
    assert drawn == random.random()
    random.setstate(state)
