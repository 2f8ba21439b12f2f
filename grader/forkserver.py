"""A fork server: one warm process that forks a child for each request, and holds each child on a leash.

A request is one datagram on a control socket: a JSON document and file descriptors, the first of which is the child's
*leash*, one end of a socket pair whose other end the asker holds. On the leash the server writes the child's pid, or why
there is none, and at its end how it ended; the asker writes `STACK` to have the child dump its stack, and closes the leash to have it
killed. An asker that dies closes its leash too, so that no child outlives whoever asked for it. The child never sees
the leash.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import select
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from grader import machine
from grader.limits import WATCH_SECONDS

STACK = b"s"
PID, REFUSED = b"p", b"x"
STARTED = struct.Struct("<ci")  # PID and the child's, or REFUSED and the number of the error
ENDED = struct.Struct("<ciqdd")
_MAX_REQUEST = 1 << 16
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4


@dataclass(frozen=True)
class Exit:
    """How a child ended, as the kernel told its parent."""

    signal: int
    code: int
    max_rss_bytes: int
    user_seconds: float
    system_seconds: float


Child = Callable[[dict[str, Any], list[int]], None]


def harden(*, with_parent: bool = True) -> None:
    """Make this process die with its parent and unreadable to others of the same user (Linux; elsewhere nothing).

    The kernel takes the end of the *thread* that started a process for the end of its parent: a process that is started by
    one of many threads must go without, and see `die_with`.
    """
    if not machine.LINUX:
        return
    libc = ctypes.CDLL(None)
    if with_parent:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def die_with(peer: socket.socket) -> None:
    """Have this process end when the other end of `peer` closes, whatever it is doing then.

    Nothing may ever be said on that line. On Linux the kernel sends SIGIO: unlike a death signal, which comes when the
    *thread* that started a process ends, this one waits for whoever holds the other end. Elsewhere SIGIO ends nothing, and a
    thread listens.
    """
    if not machine.LINUX:

        def listen() -> None:
            peer.recv(1)
            os._exit(1)

        _in_thread(listen)
        return
    import fcntl

    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(peer, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(peer, fcntl.F_SETFL, fcntl.fcntl(peer, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([peer], [], [], 0)[0]:
        os._exit(1)  # it closed before the lines above


def end_after(parent: int) -> None:
    """Have this process and its group end soon after its parent, where no kernel sends a signal then.

    Code that never lets go of the interpreter keeps the thread from it, until its own limit of processor time.
    """

    def watch() -> None:
        while os.getppid() == parent:
            select.select([], [], [], WATCH_SECONDS)
        os.killpg(0, signal.SIGKILL)

    _in_thread(watch)


def _in_thread(work: Callable[[], object]) -> None:
    from threading import Thread

    Thread(target=work, daemon=True).start()


def request(control: socket.socket, document: dict[str, Any], descriptors: Sequence[int]) -> None:
    """Ask the server at the other end of `control` for a child with these descriptors, the leash first."""
    socket.send_fds(control, [json.dumps(document).encode()], list(descriptors))


def read_exit(data: bytes) -> Exit | None:
    """The exit record at the end of what a leash said, or None if there is none."""
    if len(data) < ENDED.size or data[-ENDED.size : -ENDED.size + 1] != b"e":
        return None
    _, status, rss, user, system = ENDED.unpack(data[-ENDED.size :])
    ended_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    return Exit(ended_by, os.WEXITSTATUS(status) if os.WIFEXITED(status) else -1, rss, user, system)


@dataclass
class _Held:
    pid: int
    pidfd: int
    leash: socket.socket


def serve(control: socket.socket, child: Child, at_end: Callable[[], None] = lambda: None) -> NoReturn:
    """Fork on request until the control socket closes; then kill every child, call `at_end`, and end."""
    gc.collect()
    gc.freeze()  # the collector must not write to pages that parent and children share
    poller = select.poll()
    poller.register(control, select.POLLIN)
    by_fd: dict[int, _Held] = {}
    while True:
        events = sorted(
            poller.poll(), key=lambda event: event[0] == control.fileno()
        )  # last: a fork may reuse a number
        for fd, _ in events:
            if fd == control.fileno():
                asked = _receive(control)
                if asked is None:
                    _kill_all(by_fd)
                    at_end()
                    os._exit(0)
                held = _fork(control, child, by_fd, *asked)
                if held is None:
                    continue
                by_fd[held.pidfd] = by_fd[held.leash.fileno()] = held
                poller.register(held.pidfd, select.POLLIN)
                poller.register(held.leash, select.POLLIN)
            elif (held := by_fd.get(fd)) is None:
                continue  # reaped earlier in this round
            elif fd == held.pidfd:
                poller.unregister(held.pidfd)
                with contextlib.suppress(KeyError):
                    poller.unregister(held.leash)
                del by_fd[held.pidfd], by_fd[held.leash.fileno()]
                _reap(held)
            elif _heard(held.leash) == STACK:
                _signal(held, signal.SIGUSR1)
            else:
                poller.unregister(held.leash)
                _signal(held, signal.SIGKILL)


def _receive(control: socket.socket) -> tuple[bytes, list[int]] | None:
    """The next request, or None when there will be none."""
    try:
        data, descriptors, _, _ = socket.recv_fds(control, _MAX_REQUEST, 16)
    except ConnectionResetError:  # the asker died without reading what it was told
        return None
    return (data, descriptors) if data else None


def _fork(
    control: socket.socket, child: Child, by_fd: dict[int, _Held], data: bytes, descriptors: list[int]
) -> _Held | None:
    """The child that was asked for. None where the machine has no room for it: its leash then says why, and closes."""
    leash = socket.socket(fileno=descriptors[0])
    server = os.getpid()
    try:
        pid = os.fork()
    except OSError as error:
        with contextlib.suppress(OSError):
            leash.send(STARTED.pack(REFUSED, error.errno or 0))
        leash.close()
        for descriptor in descriptors[1:]:
            os.close(descriptor)
        return None
    if pid == 0:
        for other in (control, leash, *(held.leash for held in by_fd.values())):
            other.close()
        for held in {id(held): held for held in by_fd.values()}.values():
            os.close(held.pidfd)
        _run(child, data, descriptors[1:], server)
    for descriptor in descriptors[1:]:
        os.close(descriptor)
    with contextlib.suppress(OSError):
        leash.send(STARTED.pack(PID, pid))
    return _Held(pid, os.pidfd_open(pid), leash)


def _run(child: Child, data: bytes, descriptors: list[int], server: int) -> NoReturn:
    """The forked child: run, and never return into the server."""
    code = 70
    try:
        harden()
        if os.getppid() == server:  # else it died before `harden`, which no signal will tell any more
            child(json.loads(data), descriptors)
            code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _heard(leash: socket.socket) -> bytes:
    """What the asker says; nothing once it let go, also where it did so without reading what it was told."""
    try:
        return leash.recv(16)
    except ConnectionResetError:
        return b""


def _signal(held: _Held, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(held.pidfd, number)


def _reap(held: _Held) -> None:
    _, status, usage = os.wait4(held.pid, 0)
    with contextlib.suppress(OSError):
        held.leash.send(ENDED.pack(b"e", status, usage.ru_maxrss * 1024, usage.ru_utime, usage.ru_stime))
    held.leash.close()
    os.close(held.pidfd)


def _kill_all(by_fd: dict[int, _Held]) -> None:
    for held in {id(held): held for held in by_fd.values()}.values():
        _signal(held, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(held.pid, 0)


def close_all_but(keep: Sequence[int]) -> None:
    """Close every descriptor above 2 that is not in `keep`."""
    low = 3
    for descriptor in sorted(set(keep)):
        if descriptor >= low:
            os.closerange(low, descriptor)
            low = descriptor + 1
    os.closerange(low, 1 << 20)
