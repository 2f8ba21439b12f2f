"""The hold on a process that was forked or started for us: its number, its stack on request, its end."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from typing import Protocol

from grader import forkserver, machine
from grader.forkserver import Exit
from grader.limits import START_SECONDS
from grader.messages import Value


class Leash(Protocol):
    """The hold on a worker process, wherever it came from."""

    def pid(self) -> int | None:
        """The number of the process, as this one sees it."""

    def refused(self) -> Value:
        """Why there never was a process, once that is known; "" where there was one."""

    def kill(self) -> None: ...
    def ask_for_stack(self) -> None: ...
    def exit(self, seconds: float) -> Exit | None:
        """How the process ended, waiting for it at most this long."""

    def is_cut(self) -> bool:
        """Whether nobody will ever know how the process ended, because who held it is gone."""

    def close(self) -> None:
        """Let go; a process that is still there is killed."""


class SocketLeash:
    """The hold on a process that a fork server made."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._said = b""

    def pid(self) -> int | None:
        deadline = time.monotonic() + START_SECONDS
        while len(self._said) < forkserver.STARTED.size:
            if not self._hear(deadline):
                return None
        kind, number = forkserver.STARTED.unpack_from(self._said)
        return number if kind == forkserver.PID else None

    def refused(self) -> Value:
        if self._said[:1] != forkserver.REFUSED or self.pid() is not None:
            return ""
        number = forkserver.STARTED.unpack_from(self._said)[1]
        return machine.words(OSError(number, os.strerror(number)))

    def kill(self) -> None:
        with contextlib.suppress(OSError):
            self._end.shutdown(socket.SHUT_WR)

    def ask_for_stack(self) -> None:
        with contextlib.suppress(OSError):
            self._end.send(forkserver.STACK)

    def exit(self, seconds: float) -> Exit | None:
        deadline = time.monotonic() + seconds
        while self._hear(deadline):
            pass
        return forkserver.read_exit(self._said)

    def _hear(self, deadline: float) -> bool:
        """Take in what the fork server says next; False when it says nothing in time, or nothing more at all."""
        if self._end.fileno() < 0:
            return False
        self._end.settimeout(max(0.0, deadline - time.monotonic()))
        try:
            said = self._end.recv(256)
        except (TimeoutError, BlockingIOError):
            return False
        except OSError:
            said = b""
        self._said += said
        if not said:
            self._end.close()
        return bool(said)

    def is_cut(self) -> bool:
        return self._end.fileno() < 0 and forkserver.read_exit(self._said) is None

    def close(self) -> None:
        self._end.close()


class ProcessLeash:
    """The hold on a process that was started by itself; `life` is a line whose closing tells it that we are gone."""

    def __init__(self, process: subprocess.Popen[bytes], life: socket.socket | None = None) -> None:
        self._process = process
        self._life = life
        self._exit: Exit | None = None

    def pid(self) -> int | None:
        return self._process.pid

    def refused(self) -> Value:
        return ""

    def kill(self) -> None:
        if self._exit is None:
            self._process.kill()

    def ask_for_stack(self) -> None:
        if self._exit is None and hasattr(signal, "SIGUSR1"):
            self._process.send_signal(signal.SIGUSR1)

    def exit(self, seconds: float) -> Exit | None:
        if self._exit is None:
            before = os.times()
            try:
                status = self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                return None
            after = os.times()  # nobody else waits for children here
            user, system = after.children_user - before.children_user, after.children_system - before.children_system
            self._exit = Exit(max(0, -status), status, 0, user, system)
        return self._exit

    def is_cut(self) -> bool:
        return False

    def close(self) -> None:
        self.kill()
        self.exit(1.0)
        if self._life is not None:
            self._life.close()
