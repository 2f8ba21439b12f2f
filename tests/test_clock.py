"""The clock of one worker: which limit is reached first, that nobody looks before one can be, and real ones that never answer."""

from __future__ import annotations

import math
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from grader.forkserver import ENDED, STARTED
from grader.judge import clock
from grader.judge.bridge import Bridge
from grader.judge.clock import NEVER, Clock, Closing, Overdue, processor_clock
from grader.judge.gone import WorkerGone
from grader.judge.leash import SocketLeash
from grader.judge.workers import FreshWorkshop
from grader.limits import CLOSING_SHARE, WALL_FACTOR
from grader.scorecard import Verdict

LIMIT = 10.0


@dataclass
class Machine:
    """A machine whose clocks stand until they are moved."""

    wall: float = 100.0
    processor: float | None = 3.0  # used before the test began
    looks: int = 0

    def monotonic(self) -> float:
        return self.wall

    def spent(self) -> float | None:
        self.looks += 1
        return self.processor

    def run(self, seconds: float, share: float) -> None:
        """Let time pass; the worker gets this share of a processor."""
        self.wall += seconds
        self.processor = None if self.processor is None else self.processor + share * seconds


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """A machine with two processors."""
    made = Machine()
    with monkeypatch.context() as patch:
        patch.setattr(clock.time, "monotonic", made.monotonic)
        patch.setattr(clock.os, "sched_getaffinity", lambda pid: {0, 1}, raising=False)
        yield made


def wait(machine: Machine, share: float, closing: Closing = NEVER) -> Overdue:
    """Wait for a worker that never answers, as the judge does; how it ends."""
    found = Clock.of_test(LIMIT, machine.spent, closing)
    with pytest.raises(Overdue) as raised:
        while True:
            found.look()
            machine.run(found.due - machine.wall, share)
    return raised.value


@pytest.mark.parametrize(("share", "passed"), [(1.0, 10.0), (2.0, 5.0), (0.5, 20.0), (0.35, 10 / 0.35)])
def test_what_counts_is_processor_time_however_much_of_it_the_worker_gets(
    machine: Machine, share: float, passed: float
) -> None:
    began = machine.wall
    overdue = wait(machine, share)
    assert (overdue.verdict, str(overdue.after)) == (Verdict.TIMEOUT, "after 10 s of processor time")
    assert passed <= machine.wall - began <= passed + 0.02


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_the_wall_is_a_backstop_at_three_times_the_limit(machine: Machine, share: float) -> None:
    began = machine.wall
    overdue = wait(machine, share)
    assert (overdue.verdict, str(overdue.after)) == (Verdict.TIMEOUT, "after 30 s on the wall clock")
    assert machine.wall - began == pytest.approx(WALL_FACTOR * LIMIT)


def test_where_nobody_tells_processor_time_the_wall_alone_counts(machine: Machine) -> None:
    machine.processor = None
    assert str(wait(machine, 1.0).after) == "after 30 s on the wall clock"


def test_after_a_timeout_all_others_share_half_of_a_limit_on_the_wall(machine: Machine) -> None:
    closing, began = Closing.after_timeout(LIMIT), machine.wall
    overdue = wait(machine, 1.0, closing)
    assert (overdue.verdict, overdue.after) == (Verdict.NOT_RUN, closing.why)
    assert machine.wall - began == pytest.approx(CLOSING_SHARE * LIMIT)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0, 2.0])
def test_nobody_looks_more_often_than_a_limit_comes_nearer(machine: Machine, share: float) -> None:
    wait(machine, share)
    assert machine.looks < 40


def test_a_clock_that_is_never_looked_at_costs_one_look(machine: Machine) -> None:
    found = Clock.of_test(LIMIT, machine.spent, NEVER)
    found.look()
    assert machine.looks == 2 and found.due == machine.wall + LIMIT / 2


def test_the_processor_time_of_another_process_is_told_until_it_is_gone() -> None:
    code = "import time\nwhile time.process_time() < 0.2: pass\nprint(flush=True); input(); print(time.process_time())"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        spent = processor_clock(process.pid)
        assert process.stdout and process.stdin
        process.stdout.readline()
        seen = spent()
        process.stdin.write(b"\n")
        process.stdin.flush()
        own = float(process.stdout.readline())
    assert seen is not None and 0.2 <= seen <= own
    assert spent() is None


def test_a_process_that_is_not_known_has_no_clock() -> None:
    assert processor_clock(None)() is None
    assert processor_clock((1 << 22) + 1)() is None
    assert processor_clock(os.getpid())() == pytest.approx(time.process_time(), abs=0.5)


def test_a_leash_tells_whom_it_holds_and_how_that_ended() -> None:
    near, far = socket.socketpair()
    leash = SocketLeash(near)
    far.send(STARTED.pack(b"p", 4711))
    assert (leash.pid(), leash.exit(0.0), leash.pid()) == (4711, None, 4711)
    far.send(ENDED.pack(b"e", 9, 1024, 0.0, 0.0))
    far.close()
    ended = leash.exit(1.0)
    assert ended is not None and (ended.signal, leash.pid()) == (9, 4711)


def test_a_leash_that_nobody_holds_tells_of_nobody() -> None:
    near, far = socket.socketpair()
    far.close()
    assert SocketLeash(near).pid() is None


ENDLESS = {
    "in Python": "while True: pass",
    "in a call of C": "max(iter(int, 1))",
    "in a thread, while the call sleeps": (
        "import threading, time; threading.Thread(target=max, args=(iter(int, 1),)).start(); time.sleep(99)"
    ),
    "in two threads that do not hold the interpreter": (
        "import hashlib, threading; spin = lambda: hashlib.pbkdf2_hmac('md5', b'', b'', 1 << 30); "
        "threading.Thread(target=spin).start(); spin()"
    ),
    "swallowing all that is raised": (
        "\n    while True:\n        try:\n            while True: pass\n        except BaseException: pass"
    ),
}
WAITING = {
    "asleep": "import time; time.sleep(99)",
    "for a lock": "import threading; lock = threading.Lock(); lock.acquire(); lock.acquire()",
    "stopped": "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)",
}
SPEC = {
    "filename": "m.py",
    "module": "m",
    "seed": 0,
    "threads": 1,
    "forbidden_imports": [],
    "forbidden_operators": [],
    "forbidden_jobs": [],
}


def ended(body: str, wall: float, processor: float) -> WorkerGone:
    """How a call of this body ends, in a worker of its own with these limits."""
    worker = FreshWorkshop("numpy", training=False).start(1 << 30, 60)
    bridge = Bridge(worker, "m.py", 60)
    try:
        bridge.load({**SPEC, "source": f"def f():\n    {body}\n".encode()})
        bridge.clock = Clock(wall, processor, worker.spent())
        with pytest.raises(WorkerGone) as raised:
            bridge.call(0, "f", (), {})
        return raised.value
    finally:
        worker.end()
        worker.peak()


@pytest.mark.parametrize("how", ENDLESS)
def test_what_never_ends_is_ended_by_its_processor_time(how: str) -> None:
    gone = ended(ENDLESS[how], wall=math.inf, processor=0.3)
    assert gone.verdict is Verdict.TIMEOUT
    assert re.fullmatch(r"still in m\.py:\d+ \([\w<>]+\) after 0\.3 s of processor time", gone.message), gone.message


@pytest.mark.parametrize("how", WAITING)
def test_what_only_waits_is_ended_by_the_wall(how: str) -> None:
    gone = ended(WAITING[how], wall=0.5, processor=10.0)
    assert gone.verdict is Verdict.TIMEOUT
    where = "running" if how == "stopped" else "in m.py:2 (f)"
    assert gone.message == f"still {where} after 0.5 s on the wall clock"
