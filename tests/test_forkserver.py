"""The fork server: real forks, each held on its leash.

Nothing here sleeps: every wait is for a pipe or a leash to speak or to close.
"""

from __future__ import annotations

import ast
import errno
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from grader.forkserver import ENDED, REFUSED, STACK, STARTED, Exit, read_exit

SERVER = """
import ctypes, os, signal, socket, sys
from grader import forkserver

control = socket.socket(fileno=int(sys.argv[1]))

def descriptors():
    return sorted(int(name) for name in os.listdir("/proc/self/fd"))

def child(document, given):
    reply = given[0]
    if document.get("alone"):
        forkserver.close_all_but(given)
    if "stack" in document:
        signal.signal(signal.SIGUSR1, lambda *_: os.write(reply, b"stack"))
    answers = {
        "document": lambda: document,
        "descriptors": lambda: (given, descriptors()),
        "dumpable": lambda: ctypes.CDLL(None).prctl(3, 0, 0, 0, 0),
        "leader": lambda: os.getppid(),
    }
    if "say" in document:
        os.write(reply, repr(answers[document["say"]]()).encode())
    if "wait" in document:
        os.write(reply, b"waiting")
        while True:
            signal.pause()
    if "raise" in document:
        raise ValueError(document["raise"])
    if "print" in document:
        print(document["print"], end="")
    if "signal" in document:
        os.kill(os.getpid(), document["signal"])
    if "exit" in document:
        os._exit(document["exit"])

def no_room():
    raise BlockingIOError(11, "Resource temporarily unavailable")

if sys.argv[2] == "crowded":
    fork, os.fork = os.fork, no_room
if sys.argv[2] == "chatty":
    control.send(b"said, and never read")
forkserver.serve(control, child, at_end=lambda: os.write(1, b"at end"))
"""

SECONDS = 60.0  # no wait takes long; this one is for a machine under load


@dataclass
class Child:
    """A child that was asked for: its leash, and the end of a pipe whose other end only it holds."""

    leash: socket.socket
    pipe: int

    def said(self) -> str:
        """What the child writes next."""
        return os.read(self.pipe, 1 << 16).decode()

    def rest(self) -> str:
        """Everything that it writes until its end."""
        with open(self.pipe, "rb", closefd=False) as pipe:
            return pipe.read().decode()

    def started(self) -> int:
        """The pid that the server tells first."""
        tag, pid = STARTED.unpack(self.leash.recv(STARTED.size))
        assert tag == b"p"
        return int(pid)

    def exit(self) -> Exit:
        """How it ended; the leash closes behind that."""
        said = b""
        while piece := self.leash.recv(256):
            said += piece
        ended = read_exit(said)
        assert ended is not None
        return ended


class Server:
    """A fork server in a process of its own."""

    def __init__(self, manner: str) -> None:
        self.control, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(far.fileno()), manner],
            pass_fds=[far.fileno()],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        far.close()
        self.children: list[Child] = []

    def ask(self, **document: object) -> Child:
        return self.send(json.dumps(document).encode())

    def send(self, data: bytes) -> Child:
        leash, far_leash = socket.socketpair()
        leash.settimeout(SECONDS)
        pipe, far_pipe = os.pipe()
        socket.send_fds(self.control, [data], [far_leash.fileno(), far_pipe])
        far_leash.close()
        os.close(far_pipe)
        self.children.append(Child(leash, pipe))
        return self.children[-1]

    def end(self) -> tuple[str, str]:
        """Close the control socket; returns what the server printed."""
        self.control.close()
        output, errors = self.process.communicate(timeout=SECONDS)
        return output.decode(), errors.decode()

    def close(self) -> None:
        self.process.kill()
        self.end()
        for child in self.children:
            child.leash.close()
            os.close(child.pipe)


@pytest.fixture
def manner() -> str:
    return "quiet"


@pytest.fixture
def server(manner: str) -> Iterator[Server]:
    made = Server(manner)
    yield made
    made.close()


# What a child is given, and how its end is told


def test_a_child_gets_its_document_and_its_descriptors(server: Server) -> None:
    child = server.ask(say="document", more=["x", 1])
    assert child.rest() == "{'say': 'document', 'more': ['x', 1]}"
    assert child.started() > 0
    ended = child.exit()
    assert (ended.signal, ended.code) == (0, 0)
    assert ended.max_rss_bytes > 1 << 20
    assert ended.user_seconds >= 0 <= ended.system_seconds


def test_the_pid_that_is_told_is_the_child_of_the_server(server: Server) -> None:
    child = server.ask(say="leader", wait=True)
    assert child.said().removesuffix("waiting") == str(server.process.pid)
    assert os.getpgid(child.started()) == os.getpgid(server.process.pid)


@pytest.mark.parametrize("code", [0, 1, 3, 255])
def test_an_exit_code_is_told(server: Server, code: int) -> None:
    ended = server.ask(exit=code).exit()
    assert (ended.signal, ended.code) == (0, code)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGTERM, signal.SIGKILL, signal.SIGXCPU])
def test_a_signal_is_told(server: Server, number: int) -> None:
    ended = server.ask(signal=int(number)).exit()
    assert (ended.signal, ended.code) == (number, -1)


def test_an_exception_is_a_code_of_its_own_and_its_traceback_is_printed(server: Server) -> None:
    ended = server.ask(**{"raise": "of the child"}).exit()
    assert (ended.signal, ended.code) == (0, 70)
    output, errors = server.end()
    assert errors.rstrip().endswith("ValueError: of the child")
    assert output == "at end"


def test_what_a_child_prints_is_flushed_once(server: Server) -> None:
    assert server.ask(print="no newline. ").exit().code == 0
    assert server.ask().exit().code == 0
    assert server.end()[0] == "no newline. at end"


def test_a_request_that_cannot_be_read_costs_only_its_child(server: Server) -> None:
    ended = server.send(b"{").exit()
    assert (ended.signal, ended.code != 0) == (0, True)
    assert server.ask(exit=0).exit().code == 0


@pytest.mark.parametrize("data", [b"", b"p\0\0\0\0", b"x" * ENDED.size, b"e" * (ENDED.size - 1)])
def test_a_leash_that_closed_without_a_record_tells_nothing(data: bytes) -> None:
    assert read_exit(data) is None


# The leash


def test_a_leash_that_is_shut_kills_and_tells(server: Server) -> None:
    child = server.ask(wait=True)
    assert child.said() == "waiting"
    child.leash.shutdown(socket.SHUT_WR)
    assert child.exit().signal == signal.SIGKILL
    assert child.rest() == ""


def test_a_leash_that_is_closed_unread_kills_its_child_and_nobody_else(server: Server) -> None:
    """Closing a socket with unread bytes resets the other end, which must not upset the server."""
    child, other = server.ask(wait=True), server.ask(wait=True)
    assert child.said() == other.said() == "waiting"
    child.leash.close()
    assert child.rest() == ""
    assert server.ask(exit=5).exit().code == 5
    other.leash.shutdown(socket.SHUT_WR)
    assert other.exit().signal == signal.SIGKILL


def test_a_child_that_ends_while_its_leash_closes_is_reaped(server: Server) -> None:
    for _ in range(20):
        child = server.ask(exit=0)
        child.leash.close()
        assert child.rest() == ""
    assert server.ask(exit=0).exit().code == 0


def test_a_child_is_asked_for_its_stack_as_often_as_wanted(server: Server) -> None:
    child = server.ask(stack=True, wait=True)
    assert child.said() == "waiting"
    for _ in range(3):
        child.leash.send(STACK)
        assert child.said() == "stack"
    child.leash.shutdown(socket.SHUT_WR)
    assert child.exit().signal == signal.SIGKILL


def test_asking_an_ended_child_for_its_stack_is_no_harm(server: Server) -> None:
    child = server.ask(exit=0)
    assert child.rest() == ""
    with pytest.raises(BrokenPipeError):  # once its end was told, the leash is gone
        while True:
            child.leash.send(STACK)
    assert server.ask(exit=0).exit().code == 0


def test_many_children_are_held_at_once(server: Server) -> None:
    children = [server.ask(wait=True, alone=True) for _ in range(30)]
    assert {child.said() for child in children} == {"waiting"}
    pids = [child.started() for child in children]
    assert len(set(pids)) == 30
    for child in children[::2]:
        child.leash.shutdown(socket.SHUT_WR)
    assert {child.exit().signal for child in children[::2]} == {signal.SIGKILL}
    for pid in pids[1::2]:
        os.kill(pid, signal.SIGTERM)
    assert {child.exit().signal for child in children[1::2]} == {signal.SIGTERM}


# Ends

ASKER = """
import json, os, socket, sys
from grader import forkserver

control, pipe = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])
leash, far_leash = socket.socketpair()
forkserver.request(control, {"wait": True}, [far_leash.fileno(), pipe])
os.close(pipe)
sys.stdin.read()
os._exit(0)
"""


def test_a_child_dies_with_its_asker(server: Server) -> None:
    pipe, far_pipe = os.pipe()
    asker = subprocess.Popen(
        [sys.executable, "-c", ASKER, str(server.control.fileno()), str(far_pipe)],
        pass_fds=[server.control.fileno(), far_pipe],
        stdin=subprocess.PIPE,
    )
    os.close(far_pipe)
    with open(pipe, "rb", buffering=0) as said:
        assert said.read(7) == b"waiting"
        asker.communicate(b"", timeout=SECONDS)  # it ends, and never read what its leash was told
        assert said.read() == b""
    assert server.ask(exit=4).exit().code == 4


def test_the_server_that_is_told_to_end_takes_its_children_along(server: Server) -> None:
    children = [server.ask(wait=True) for _ in range(5)]
    assert {child.said() for child in children} == {"waiting"}
    assert server.end() == ("at end", "")
    assert server.process.returncode == 0
    assert {child.rest() for child in children} == {""}
    for child in children:
        with pytest.raises(ProcessLookupError):
            os.kill(child.started(), 0)


@pytest.mark.parametrize("manner", ["chatty"])
def test_the_server_ends_in_order_when_its_asker_died_without_reading(server: Server) -> None:
    child = server.ask(wait=True)
    assert child.said() == "waiting"
    assert server.end() == ("at end", "")
    assert server.process.returncode == 0
    assert child.rest() == ""


def test_children_die_with_a_server_that_is_killed(server: Server) -> None:
    child = server.ask(wait=True)
    assert child.said() == "waiting"
    server.process.kill()
    assert child.rest() == ""


@pytest.mark.parametrize("manner", ["crowded"])
def test_a_child_for_which_there_is_no_room_is_told_why_and_costs_only_itself(server: Server) -> None:
    for _ in range(3):
        child = server.ask(say="document")
        assert child.leash.recv(256) == STARTED.pack(REFUSED, errno.EAGAIN)
        assert child.leash.recv(256) == b"" and child.rest() == ""
    assert server.end() == ("at end", "")


HOLDER = """
import socket, sys
from grader import forkserver

forkserver.die_with(life := socket.socket(fileno=int(sys.argv[1])))
print("held", flush=True)
while True:
    pass
"""


def test_a_process_that_dies_with_its_peer_does_so_whatever_it_does() -> None:
    life, far = socket.socketpair()
    with far, subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(far.fileno())], pass_fds=[far.fileno()], stdout=subprocess.PIPE
    ) as process:  # fmt: skip
        assert process.stdout is not None and process.stdout.readline() == b"held\n"
        life.close()
        assert process.wait(SECONDS) == -signal.SIGIO


# Descriptors


def test_two_hundred_forks_leak_no_descriptor(server: Server) -> None:
    before = server.ask(say="descriptors")
    first = before.rest()
    assert before.exit().code == 0
    for _ in range(200):
        assert server.ask(exit=0).exit().code == 0
    after = server.ask(say="descriptors")
    assert after.rest() == first


def test_a_child_that_closes_all_but_its_own_sees_no_other(server: Server) -> None:
    assert server.ask(wait=True).said() == "waiting"  # its leash and its pidfd are what must not be seen
    child = server.ask(say="descriptors", alone=True)
    ([given], seen) = ast.literal_eval(child.rest())
    assert len(set(seen) - {0, 1, 2, given}) == 1  # the one by which it looks


def test_a_child_cannot_be_read_by_others_of_its_user(server: Server) -> None:
    assert server.ask(say="dumpable").rest() == "0"
