"""Every decoder of bytes that a learner may choose, fed with hostile ones: its stated ends only, soon, in bounded memory.

The search begins at SEEDS, which are honest, and at the corpus, `tests/fuzz/DECODER/`: bytes that once did harm, or that were
written to. What a search finds goes there, under a name that says what it is. `make fuzz` searches long.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
import tracemalloc
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grader.course import Course
from grader.forkserver import Exit
from grader.judge.bridge import Bridge
from grader.judge.gone import LearnerError, WorkerGone
from grader.judge.ladder import Plan
from grader.judge.workers import Worker
from grader.kata import Kata
from grader.limits import MAX_TREE_BYTES
from grader.reports import REPORTS, render
from grader.scorecard import KataResult, Score, Scorecard, TestResult, Verdict
from grader.store import Store, _digest
from grader.submission import read
from grader.wire import HEADER, BadFrame, Encoder, Frame, decode, read_header
from grader.wire.message import Kind
from grader.worker.objects import Objects

CORPUS = Path(__file__).parent / "fuzz"
SECONDS = 10.0  # for one input, where a millisecond is usual: only what hangs takes so long
search = settings(
    max_examples=int(os.environ.get("FUZZ", "100")),
    deadline=timedelta(seconds=SECONDS),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


def corpus(decoder: str) -> list[Any]:
    """The files of one decoder, as parameters that bear their names."""
    files = sorted((CORPUS / decoder).iterdir())
    assert files
    return [pytest.param(file.read_bytes(), id=file.name) for file in files]


class Model(torch.nn.Module):
    """What the worker at the other end has given to the judge before it turns hostile."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)
        self.register_buffer("seen", torch.zeros(1))


class Described:
    """An object of the learner's with a handle and a description of any kind."""

    def __init__(self, handle: int, description: Any) -> None:
        self.handle, self.description = handle, description


def framed(value: Any, kind: int = Kind.RETURN, call: int = 2, export: Any = None) -> bytes:
    encoder = Encoder(export or (lambda one: (one.handle, one.description)))
    encoder.value(value)
    return b"".join(bytes(part) for part in encoder.frame(kind, call))


def answer(value: Any, state: Any = (), mutated: Any = (), number: Any = 0, advanced: Any = (), seen: Any = ()) -> bytes:
    return framed((value, list(state), list(mutated), number, list(advanced), list(seen)))


HELLO = framed((Model(), [], [], 0, [], []), Kind.RETURN, 1, Objects(None).export)
GRAD = torch.ones(2, 1, requires_grad=True)
SEEDS = [
    answer(GRAD, number=1),
    answer([1, 2.5, "text", None, {"x": np.arange(6.0).reshape(2, 3)}, 1 + 2j, slice(1, None), np.float32(3), 1 << 90]),
    answer(torch.zeros(3, dtype=torch.bfloat16), [(1, ([([0, 1], torch.ones(3))], [], [True, False], [False, True]))]),
    answer(None, [(1, ([], [torch.ones(2, 2), None, torch.zeros(2)], [], []))], ["x of f"], 0, [], ["aten::lstm"]),
    answer([torch.Generator(), np.random.default_rng(0), torch.Size([2]), torch.float32], advanced=[torch.Generator()]),
    answer(Described(9, ("object", "Thing", ["__len__", "run"]))),
    framed((Model(), [], [], 0, [], []), Kind.RETURN, 2, Objects(None).export),
    framed(("ValueError", ["ValueError", "Exception"], "odd", [(3, "f")], [], []), Kind.RAISE),
]
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.binary(max_size=9)
    | st.sampled_from([GRAD, torch.ones(3), torch.ones(0, 2), np.ones(2), np.bool_(True), torch.Size([1]), torch.int8])
    | st.sampled_from(["module", "object", "callable", "__call__", "weight", "training", "_modules", "forward"])
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.lists(inner, max_size=6).map(tuple)
        | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3)
        | st.builds(Described, st.integers(0, 3), inner)
    ),
    max_leaves=25,
)
NODES = st.tuples(
    st.integers(0, 4), st.sampled_from(["Net", "Sequential"]), st.just(["run"]),
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(-1, 2)), max_size=3),
    st.lists(st.tuples(st.sampled_from(["w", "v"]), st.integers(-1, 1)), max_size=2),
    st.lists(st.tuples(st.just("u"), st.integers(-1, 1), st.booleans()), max_size=1), st.booleans(),
)  # fmt: skip
SLOTS = st.lists(st.tuples(st.just(torch.ones(2)) | LEAVES, st.booleans(), st.booleans()), max_size=2)
MODULES = st.builds(
    lambda nodes, slots: Described(nodes[0][0] if nodes else 1, ("module", "Net", nodes, slots)),
    st.lists(NODES, max_size=3), SLOTS,
)  # fmt: skip
BITES = [b"\xff" * 4, b"\0" * 4, b"\xff" * 8, b"l\xff\xff\x0f\0", b"u\1\0\0\0", b"m\1\0\0\0", b"O\1\0\0\0", b"G", b"R", b"a\x08\0\2"]


@st.composite
def spoilt(draw: Any, whole: bytes) -> bytes:
    """Bytes with a few places cut out, overwritten or added to."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 8))] = draw(st.binary(max_size=8) | st.sampled_from(BITES))
    return bytes(data)


@st.composite
def frames(draw: Any) -> bytes:
    """Answers: honest ones spoilt in tree or raw bytes, their header made to fit again or not, and well-formed nonsense."""
    made = draw(st.sampled_from(["spoilt", "refitted", "any", "answer"]))
    if made == "any":
        return framed(draw(VALUES), draw(st.sampled_from([Kind.RETURN, Kind.RAISE])))
    if made == "answer":
        return framed((draw(VALUES | MODULES), *draw(st.lists(VALUES, min_size=5, max_size=5))))
    seed = draw(st.sampled_from(SEEDS))
    if made == "spoilt":
        return draw(spoilt(seed))  # type: ignore[no-any-return]
    header = read_header(seed)
    tree = draw(spoilt(seed[HEADER.size : HEADER.size + header.tree_bytes].rstrip(b"\0")))
    tree += bytes(-len(tree) % 16)
    raw = seed[HEADER.size + header.tree_bytes :]
    return HEADER.pack(b"gk", 1, header.kind, 2, len(tree), len(raw)) + tree + raw


class Nobody:
    """The leash of a process that has ended already."""

    def kill(self) -> None: ...
    def ask_for_stack(self) -> None: ...
    def close(self) -> None: ...
    def exit(self, seconds: float) -> Exit:
        return Exit(0, 0, 0, 0.0, 0.0)


@contextlib.contextmanager
def worker_that_says(channel: bytes, printed: bytes = b"", trace: bytes = b"") -> Iterator[Worker]:
    """A worker that has said all this, and hung up."""
    near, far = socket.socketpair()
    pipes = [os.pipe(), os.pipe()]
    far.setblocking(False)
    with near, far:
        worker = Worker(near, pipes[0][0], pipes[1][0], Nobody())
        with contextlib.suppress(BlockingIOError):
            far.sendall(channel)
        far.shutdown(socket.SHUT_WR)
        for (_, writing), data in zip(pipes, (printed, trace), strict=True):
            os.set_blocking(writing, False)
            with contextlib.suppress(BlockingIOError):
                os.write(writing, data)
            os.close(writing)
        yield worker
        os.close(pipes[0][0])
        os.close(pipes[1][0])


def converse(said: bytes) -> None:
    """Give the judge a module, and then these bytes: for an answer, and again for what it goes on to ask."""
    x = torch.ones(2, 2, requires_grad=True)
    with worker_that_says(HELLO + said) as worker:
        bridge = Bridge(worker, "m.py", SECONDS)
        bridge.start_clock()
        assert isinstance(bridge.call(0, "Model", (), {}), torch.nn.Module)
        with contextlib.suppress(LearnerError, WorkerGone):
            value = bridge.call(1, "", (x,), {})
            if isinstance(value, torch.nn.Module):
                value.state_dict()
                value.train()
            elif type(value) is torch.Tensor and value.grad_fn is not None:
                value.sum().backward()
        assert isinstance(bridge.output_of_worker() if hasattr(bridge, "output_of_worker") else "", str)


@pytest.mark.parametrize("said", corpus("answer"))
def test_an_answer_of_the_corpus_is_taken_or_is_the_learners_fault(said: bytes) -> None:
    converse(said)


@search
@given(frames())
def test_any_answer_is_taken_or_is_the_learners_fault(said: bytes) -> None:
    converse(said)
