"""The command's hold on a ladder: started in the background, asked for judges, and taken down with all that it made."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Protocol

from grader import forkserver, machine
from grader.engine.plan import Plan
from grader.engine.sandbox import Sandbox, can_fork, weakest
from grader.errors import InternalFault
from grader.judge.leash import Leash, ProcessLeash, SocketLeash
from grader.judge.workers import OVERDUE
from grader.limits import ORDERLY_SECONDS, START_SECONDS
from grader.messages import Value, text
from grader.workerkinds import KINDS

_KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "SYSTEMROOT", "GRADKATA_TEST_WITHOUT")
NOTHING: Mapping[str, str] = MappingProxyType({})
# A learner's plots are drawn nowhere. matplotlib wants a folder that looks as if it could be written to, and reads what it
# needs where it cannot.
_NO_SCREEN = {"MPLBACKEND": "Agg", "MPLCONFIGDIR": "/tmp"}
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


class Judges(Protocol):
    """Where an engine gets its judges."""

    plan: Plan
    sandbox: Sandbox
    standing: bool
    overdue: float  # when it should stand, on the monotonic clock
    borrowed: bool  # it is another command's, whose end is no fault of ours

    def fileno(self) -> int:
        """Readable once there is something for `hear`."""

    def hear(self) -> None:
        """Take in that it stands. Raises InternalFault where it never will."""

    def judge(self, plan: Plan) -> tuple[socket.socket, Leash]:
        """A new judge: the line on which it waits for its job, and the hold on its process.

        Raises InternalFault where the ladder is gone.
        """

    def close(self) -> None:
        """Take everything down: nothing is left when this returns."""


def start(plan: Plan, more: Mapping[str, str] = NOTHING) -> Judges:
    """The ladder, or where fork is not to be had its slower equal. Raises InternalFault where the system lets none start.

    more: what its environment has beside `environment()`, or instead
    """
    try:
        return Ladder(plan, more) if can_fork() else NoLadder(plan, more)
    except OSError as error:
        raise InternalFault(
            text("the ladder did not start: {why}", why=machine.words(error)), text("see `grade doctor`")
        ) from None


def wait(judges: Judges) -> None:
    """Until it stands. Raises InternalFault where it does not in time."""
    while not judges.standing:
        if not select.select([judges], [], [], max(0.0, judges.overdue - time.monotonic()))[0]:
            raise InternalFault(text("the ladder did not start: {why}", why=OVERDUE), text("see `grade doctor`"))
        judges.hear()


@contextlib.contextmanager
def standing(plan: Plan) -> Iterator[Judges]:
    """A ladder for the length of a block."""
    judges = start(plan)
    try:
        wait(judges)
        yield judges
    finally:
        judges.close()


def environment() -> dict[str, str]:
    """The environment of every process that judges: an allow-list, so that nothing of the caller's steers or leaks."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    # Threads that wait sleep: where a worker's two threads spin for one processor, they take five times as long.
    fixed = {"OMP_WAIT_POLICY": "passive", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    # No compiler can be started in a worker: what is decorated with `torch.compile` runs as it is written.
    return {**kept, **_ONE_THREAD, **_NO_SCREEN, **fixed, "TORCHDYNAMO_DISABLE": "1"}


def _last_line(said: bytes) -> Value:
    """What a process said at its end: of a traceback the line that says what was wrong."""
    lines = said[-2000:].decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else text("it ended and said nothing")


class Ladder:
    """A chain of warm processes (`grader.judge.ladder`).

    Three lines lead to it. On `control` it says that it stands, and is asked for judges; where that closes it takes
    itself down in order. `life` is silent: where it closes, because this process ended in whatever way, the kernel ends
    the ladder, even in the middle of an import. And `left` is its standard output, which closes when nothing is left.
    Several threads may wait for it, and ask for judges.
    """

    borrowed = False

    def __init__(self, plan: Plan, more: Mapping[str, str] = NOTHING) -> None:
        self.plan = plan
        self.sandbox = Sandbox()
        self.standing = False
        self.overdue = time.monotonic() + START_SECONDS
        self.seconds = 0.0
        self._hearing = threading.Lock()
        self._control, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._life, far_life = socket.socketpair()
        self._errors = open(os.memfd_create("errors"), "w+b")  # noqa: SIM115  # open as long as the ladder stands
        with far, far_life:
            self._process = subprocess.Popen(
                [*machine.PYTHON, "grader.judge.ladder", str(far.fileno()), str(far_life.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                pass_fds=[far.fileno(), far_life.fileno()],
                env={**environment(), **more},
                start_new_session=True,
            )
        with suppress(OSError):  # it was killed at once: `hear` says so
            self._control.send(json.dumps(plan.document()).encode())

    def fileno(self) -> int:
        return self._control.fileno()

    def hear(self) -> None:
        with self._hearing:
            if not self.standing:
                self._hear()

    def _hear(self) -> None:
        try:
            said = self._control.recv(1 << 16)
        except OSError:
            said = b""
        if not said:
            self._errors.seek(0)
            why = _last_line(self._errors.read())
            raise InternalFault(text("the ladder did not start: {why}", why=why), text("see `grade doctor`"))
        report = json.loads(said)
        self.seconds = report["seconds"]
        self.sandbox = Sandbox(weakest(report["sandbox"].values()))
        self.standing = True

    def judge(self, plan: Plan) -> tuple[socket.socket, Leash]:
        line, leash = self.ends()
        return line, SocketLeash(leash)

    def ends(self) -> tuple[socket.socket, socket.socket]:
        """A new judge: the line to it and the end of its leash. Raises InternalFault where the ladder is gone."""
        line, far_line = socket.socketpair()
        leash, far_leash = socket.socketpair()
        try:
            forkserver.request(self._control, {}, [far_leash.fileno(), far_line.fileno()])
        except OSError as error:
            line.close()
            leash.close()
            raise InternalFault(
                text("the ladder is gone: {why}", why=error.strerror), text("run the command again")
            ) from None
        finally:
            far_line.close()
            far_leash.close()
        return line, leash

    def close(self) -> None:
        self._control.close()
        left = self._process.stdout
        assert left is not None
        if not self.standing or not select.select([left], [], [], ORDERLY_SECONDS)[0]:
            self._life.close()  # in the middle of an import, or stopped by somebody: no use in waiting
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, 9)  # it leads a session of its own
            select.select([left], [], [], ORDERLY_SECONDS)
        self._process.wait()
        self._life.close()
        left.close()
        self._errors.close()


class NoLadder:
    """Judges started as processes of their own. One worker is started at first, to say which layers it would be in."""

    borrowed = False

    def __init__(self, plan: Plan, more: Mapping[str, str] = NOTHING) -> None:
        self.plan = plan
        self.sandbox = Sandbox()
        self.standing = False
        self.overdue = time.monotonic() + START_SECONDS
        self._environment = {**environment(), **more}
        kind = min(plan.workers, default=next(iter(KINDS)))
        self._describing = subprocess.Popen(
            [*machine.PYTHON, "grader.worker.fresh", "describe", kind],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self._environment,
        )

    def fileno(self) -> int:
        assert self._describing.stdout is not None
        return self._describing.stdout.fileno()

    def hear(self) -> None:
        said, errors = self._describing.communicate()
        if self._describing.returncode:
            raise InternalFault(
                text("a worker's process did not start: {why}", why=_last_line(errors)), text("see `grade doctor`")
            )
        self.sandbox = Sandbox(json.loads(said), "; every process started afresh")
        self.standing = True

    def judge(self, plan: Plan) -> tuple[socket.socket, Leash]:
        line, far = socket.socketpair()
        life, far_life = socket.socketpair()
        document = json.dumps(plan.document())
        numbers = [str(far.fileno()), str(far_life.fileno())]
        try:
            with far, far_life:
                process = subprocess.Popen(
                    [*machine.PYTHON, "grader.judge.ladder", "alone", *numbers, document],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=[far.fileno(), far_life.fileno()],
                    env=self._environment,
                    start_new_session=True,
                )
        except OSError as error:
            line.close()
            life.close()
            raise InternalFault(
                text("a judge did not start: {why}", why=machine.words(error)), text("see `grade doctor`")
            ) from None
        return line, ProcessLeash(process, life)

    def close(self) -> None:
        """Nothing outlives its judge here: workers see their channel close."""
        if not self.standing:
            self._describing.kill()
            self._describing.communicate()
