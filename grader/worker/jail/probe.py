"""Whether the jail holds, found out by trying to break out of it in a child."""

from __future__ import annotations

import errno
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass

from . import Jail, Layers

_SECONDS = 10
_MEMORY = 256 << 20


def _open() -> None:
    os.close(os.open("/etc/passwd", os.O_RDONLY))


def _write() -> None:
    name = f"/tmp/gradkata-probe-{os.getpid()}"
    os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    os.unlink(name)


def _limit() -> None:
    import resource

    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1 << 14, 1 << 14))
    except ValueError as error:  # how `resource` words a limit that may not be raised
        raise PermissionError(errno.EPERM, str(error)) from error


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)


ATTEMPTS: dict[str, Callable[[], object]] = {
    "open": _open,
    "write": _write,
    "socket": lambda: socket.socket().close(),
    "kill": lambda: os.kill(os.getppid(), 0),  # asks for permission, sends nothing
    "limit": _limit,
    "fork": _fork,
    "exec": lambda: os.execv("/bin/true", ["true"]),  # if one of these two works, nothing comes after it
    "end by SIGKILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
}


@dataclass(frozen=True)
class Probe:
    """What was tried in a locked process, and how it went."""

    layers: Layers
    refused: dict[str, bool]

    @property
    def holds(self) -> bool:
        return all(self.refused.values())


def probe(jail: Jail) -> Probe:
    """Fork, enter, try everything in ATTEMPTS. A refusal is a permission error; no answer is none."""
    if not hasattr(os, "fork"):
        return Probe(jail.layers, dict.fromkeys(ATTEMPTS, False))
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(_SECONDS)
            jail.enter(_MEMORY, _SECONDS)
            for name, attempt in ATTEMPTS.items():
                if _is_refused(attempt):
                    os.write(writing, f"{name}\n".encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answers:
        refused = answers.read().splitlines()
    os.waitpid(child, 0)
    return Probe(jail.layers, {name: name in refused for name in ATTEMPTS})


def _is_refused(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError as error:
        return error.errno in (errno.EPERM, errno.EACCES)
    return False
