"""Every decoder of bytes that a learner may choose, fed with hostile ones: its stated ends only, soon, in bounded memory.

The search begins at SEEDS, which are honest, and at the corpus, `tests/fuzz/DECODER/`: bytes that once did harm, or that were
written to. What a search finds goes there, under a name that says what it is. `make fuzz` searches long.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
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
from grader.engine.plan import Plan
from grader.forkserver import Exit
from grader.judge.bridge import Bridge
from grader.judge.clock import Clock
from grader.judge.gone import LearnerError, WorkerGone
from grader.judge.workers import Worker
from grader.kata import Kata
from grader.reports import REPORTS, render
from grader.scorecard import KataResult, Score, Scorecard, TestResult, Verdict
from grader.store import Store, _digest
from grader.submission import read
from grader.wire import HEADER, BadFrame, Encoder, Frame, decode, read_header
from grader.wire.frame import VERSION
from grader.wire.message import Kind
from grader.worker.objects import Objects

from .decode_tasks import LARGE

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


def answer(
    value: Any, state: Any = (), mutated: Any = (), number: Any = 0, advanced: Any = (), seen: Any = ()
) -> bytes:
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
GRADIENTS = [answer([torch.ones(2, 2), torch.ones(1, 2), None]), answer([None, None, torch.ones(1)]), SEEDS[-1]]
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
BITES = [
    b"\xff" * 4,
    b"\0" * 4,
    b"\xff" * 8,
    b"l\xff\xff\x0f\0",
    b"u\1\0\0\0",
    b"m\1\0\0\0",
    b"O\1\0\0\0",
    b"G",
    b"R",
    b"a\x08\0\2",
]


@st.composite
def spoilt(draw: Any, whole: bytes) -> bytes:
    """Bytes with a few places cut out, overwritten or added to."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 8))] = draw(st.binary(max_size=8) | st.sampled_from(BITES))
    return bytes(data)


@st.composite
def frames(draw: Any, call: int) -> bytes:
    """Answers: honest ones spoilt in tree or raw bytes, their header made to fit again or not, and well-formed nonsense."""
    made = draw(st.sampled_from(["spoilt", "refitted", "any", "answer"]))
    if made == "any":
        return framed(draw(VALUES), draw(st.sampled_from([Kind.RETURN, Kind.RAISE])), call)
    if made == "answer":
        return framed((draw(VALUES | MODULES), *draw(st.lists(VALUES, min_size=5, max_size=5))), call=call)
    seed = draw(st.sampled_from(SEEDS if call < 3 else GRADIENTS))
    if made == "spoilt":
        return draw(spoilt(seed))  # type: ignore[no-any-return]
    header = read_header(seed)
    tree = draw(spoilt(seed[HEADER.size : HEADER.size + header.tree_bytes].rstrip(b"\0")))
    tree += bytes(-len(tree) % 16)
    raw = seed[HEADER.size + header.tree_bytes :]
    return HEADER.pack(b"gk", VERSION, header.kind, call, len(tree), len(raw)) + tree + raw


class Nobody:
    """The leash of a process that has ended already."""

    def pid(self) -> None: ...
    def kill(self) -> None: ...
    def ask_for_stack(self) -> None: ...
    def close(self) -> None: ...
    def exit(self, seconds: float) -> Exit:
        return Exit(0, 0, 0, 0.0, 0.0)

    def is_cut(self) -> bool:
        return False


@contextlib.contextmanager
def worker_of(printed: bytes = b"", trace: bytes = b"") -> Iterator[tuple[Worker, socket.socket]]:
    """The judge's side of a worker that has printed this and left this as its stack, and the socket of its other side."""
    near, far = socket.socketpair()
    pipes = [os.pipe(), os.pipe()]
    for (_, writing), data in zip(pipes, (printed, trace), strict=True):
        os.set_blocking(writing, False)
        os.write(writing, data[: 1 << 16])
        os.close(writing)
    with near, far:
        far.setblocking(False)
        yield Worker(near, pipes[0][0], pipes[1][0], Nobody()), far
    for reading, _ in pipes:
        os.close(reading)


def say(far: socket.socket, said: bytes, last: bool = False) -> None:
    with contextlib.suppress(BlockingIOError, BrokenPipeError):
        far.sendall(said)
    if last:
        far.shutdown(socket.SHUT_WR)


def converse(said: bytes, gradient: bytes = b"") -> None:
    """Give the judge a module; then let these bytes be the next answer, and the one to a backward if it comes to that."""
    x = torch.ones(2, 2, requires_grad=True)
    with worker_of() as (worker, far):
        bridge = Bridge(worker, "m.py", SECONDS)
        bridge.start_clock()
        say(far, HELLO)
        assert isinstance(bridge.call(0, "Model", (), {}), torch.nn.Module)
        say(far, said, last=not gradient)
        try:
            value = bridge.call(1, "", (x,), {})
            say(far, gradient, last=True)
            if isinstance(value, torch.nn.Module):
                value.state_dict()
                value.train()
            elif type(value) is torch.Tensor and value.grad_fn is not None:
                value.sum().real.backward()
                assert x.grad is None or x.grad.shape == x.shape
        except LearnerError as error:
            assert type(error.described) is str
        except WorkerGone as gone:
            assert bridge.gone is gone and gone.verdict in (Verdict.CRASH, Verdict.TIMEOUT)


@pytest.mark.parametrize("said", corpus("answer"))
def test_an_answer_of_the_corpus_is_taken_or_is_the_learners_fault(said: bytes) -> None:
    converse(said)


@search
@given(frames(2))
def test_any_answer_is_taken_or_is_the_learners_fault(said: bytes) -> None:
    converse(said)


@pytest.mark.parametrize("said", corpus("gradient"))
def test_a_gradient_of_the_corpus_is_taken_or_is_the_learners_fault(said: bytes) -> None:
    converse(SEEDS[0], said)


@search
@given(frames(3))
def test_any_gradient_is_taken_or_is_the_learners_fault(said: bytes) -> None:
    converse(SEEDS[0], said)


@search
@given(frames(1).map(lambda said: said[HEADER.size :]) | st.binary(max_size=300))
def test_a_small_tree_takes_little_memory(tree: bytes) -> None:
    padded = bytearray(tree + bytes(-len(tree) % 16))
    tracemalloc.start()
    with contextlib.suppress(BadFrame):
        decode(Frame(Kind.RETURN, 1, len(padded), padded), lambda handle, description: description)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


@pytest.fixture(scope="module")
def large() -> str:
    """What became of the largest trees, each decoded in a process that cannot take more memory than is granted."""
    tasks = Path(__file__).with_name("decode_tasks.py")
    return subprocess.run([sys.executable, str(tasks)], text=True, capture_output=True, check=False).stdout


@pytest.mark.timeout(600)  # the first of them waits for all
@pytest.mark.parametrize("tree", LARGE)
def test_the_largest_tree_is_decoded_or_refused_in_bounded_memory_and_time(large: str, tree: str) -> None:
    assert f"held: {tree}\n" in large, large


@search
@given(
    st.binary(max_size=300), st.lists(st.sampled_from([b'File "m.py", line ', b"9", b"9" * 5000, b" in f\n", b"\xff"]))
)
def test_whatever_is_printed_or_stands_in_the_stacks_pipe_ends_in_a_verdict(printed: bytes, parts: list[bytes]) -> None:
    stacked(printed, b"".join(parts))


@pytest.mark.parametrize("trace", corpus("trace"))
def test_a_stack_of_the_corpus_ends_in_a_verdict(trace: bytes) -> None:
    stacked(b"", trace)


def stacked(printed: bytes, trace: bytes) -> None:
    with worker_of(printed, trace) as (worker, far):
        far.close()
        with pytest.raises(WorkerGone) as raised:
            worker.exchange([framed(())], Clock(SECONDS), "m.py")
        assert raised.value.verdict is Verdict.CRASH
        assert raised.value.line is None or 0 < raised.value.line < 1 << 31
        assert worker.output() == printed.decode("utf-8", "replace")


SOURCES = [
    b"import torch\n\ndef f(x):\n    return torch.optim.Adam(x)\n",
    b"\xef\xbb\xbfx = 1\r\n",
    "größe = 'ü'\n".encode("latin-1"),
]


@search
@given(st.sampled_from(SOURCES).flatmap(spoilt) | st.binary(max_size=200))
def test_any_source_is_bytes_to_be_run_elsewhere_or_a_problem(toy: Course, tmp_path: Path, source: bytes) -> None:
    submitted(toy.katas[0], toy, tmp_path, source)


@pytest.mark.parametrize("source", corpus("source"))
def test_a_source_of_the_corpus_is_bytes_or_a_problem(toy: Course, tmp_path: Path, source: bytes) -> None:
    submitted(toy.katas[0], toy, tmp_path, source)


def submitted(kata: Kata, course: Course, folder: Path, source: bytes) -> None:
    """All that happens to a learner's source on the trusted side; it is neither compiled nor parsed there."""
    (folder / kata.stub.name).write_bytes(source)
    found = read(kata, folder, course)
    assert (found.source is None) == (found.problem is not None)
    assert found.source in (None, source) and found.sha256 in ("", sha256(source).hexdigest())
    assert Plan.of("torch", [kata.suite], found.source or b"").workers == {"torch"}
    assert all(type(found.line(number)) is str for number in range(-1, 9))


KNOWN = KataResult(
    id="01_scale", title="Scale", verdict=Verdict.FAIL, points=1.0, max=2.0, by_kind={}, seconds=0.1, from_store=False,
    tests=(TestResult(name="test_a", kind="value", title="A.", verdict=Verdict.FAIL, max=2.0, message="no", output="hm"),),
)  # fmt: skip
STORED = msgspec.json.encode(KNOWN)


@search
@given(spoilt(STORED) | st.binary(max_size=100))
def test_a_stored_result_is_shown_or_judged_anew(tmp_path: Path, content: bytes) -> None:
    fetched(tmp_path, content)


@pytest.mark.parametrize("content", corpus("result"))
def test_a_stored_result_of_the_corpus_is_shown_or_judged_anew(tmp_path: Path, content: bytes) -> None:
    fetched(tmp_path, content)


def fetched(folder: Path, content: bytes) -> None:
    """Store bytes as a result, digest and all, as whoever can write the file can; then have it back, and show it."""
    store = Store(folder, lambda notice: None)
    row = ("key", KNOWN.id, 0.0, content, "", _digest("key", content))
    store._rows("INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, ?, ?)", *row)
    found = store.get("key", KNOWN.id)
    store.close()
    if found is not None:
        assert found.from_store and found.id == KNOWN.id
        card = Scorecard(
            course="c", grader="g", versions={}, seed=0, sandbox="none", jobs=1, started="", seconds=0.0,
            score=Score(found.points, found.max), complete=True, katas=(found,),
        )  # fmt: skip
        assert all(render(name, card) for name in REPORTS)
