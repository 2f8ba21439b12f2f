"""Namespaces for the whole ladder: no network, and a process tree that dies with its first process. Best effort."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import NoReturn

from grader import machine

from .layers import Layer, switched_off
from .syscalls import (
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUSER,
    die_with_parent,
    mount,
    unshare,
)

NAME = "namespaces"
_ALL_BUT_USER = CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNS
# The superuser keeps its own user namespace, and with it the right to read files of other users.
_ATTEMPTS = ((_ALL_BUT_USER, "net ipc pid mount"), (_ALL_BUT_USER | CLONE_NEWUSER, "user net ipc pid mount"))
_MS_NOSUID_NODEV_NOEXEC, _MS_REC_PRIVATE = 0b1110, (1 << 14) | (1 << 18)


def enter_tree(environ: Mapping[str, str] = os.environ) -> Layer:
    """Go on as process 1 of new namespaces, or as before with the reason.

    Call it once, in the ladder's first process, while that has one thread and is dumpable. On success it returns in a
    *child*. The caller stays behind and ends when the child ends (with its exit code; 128 + n for signal n); the child,
    and all that descend from it, die if the caller does. Loopback and abstract unix sockets do not reach through; path
    sockets, and whatever is inherited, do.
    """
    if reason := switched_off(NAME, environ):
        return Layer(NAME, False, reason)
    possible = _possible()
    if isinstance(possible, str):
        return Layer(NAME, False, possible)
    flags, words = possible
    _leave(flags)
    _become_first_process()
    return Layer(NAME, True, words)


def missing() -> str | None:
    """Why there can be no namespaces here, or None; found by trying it in a child."""
    possible = _possible()
    return possible if isinstance(possible, str) else None


def _possible() -> tuple[int, str] | str:
    """The first attempt that works here, or why none does."""
    if not machine.LINUX:
        return "needs Linux"
    for flags, words in _ATTEMPTS:
        refusal = _in_child(partial(_leave, flags))
        if not refusal:
            return flags, words
    return os.strerror(refusal)


def _leave(flags: int) -> None:
    user, group = os.getuid(), os.getgid()
    unshare(flags)
    if flags & CLONE_NEWUSER:
        for file, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            with open(f"/proc/self/{file}", "w") as map_file:
                map_file.write(text)


def _in_child(attempt: Callable[[], None]) -> int:
    """0, or the error number with which the attempt failed, tried where it cannot leave half of it behind."""
    child = os.fork()
    if child == 0:
        code = 255
        try:
            attempt()
            code = 0
        except OSError as error:
            code = error.errno or code
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _become_first_process() -> None:
    """Return in the child, which is process 1; the caller guards it."""
    alive, guard = os.pipe()  # the guard's end closes with the guard
    child = os.fork()
    if child:
        _stand_guard(child, guard)
    os.close(guard)
    die_with_parent(0)  # the guard has no number in here
    if select.select([alive], [], [], 0)[0]:
        os._exit(1)  # it died before the line above
    os.close(alive)
    # Else /proc shows the outer namespace's numbers. A container that masks parts of /proc refuses; no harm done.
    with suppress(OSError):
        mount("none", "/", None, _MS_REC_PRIVATE)
        mount("proc", "/proc", "proc", _MS_NOSUID_NODEV_NOEXEC)


def _stand_guard(child: int, guard: int) -> NoReturn:
    """Hold nothing open but the streams and the guard's pipe, and end as the child ends. SIGTERM here ends both."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the child gets it too, and decides
    os.closerange(3, guard)
    os.closerange(guard + 1, os.sysconf("SC_OPEN_MAX"))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os._exit(code if code >= 0 else 128 - code)
