"""The far side of test_bridge.py, run as a script: it forks a real zygote, and talks to real workers through the bridge."""

from __future__ import annotations

import gc
import os
import socket
import sys

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

from grader.worker import zygote

ENDS = ("weight", "bias")
SOURCE = b"""
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.inner = nn.Linear(n, n)
        self.norm = nn.BatchNorm1d(n)
        self.tied = self.inner.weight
        self.blocks = nn.ModuleList([nn.Linear(n, n), nn.Linear(n, n)])
        self.register_buffer("scale", torch.ones(n), persistent=False)

    def forward(self, x):
        h = self.norm(torch.tanh(self.inner(x)))
        for block in self.blocks:
            h = block(h)
        return h * self.scale

    def twice(self, x):
        return 2 * self(x)

def pair(x, y):
    return x * y, x + y

def descend(net, step):
    for p in net.parameters():
        p.data -= step
    net.eval()

def in_place(x, y):
    x += 1
    return y

def draw(generator):
    return torch.rand(2, generator=generator)

def seed(generator):
    generator.manual_seed(0)

def product(x, y):
    return x @ y

def uncounted(x):
    import torch.utils.flop_counter
    torch.utils.flop_counter.FlopCounterMode.get_total_flops = lambda counter: "none"
    return x

class Still(nn.Module):
    # Its norm never listens to the mode, and its first layer never trains.
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.norm = nn.BatchNorm1d(3)
        self.last = nn.Linear(3, 3)

    def forward(self, x):
        return self.last(self.norm(self.first(x)))

    def train(self, mode=True):
        super().train(mode)
        self.norm.eval()
        return self

    def requires_grad_(self, flag=True):
        super().requires_grad_(flag)
        self.first.requires_grad_(False)
        return self

class Held(nn.Module):
    def __init__(self):
        super().__init__()
        self.still = Still()

class Pair(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.second = nn.Linear(3, 3)
        self.chain = nn.Sequential(self.first, self.second)
        self.register_buffer("count", torch.zeros(()))
        if kind == "view":
            self.second.weight = nn.Parameter(self.first.weight.t())
        if kind == "slice":
            self.second.bias = nn.Parameter(self.first.weight.data[1])
        if kind == "tied":
            self.second.weight = self.first.weight

    def forward(self, x):
        return self.chain(x)

def many(net, x, times):
    for _ in range(times):
        net.inner(x)

def unheard(net, x):
    from grader.worker.heard import Heard
    Heard.calls = property(lambda heard: "many", lambda heard, calls: None)
    return x

class Counter:
    def __init__(self):
        self.count = 0
    def __len__(self):
        return self.count
    def add(self, n):
        self.count += n
        return self
"""


def begin():
    """A fresh worker, and the learner's module in it."""
    from grader.judge.bridge import Bridge
    from grader.judge.proxies import RemoteFile

    worker = WORKSHOP.start(1 << 30, 60)
    bridge = Bridge(worker, "net.py", 60)
    spec = {"source": SOURCE, "filename": "net.py", "module": "net", "seed": 0, "threads": 1}
    return bridge, RemoteFile(
        bridge, bridge.load({**spec, "forbidden_imports": [], "forbidden_operators": [], "forbidden_jobs": []})
    )


def functions_are_differentiable(torch):
    _, net = begin()
    x, y = (torch.randn(3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(net.pair, (x, y))
    product, _ = net.pair(torch.sin(x), y)
    product.sum().backward()
    assert torch.allclose(x.grad, torch.cos(x) * y) and torch.allclose(y.grad, torch.sin(x))
    with torch.no_grad():
        assert not net.pair(x, y)[0].requires_grad
    assert not net.pair(x.detach(), y.detach())[0].requires_grad


def a_second_derivative_is_refused_with_a_reason(torch):
    _, net = begin()
    x = torch.ones(2, requires_grad=True)
    try:
        torch.autograd.grad(net.pair(x, x)[0].sum(), x, create_graph=True)
    except RuntimeError as error:
        assert "once, not twice" in str(error)
    else:
        raise AssertionError("it was not refused")


def a_module_is_a_module(torch):
    _, net = begin()
    model = net.Net(3).double()
    assert isinstance(model, torch.nn.Module) and model.tied is model.inner.weight
    assert "scale" not in model.state_dict() and model.scale.dtype == torch.float64
    assert len(model.blocks) == 2 and [b.weight.shape for b in model.blocks] == [(3, 3)] * 2
    x = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    model(x)
    assert int(model.norm.num_batches_tracked) == 1 and model.norm.running_mean.abs().sum() > 0
    model.eval()
    assert torch.autograd.gradcheck(model, (x,)) and torch.allclose(model.twice(x), 2 * model(x))
    assert int(model.norm.num_batches_tracked) == 1


def weights_travel_both_ways(torch):
    _, net = begin()
    model, other = net.Net(3), net.Net(3)
    other.load_state_dict(model.state_dict())
    model.eval(), other.eval()
    x = torch.randn(4, 3)
    assert torch.equal(model(x), other(x))
    before = model.inner.weight.detach().clone()
    model.train()
    net.descend(model, 0.5)
    assert torch.allclose(model.inner.weight, before - 0.5) and not model.training
    with torch.no_grad():
        model.blocks[1].weight.zero_()
        model.blocks[1].bias.fill_(7.0)
    assert torch.equal(model(x), torch.full((4, 3), 7.0))
    model.blocks[1].bias.data += 1
    assert torch.equal(model(x), torch.full((4, 3), 8.0))
    model.inner.weight.requires_grad_(False)
    model(x).sum().backward()
    assert model.inner.weight.grad is None and model.blocks[1].bias.grad is not None


def a_learners_own_modes_are_theirs(torch):
    _, net = begin()
    model = net.Still()
    for mode in (True, False):
        assert model.train(mode) is model and model.training == model.last.training == mode and not model.norm.training
    model.train()
    model(torch.randn(4, 3))
    assert int(model.norm.num_batches_tracked) == 0
    assert model.eval() is model and not model.training
    held = net.Held().train()
    assert held.training and held.still.training and not held.still.norm.training
    model.requires_grad_(True)
    assert [name for name, each in model.named_parameters() if not each.requires_grad] == ["first.weight", "first.bias"]


def a_state_is_held_and_loaded(torch):
    from grader.checks import CheckFailure, assert_state, load_state, state_of

    _, net = begin()
    shapes = {f"{layer}.{end}": (3, 3) if end == "weight" else (3,) for layer in ("first", "second") for end in ENDS}
    model = net.Pair("apart")
    before = state_of(model, shapes)
    assert_state(model, shapes, dtype=torch.float32)
    assert all(torch.equal(value, before[name]) for name, value in state_of(model, shapes).items()), "put back"
    given = {name: torch.randn(shape) for name, shape in shapes.items()}
    x = torch.randn(2, 3)
    expected = (x @ given["first.weight"].T + given["first.bias"]) @ given["second.weight"].T + given["second.bias"]
    assert torch.allclose(load_state(model, given)(x), expected, atol=1e-5)
    for kind, pair in (
        ("view", "first.weight and second.weight"),
        ("slice", "first.weight and second.bias"),
        ("tied", "first.weight and second.weight"),
    ):
        try:
            assert_state(net.Pair(kind), shapes)
        except CheckFailure as failure:
            assert f"{pair} of the model share memory" in failure.message, failure
        else:
            raise AssertionError(f"{kind} was not seen")
    tied = {"second.weight": "first.weight"}
    assert_state(net.Pair("tied"), shapes, tied=tied)
    for kind in ("view", "apart"):
        try:
            assert_state(net.Pair(kind), shapes, tied=tied)
        except CheckFailure as failure:
            assert "are two parameters" in failure.message, failure
        else:
            raise AssertionError(f"{kind} was taken for one parameter")


def training_agrees_with_the_same_model_here(torch):
    _, net = begin()
    here: dict = {"__name__": "net"}
    exec(SOURCE, here)
    far, near = net.Net(3).double(), here["Net"](3).double()
    near.load_state_dict(far.state_dict())
    x, y = torch.randn(8, 3, dtype=torch.float64), torch.randn(8, 3, dtype=torch.float64)

    def train(model):
        optimiser = torch.optim.Adam(model.parameters(), lr=0.05)
        for _ in range(10):
            optimiser.zero_grad()
            loss = (model(x) - y).pow(2).mean()
            loss.backward()
            optimiser.step()
            yield loss.item()

    assert list(train(far)) == list(train(near))


def graphs_are_freed(torch):
    bridge, net = begin()
    x = torch.ones(2, requires_grad=True)
    for _ in range(5):
        net.pair(x, x)
    gc.collect()
    assert len(bridge.freed) <= 1, "each call frees what the calls before it left"


def arguments_are_values(torch):
    from grader.judge.gone import WorkerGone

    bridge, net = begin()
    x = torch.zeros(2)
    kept = net.in_place(x, x)
    assert torch.equal(x, torch.zeros(2)) and torch.equal(kept, torch.zeros(2)), "they are two values there"
    assert bridge.mutated == ["x of in_place"]
    generator, twin = torch.Generator().manual_seed(3), torch.Generator().manual_seed(3)
    drawn = torch.cat([net.draw(generator), net.draw(generator)])
    assert torch.equal(drawn, torch.rand(4, generator=twin))
    try:
        net.seed(generator)
    except WorkerGone as gone:
        assert gone.verdict == "fail" and "set the random generator that it was given" in gone.message
    else:
        raise AssertionError("a generator may only be drawn from")


def operations_are_counted(torch):
    from grader.judge.gone import WorkerGone

    bridge, net = begin()
    model = net.Net(3).eval()
    bridge.counting = True
    assert net.product(torch.ones(2, 3), torch.ones(3, 5)).shape == (2, 5) and bridge.operations == 2 * 2 * 3 * 5
    assert model(torch.ones(4, 3)).shape == (4, 3) and bridge.operations == 3 * 2 * 4 * 3 * 3, "three linear layers"
    bridge.counting = False
    assert net.pair(torch.ones(2), torch.ones(2))[1].tolist() == [2, 2], (
        "a call that is not counted gives its value alone"
    )
    bridge.counting = True
    try:
        net.uncounted(torch.ones(2))
    except WorkerGone as gone:
        assert gone.verdict == "crash" and "a counted call without a count" in gone.message
    else:
        raise AssertionError("a count is a number")


def hooks_of_submodules_see_what_they_gave(torch):
    """The calls, in the order, and with the values, of the same hooks on the same model here."""
    _, net = begin()
    here = {"__name__": "net"}
    exec(SOURCE, here)
    model, own = net.Net(3), here["Net"](3)
    own.load_state_dict(model.state_dict())
    x, heard = torch.randn(5, 3), []
    for one, many in ((model, net.many), (own, here["many"])):
        told = []
        one.register_forward_hook(lambda module, args, output, told=told: told.append(("net", *args, output)))
        for name in ("inner", "blocks.0", "blocks.1"):

            def by_name(_, args, kwargs, output, told=told, name=name):
                told.append((name, *args, output))

            one.get_submodule(name).register_forward_hook(by_name, with_kwargs=True)
        one.norm.register_forward_hook(lambda *_, told=told: told.append(("gone",))).remove()
        one(x), one.twice(x), one.inner(x), many(one, x, 2)
        heard.append(told)
    whole = ["inner", "blocks.0", "blocks.1", "net"]
    assert [name for name, *_ in heard[0]] == [name for name, *_ in heard[1]] == [*whole, *whole, *["inner"] * 3]
    for theirs, ours in zip(*heard, strict=True):
        assert all(torch.allclose(a, b) for a, b in zip(theirs[1:], ours[1:], strict=True)), theirs[0]
    assert not heard[0][0][2].requires_grad, "a copy, without its graph"


def hooks_that_cannot_fire_say_so(torch):
    from grader.checks.failure import AuthorFault

    _, net = begin()
    model, x = net.Net(3), torch.randn(5, 3)
    for name in ("forward_pre", "full_backward", "full_backward_pre", "backward"):
        refused(
            AuthorFault, "cannot fire on a module of the learner's", getattr(model.inner, f"register_{name}_hook"), id
        )
    refused(AuthorFault, "leave out always_call", lambda: model.inner.register_forward_hook(id, always_call=True))
    hook = model.inner.register_forward_hook(lambda *_: 2 * x)
    refused(AuthorFault, "cannot change it", model, x)
    hook.remove()
    assert model(x).shape == (5, 3), "no hook is left, and the call is one as before"
    model.inner.register_forward_hook(lambda *_: None)
    refused(TypeError, "called 1001 times in one call: more than can be told", net.many, model, x, 1001)
    assert net.many(model, x, 1000) is None
    refused(TypeError, "called 20 times", net.many, model, torch.ones(200_000, 3), 20)


def what_was_heard_is_checked(torch):
    from grader.judge.gone import WorkerGone
    from grader.judge.hooks import Hooks
    from grader.wire import BadFrame

    hooks = Hooks()
    hooks.on(3, torch.nn.Identity())
    good = (3, (), {}, None)
    hooks.tell([3], ([good], 1))
    for bad in (None, ([good],), ([good], "1"), ({}, 0), (((good,)), 1), ([good[:3]], 1), ([(3, [], {}, None)], 1),
                ([(3, (), (), None)], 1), ([("3", (), {}, None)], 1), ([(4, (), {}, None)], 1)):  # fmt: skip
        refused(BadFrame, "heard", hooks.tell, [3], bad)
    _, net = begin()
    model = net.Net(3)
    model.inner.register_forward_hook(lambda *_: None)
    try:
        net.unheard(model, torch.ones(2, 3))
    except WorkerGone as gone:
        assert gone.verdict == "crash" and "a call without what was heard in it" in gone.message, gone.message
    else:
        raise AssertionError("what was heard was not checked")


def refused(kind, words, function, *arguments):
    try:
        function(*arguments)
    except kind as error:
        assert words in str(error), error
    else:
        raise AssertionError(f"it was not refused: {words}")


def what_one_test_holds_is_bounded(torch):
    from unittest.mock import patch

    from grader.wire import BadFrame

    def module(handle, nodes=1):
        described = [(handle + n, "M", [], [], [("w", 0)] if n == 0 else [], [], True) for n in range(nodes)]
        return "module", "M", described, [(torch.zeros(2000), True, True)]

    bridge, _ = begin()
    with (
        patch.multiple("grader.judge.bridge", MAX_RAW_BYTES=10_000, MAX_OBJECTS=3),
        patch("grader.judge.modules.MAX_MODULES", 4),
    ):
        bridge._resolve(1, module(1))
        for handle, description, why in (
            (2, module(2), "more parameters than one test can hold"),
            (2, module(2, nodes=5), "too many modules"),
            (2, ("object", "A", []), ""),
            (3, ("object", "B", []), ""),
            (4, ("object", "C", []), "more objects than one test can hold"),
        ):
            try:
                bridge._resolve(handle, description)
            except BadFrame as error:
                assert why and why in str(error), error
            else:
                assert not why, why
    assert bridge._resolve(3, None) is not bridge._resolve(2, None)


def other_objects_are_handles(torch):
    _, net = begin()
    counter = net.Counter()
    assert counter.add(3) is counter and counter.count == 3 and len(counter) == 3
    counter.count = 9
    assert counter.count == 9 and type(counter).__name__.endswith("Counter")
    try:
        _ = counter.nothing
    except AttributeError as error:
        assert "nothing" in str(error)
    else:
        raise AssertionError("an attribute that is not there was found")


if __name__ == "__main__":
    control, far_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    zygote.warm("torch")
    zygote.warm_training()
    if os.fork() == 0:
        control.close()
        zygote.main(far_end, "torch")
    far_end.close()
    control.recv(1 << 16)
    import torch

    from grader.judge.workers import ForkedWorkshop

    WORKSHOP = ForkedWorkshop(control)
    torch.set_num_threads(1)
    for name in sys.argv[1:]:
        globals()[name](torch)
        print("held:", name)
