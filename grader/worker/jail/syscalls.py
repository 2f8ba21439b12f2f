"""The few kernel doors that Python leaves shut: raw system calls and prctl, through ctypes."""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import struct
import sys
from contextlib import suppress
from ctypes import c_long, c_ulong

from grader import machine

MACHINE = platform.machine() if machine.LINUX and sys.maxsize > 2**32 else ""

CLONE_NEWNS = 0x00020000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
CLONE_THREAD = 0x00010000

_M_ARENA_MAX = -8
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITY_VERSION_3 = 0x20080522
_CAPSET = {"x86_64": 126, "aarch64": 91}

_libc = ctypes.CDLL(None, use_errno=True) if machine.LINUX else None


class JailError(RuntimeError):
    """A promised layer did not close. Whoever sees this must end the process before it runs foreign code."""


def _call(function: str, *arguments: object) -> int:
    if _libc is None:
        raise OSError(f"{function} needs Linux")
    result: int = getattr(_libc, function)(*arguments)
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, f"{function}: {os.strerror(code)}")
    return result


def syscall(number: int, *arguments: int | bytes | None) -> int:
    """One system call by its number; integers are widened to 64 bits, bytes are passed by address."""
    return _call("syscall", c_long(number), *(c_long(a) if isinstance(a, int) else a for a in arguments))


def prctl(option: int, *arguments: int | bytes | None) -> int:
    """prctl(2) with the unused arguments zero, as several options demand."""
    padded = (*arguments, *(0,) * (4 - len(arguments)))
    return _call("prctl", option, *(c_ulong(a) if isinstance(a, int) else a for a in padded))


def unshare(flags: int) -> None:
    """Leave namespaces."""
    _call("unshare", flags)


def share_arenas() -> None:
    """Have all threads allocate from two arenas: glibc gives each its own, and every arena reserves 64 MB."""
    with suppress(AttributeError):  # other C libraries have no such knob
        _call("mallopt", _M_ARENA_MAX, 2)


def refuse_threads() -> None:
    """JailError unless the process has one thread, which is all that Landlock can lock."""
    try:
        unshare(CLONE_THREAD)  # changes nothing; the kernel allows it to processes with one thread
    except OSError as error:
        raise JailError("a process with several threads cannot be locked") from error


def mount(source: str, target: str, kind: str | None, flags: int) -> None:
    """mount(2) without options."""
    _call("mount", source.encode(), target.encode(), kind and kind.encode(), c_ulong(flags), None)


def die_with_parent(parent: int) -> None:
    """SIGKILL for the caller when its parent ends, also when that happened a moment ago."""
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise JailError(f"process {parent}, which should be the parent, is gone")


def give_up_privileges() -> None:
    """No capability now, none later through set-uid files, and no memory image for a core handler or a neighbour.

    RLIMIT_CORE does not stop a core handler behind a pipe (`|/usr/lib/systemd/systemd-coredump`); this does.
    """
    if MACHINE in _CAPSET:
        syscall(_CAPSET[MACHINE], struct.pack("=Ii", _CAPABILITY_VERSION_3, 0), bytes(24))
    prctl(_PR_SET_DUMPABLE, 0)
    prctl(_PR_SET_NO_NEW_PRIVS, 1)
