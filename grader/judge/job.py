"""What a judge is given and what it says: the two ends of the line between a run and its judges."""

from __future__ import annotations

import hashlib
import socket
import struct
from collections.abc import Iterator

import msgspec

from grader.messages import Message
from grader.scorecard import TestResult

_LENGTH = struct.Struct("<I")


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One kata to be judged on one learner's file."""

    kata: str
    slug: str
    root: str  # of the course
    suites: tuple[str, ...]  # paths of pytest files
    reference: str  # path of the reference, which need not exist
    worker: str  # the name of a kind of worker
    source: bytes
    seconds: float
    memory_bytes: int
    forbidden_operators: tuple[str, ...]
    forbidden_imports: tuple[str, ...]
    forbidden_jobs: tuple[str, ...]
    seed: int | str  # of the course's run; hexadecimal digits where it is a secret
    threads: int = 1  # of the worker's tensor operations
    only: tuple[str, ...] = ()  # names of tests, in the order in which they are to run; none means all
    processor: int | None = None  # where judge and workers run; None lets the system choose
    entry_points: tuple[str, ...] = ()  # the steps of the kata, in their order
    choose: str = (
        ""  # an expression as in `grader.judge.choice`: tests that it leaves out are collected, and do not run
    )
    stop: bool = False  # at the first test that does not pass
    local: bool = False  # import the file in the judge itself, as plain pytest does: for an author's own files only

    @property
    def filename(self) -> str:
        """How the learner's file is called in messages."""
        return f"{self.slug}.py"


class Named(msgspec.Struct, frozen=True, array_like=True):
    """One test of a suite, before it has run."""

    name: str
    kind: str
    title: str
    hidden: bool = False


class Collected(msgspec.Struct, frozen=True, tag="collected"):
    """The tests that will run, in their order."""

    tests: tuple[Named, ...]


class Began(msgspec.Struct, frozen=True, tag="began"):
    """A test has begun."""

    name: str


class Judged(msgspec.Struct, frozen=True, tag="judged"):
    """A test has ended. `transcript` is a digest of all that the worker said in it."""

    result: TestResult
    transcript: str


class Held(msgspec.Struct, frozen=True, tag="held"):
    """The most memory that the worker of a test held, which is known once the worker is gone: after the verdict."""

    name: str
    peak_memory_mb: float


class Fault(msgspec.Struct, frozen=True, tag="fault"):
    """The suite or the grader is at fault, never the learner."""

    said: Message


class Noticed(msgspec.Struct, frozen=True, tag="noticed"):
    """Something about the learner's file that no verdict depends on."""

    said: Message


class Lost(msgspec.Struct, frozen=True, tag="lost"):
    """Something on the grader's side died under a test: nothing that this judge said counts, and it says no more."""

    said: Message


class Done(msgspec.Struct, frozen=True, tag="done"):
    """The judge came to its end; without this nothing that it said counts as complete."""

    tests: int


Event = Collected | Began | Judged | Held | Fault | Noticed | Lost | Done


def test_seed(seed: int | str, kata: str, test: str) -> int:
    """The seed of one test, from which its inputs are drawn. No worker is told it."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{kata}/{test}".encode()).digest()[:8], "big") >> 1


def global_seed(seed: int) -> int:
    """The seed of the global generators on both sides of the bridge: it does not betray that of the inputs."""
    return int.from_bytes(hashlib.sha256(f"global/{seed}".encode()).digest()[:8], "big") >> 1


def send(line: socket.socket, message: msgspec.Struct) -> None:
    """Write one message."""
    data = msgspec.msgpack.encode(message)
    line.sendall(_LENGTH.pack(len(data)) + data)


def receive_job(line: socket.socket) -> Job:
    """Read the one job that a judge gets."""
    (size,) = _LENGTH.unpack(_exactly(line, _LENGTH.size))
    return msgspec.msgpack.decode(_exactly(line, size), type=Job)


def _exactly(line: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = line.recv(size - len(data))
        if not piece:
            raise EOFError("the line closed")
        data += piece
    return data


class Events:
    """Splits what a judge writes into events, as it arrives."""

    def __init__(self) -> None:
        self._buffer = b""
        self._decoder = msgspec.msgpack.Decoder(Event)

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events that are complete with `data`."""
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(self._buffer)
            end = _LENGTH.size + size
            if len(self._buffer) < end:
                return
            event = self._decoder.decode(self._buffer[_LENGTH.size : end])
            self._buffer = self._buffer[end:]
            yield event
