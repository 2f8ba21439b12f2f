"""The long search, `make search`: millions of inputs for each decoder of a learner's bytes, led by what they cover.

    python tests/bench/search.py DECODER INPUTS    one decoder; without words all of them, with their usual numbers

What `tests/test_fuzz.py` tries in hundreds at each run of the tests is tried here in millions, by atheris, which keeps
the inputs that reach new code and spoils those further. An ending that is not stated, an input that takes longer than
SECONDS and more memory than MEGABYTES stop the search; the input then lies beside, and belongs into `tests/fuzz/DECODER/`.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["grader.wire", "grader.judge", "grader.modulestate", "grader.scorecard"]):
    import msgspec
    import numpy as np
    import torch

    from grader.forkserver import read_exit
    from grader.judge.bridge import Bridge
    from grader.judge.clock import Clock, Spent
    from grader.judge.gone import LearnerError, WorkerGone
    from grader.scorecard import KataResult
    from grader.store import storable
    from grader.wire import HEADER, BadFrame, Encoder, Frame, decode, read_header
    from grader.wire.message import Kind
    from grader.worker.objects import Objects

INPUTS = {"tree": 8_000_000, "result": 1_000_000, "exit": 500_000, "answer": 500_000}
SECONDS = 10
MEGABYTES = 2048  # torch alone takes a quarter; a frame may ask for what its limits allow
CORPUS = Path(__file__).resolve().parents[1] / "fuzz"


class Deaf:
    """A worker whose next answers are given."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = list(answers)

    def spent(self) -> Spent:
        return lambda: None

    def exchange(self, buffers: list[Any], clock: Clock, filename: str) -> Frame:
        if not self._answers:
            raise WorkerGone("crash", "it has nothing more to say")  # type: ignore[arg-type]
        said = self._answers.pop(0)
        header = read_header(said)
        body = bytearray(said[HEADER.size :])
        if len(body) != header.tree_bytes + header.raw_bytes:
            raise BadFrame("a frame of another length than it declares")
        return Frame(header.kind, header.call, header.tree_bytes, body)

    def end(self) -> None: ...


class Model(torch.nn.Module):
    """What the worker has given to the judge before it turns hostile."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)
        self.register_buffer("seen", torch.zeros(1))


def framed(value: Any, call: int, export: Any = None) -> bytes:
    encoder = Encoder(export)
    encoder.value(value)
    return b"".join(bytes(part) for part in encoder.frame(Kind.RETURN, call))


HELLO = framed((Model(), [], [], 0, [], []), 1, Objects(None).export)
VALUES = [1, 2.5, "text", None, {"x": np.arange(6.0).reshape(2, 3)}, 1 + 2j, slice(1, None), np.float32(3), 1 << 90]
OTHERS = [
    torch.zeros(3, dtype=torch.bfloat16),
    torch.Size([2]),
    torch.float32,
    torch.Generator(),
    np.random.default_rng(0),
]
CHANGES = [(1, ([([0, 1], torch.ones(3))], [torch.zeros(2), None], [True, False], [False, True]))]
SEEDS = [framed((value, [], [], 0, [], []), 2) for value in (VALUES, OTHERS)] + [
    framed((torch.ones(2, 1, requires_grad=True), CHANGES, ["x of f"], 1, [], ["aten::lstm"]), 2),
    framed((Model(), [], [], 0, [], []), 2, Objects(None).export),
]


def tree(data: bytes) -> None:
    """Any bytes as the values of a frame: the last of them, a sixteenth, as the bytes of its arrays."""
    body = bytearray(data)
    with contextlib.suppress(BadFrame):
        decode(Frame(Kind.RETURN, 1, len(body) // 16 * 15 // 16 * 16, body), lambda handle, description: description)


def answer(data: bytes) -> None:
    """Any bytes as the answer to a call of a module that the judge knows, and to the backward that may follow."""
    x = torch.ones(2, 2, requires_grad=True)
    bridge = Bridge(Deaf(HELLO, data, SEEDS[2]), "m.py", SECONDS)  # type: ignore[arg-type]
    bridge.start_clock()
    bridge.call(0, "Model", (), {})
    with contextlib.suppress(LearnerError, WorkerGone, BadFrame):
        value = bridge.call(1, "", (x,), {})
        if type(value) is torch.Tensor and value.grad_fn is not None:
            value.sum().real.backward()


def result(data: bytes) -> None:
    """Any bytes as a stored result."""
    with contextlib.suppress(msgspec.MsgspecError, ValueError, TypeError, RecursionError):  # what the store expects
        storable(msgspec.json.decode(data, type=KataResult))


def exit(data: bytes) -> None:
    """Any bytes on the leash, for which only a fork server writes."""
    read_exit(data)


DECODERS: dict[str, Callable[[bytes], None]] = {"tree": tree, "answer": answer, "result": result, "exit": exit}


def seeds(decoder: str) -> list[bytes]:
    """Where the search begins: honest bytes, and those that once did harm."""
    kept = [file.read_bytes() for file in sorted((CORPUS / decoder).glob("*"))]
    answers = [*SEEDS, *(file.read_bytes() for file in sorted((CORPUS / "answer").glob("*")))]
    match decoder:
        case "tree":
            return [said[HEADER.size :] for said in answers]
        case "answer":
            return answers
        case _:
            return kept or [b"e" + bytes(32)]


def search(decoder: str, inputs: int) -> None:
    """Search in this process, which ends with it."""
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(seeds(decoder)):
            Path(folder, str(number)).write_bytes(seed)
        limits = [f"-runs={inputs}", f"-timeout={SECONDS}", f"-rss_limit_mb={MEGABYTES}", "-max_len=4096"]
        atheris.Setup([sys.argv[0], folder, *limits, "-verbosity=0", "-print_final_stats=1"], DECODERS[decoder])
        atheris.Fuzz()


def main() -> int:
    if len(sys.argv) > 2:
        search(sys.argv[1], int(sys.argv[2]))
        return 0
    failed = 0
    for decoder, inputs in INPUTS.items():
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, __file__, decoder, str(inputs)], capture_output=True, text=True, check=False
        )
        took = time.perf_counter() - began
        failed += done.returncode != 0
        print(
            f"{decoder:8} {inputs:>10,} inputs  {took:7.0f} s  {'held' if done.returncode == 0 else 'BROKEN'}",
            flush=True,
        )
        if done.returncode:
            print(done.stderr[-4000:])
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
