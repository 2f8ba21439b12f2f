"""The run's hold on the ladder: started once, asked for judges, and taken down with everything that it made."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from grader import forkserver
from grader.errors import InternalFault
from grader.judge.workers import OVERDUE, Leash, ProcessLeash, SocketLeash
from grader.limits import START_SECONDS

_KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "SYSTEMROOT", "GRADKATA_TEST_WITHOUT")
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
_IMPORT = re.compile(rb"^[ \t]*(?:from|import)[ \t]+([A-Za-z_][\w.]*)", re.MULTILINE)
_TRAINS = re.compile(rb"\b(?:optim|Adam\w*|SGD|RMSprop|LBFGS|func|vmap|compile)\b")  # what pulls in torch._dynamo
_ORACLES = ("numpy", "torch", "scipy", "sklearn")


@dataclass(frozen=True)
class Plan:
    """How far a ladder has to reach."""

    workers: frozenset[str] = frozenset()
    preload: frozenset[str] = frozenset()  # what the suites import
    training: bool = False  # whether an optimiser runs

    @classmethod
    def of(cls, worker: str, suites: Iterable[Path], source: bytes) -> Plan:
        """The plan for one kata, read off what its suites import and whether anything trains."""
        texts = [suite.read_bytes() for suite in suites]
        names = {name.decode() for text in texts for name in _IMPORT.findall(text)}
        preload = frozenset(name for name in names if name.partition(".")[0] in _ORACLES)
        training = any(_TRAINS.search(text) for text in (*texts, *([source] if worker != "numpy" else [])))
        return cls(frozenset([worker]), preload, training)

    def __or__(self, other: Plan) -> Plan:
        """One plan that covers both."""
        return Plan(self.workers | other.workers, self.preload | other.preload, self.training or other.training)

    def covers(self, other: Plan) -> bool:
        """Whether a ladder for this plan serves another one too."""
        return self | other == self

    def document(self) -> dict[str, Any]:
        return {
            "workers": sorted(self.workers),
            "preload": sorted(self.preload),
            "training": self.training,
        }


class Judges(Protocol):
    """Where a run gets its judges."""

    sandbox: str
    complete: bool  # whether every layer that a class run requires is in force, found by trying
    refused: dict[str, bool]  # what a locked worker tried, and whether it was refused

    def wait(self) -> None: ...
    def judge(self, plan: Plan) -> tuple[socket.socket, Leash]:
        """A new judge: the line on which it waits for its job, and the hold on its process."""

    def close(self) -> None: ...


def can_fork() -> bool:
    """Whether the ladder works here; GRADKATA_START=fresh says no, for tests and for systems where fork misbehaves."""
    return sys.platform == "linux" and hasattr(os, "pidfd_open") and os.environ.get("GRADKATA_START") != "fresh"


def start(plan: Plan) -> Judges:
    """The ladder, or where fork is not to be had its slower equal."""
    return Ladder(plan) if can_fork() else NoLadder(plan)


def environment() -> dict[str, str]:
    """The environment of every process that judges: an allow-list, so that nothing of the caller's steers or leaks."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    # Threads that wait sleep: where a worker's two threads spin for one processor, they take five times as long.
    fixed = {"OMP_WAIT_POLICY": "passive", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    # No compiler can be started in a worker: what is decorated with `torch.compile` runs as it is written.
    return {**kept, **_ONE_THREAD, **fixed, "TORCHDYNAMO_DISABLE": "1"}


class Ladder:
    """A running ladder. It starts in the background; the first judge waits for it."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.sandbox = ""
        self.complete = False
        self.refused: dict[str, bool] = {}
        self.seconds = 0.0
        self._ready = False
        self._control, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # open as long as the ladder stands
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-m", "grader.judge.zygote", str(far.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            pass_fds=[far.fileno()],
            env=environment(),
            start_new_session=True,
        )
        far.close()
        self._control.send(json.dumps(plan.document()).encode())

    def wait(self) -> None:
        """Until the ladder stands. Raises InternalFault when it does not."""
        if self._ready:
            return
        self._control.settimeout(START_SECONDS)
        nothing = "it ended and said nothing"
        try:
            said = self._control.recv(1 << 16)
        except TimeoutError:
            said, nothing = b"", OVERDUE
        except OSError:
            said = b""
        if not said:
            self._errors.seek(0)
            last = self._errors.read()[-2000:].decode("utf-8", "replace").strip()
            raise InternalFault(f"the ladder did not start: {last or nothing}", "see `grade doctor`")
        report = json.loads(said)
        self._control.settimeout(None)
        self.seconds = report["seconds"]
        layers = list(report["sandbox"].values())
        self.sandbox = layers[0]["text"].removeprefix("sandbox: ") if layers else "no workers"
        self.complete = bool(layers) and all(layer["complete"] for layer in layers)
        self.refused = layers[0]["refused"] if layers else {}
        self._ready = True

    def judge(self, plan: Plan) -> tuple[socket.socket, Leash]:
        self.wait()
        line, far_line = socket.socketpair()
        leash, far_leash = socket.socketpair()
        try:
            forkserver.request(self._control, {}, [far_leash.fileno(), far_line.fileno()])
        except OSError as error:
            raise InternalFault(f"the ladder is gone: {error.strerror}", "run the command again") from None
        finally:
            far_line.close()
            far_leash.close()
        return line, SocketLeash(leash)

    def close(self) -> None:
        """Take everything down: judges, workers and zygotes; nothing is left when this returns."""
        self._control.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()


class NoLadder:
    """Judges started as processes of their own."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.sandbox = ""
        self.complete = False
        self.refused: dict[str, bool] = {}

    def wait(self) -> None:
        """Have a worker's process say which layers it would be in. Raises InternalFault when it does not."""
        if self.sandbox:
            return
        command = [
            sys.executable,
            "-I",
            "-m",
            "grader.worker.fresh",
            "describe",
            min(self.plan.workers, default="numpy"),
        ]
        said = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, env=environment())
        if said.returncode:
            last = said.stderr[-2000:].decode("utf-8", "replace").strip()
            raise InternalFault(f"a worker's process did not start: {last or 'it said nothing'}", "see `grade doctor`")
        layers = json.loads(said.stdout)
        self.sandbox = f"{layers['text'].removeprefix('sandbox: ')}; every process started afresh"
        self.complete, self.refused = layers["complete"], layers["refused"]

    def judge(self, plan: Plan) -> tuple[socket.socket, Leash]:
        self.wait()
        line, far = socket.socketpair()
        process = subprocess.Popen(
            [
                sys.executable,
                "-I",
                "-m",
                "grader.judge.zygote",
                "alone",
                str(far.fileno()),
                json.dumps(plan.document()),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[far.fileno()],
            env=environment(),
            start_new_session=True,
        )
        far.close()
        return line, ProcessLeash(process)

    def close(self) -> None:
        """Nothing outlives its judge here: workers see their channel close."""


@contextlib.contextmanager
def standing(plan: Plan) -> Iterator[Judges]:
    """A ladder for the length of a block."""
    judges = start(plan)
    try:
        yield judges
    finally:
        judges.close()
