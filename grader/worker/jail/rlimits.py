"""Resource limits of one worker: memory, processor time, open files, threads; no core, no file, no queue."""

from __future__ import annotations

import math
import os
import time
from contextlib import suppress

from grader import machine

from .syscalls import CLONE_NEWUSER, share_arenas, unshare

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

_NOBODY = 65534
_NONE_AT_ALL = ("RLIMIT_CORE", "RLIMIT_FSIZE", "RLIMIT_MEMLOCK", "RLIMIT_MSGQUEUE", "RLIMIT_NICE", "RLIMIT_RTPRIO")


def missing() -> str | None:
    """Why there are no limits here, or None."""
    if resource is None:
        return "this system has no resource limits"
    return None if machine.LINUX and os.path.exists("/proc/self/statm") else "no /proc to read the present size from"


def enter(memory_bytes: int, cpu_seconds: float, open_files: int) -> None:
    """Lower the limits of this process, soft and hard, so that only a privileged process could raise them again.

    `memory_bytes` comes on top of the address space in use now. After `cpu_seconds` more of processor time the process
    gets SIGXCPU, whose name tells what happened, and a second later SIGKILL, which cannot be caught.
    """
    share_arenas()
    with open("/proc/self/statm", "rb") as statm:
        size = int(statm.read().split()[0]) * resource.getpagesize()
    _lower("RLIMIT_AS", size + memory_bytes)
    enter_processor(cpu_seconds)
    _lower("RLIMIT_NOFILE", open_files)
    _lower("RLIMIT_STACK", resource.getrlimit(resource.RLIMIT_STACK)[0])
    for name in _NONE_AT_ALL:
        _lower(name, 0)


def enter_processor(cpu_seconds: float) -> None:
    """The limit of processor time alone, which every system but Windows has."""
    if resource is not None:
        _lower("RLIMIT_CPU", math.ceil(time.process_time() + cpu_seconds), spare=1)


def _lower(name: str, soft: int, *, spare: int = 0) -> None:
    kind = getattr(resource, name)
    hard, ceiling = soft + spare, resource.getrlimit(kind)[1]
    if ceiling != resource.RLIM_INFINITY:
        soft, hard = min(soft, ceiling), min(hard, ceiling)
    resource.setrlimit(kind, (soft, hard))


def threads_missing() -> str | None:
    """Why threads cannot be counted for one worker alone, or None; found by doing it in a child.

    Linux counts the processes and threads of a user, not of a process. In a user namespace of its own the count begins
    anew (since 5.14).
    """
    child = os.fork()
    if child == 0:
        try:
            os._exit(_count_in_child())
        finally:
            os._exit(1)
    return _REASONS[os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])]


_REASONS = (None, "no user namespaces", "this kernel counts them per user", "the superuser is not limited")


def _count_in_child() -> int:
    """Index into _REASONS. A child that nobody waits for still counts, so two are one too many."""
    try:
        enter_threads(2)
    except OSError:
        return 1
    for reason in (2, 0):
        try:
            if os.fork() == 0:
                os._exit(0)
        except BlockingIOError:
            return reason
    return 3


def enter_threads(count: int) -> None:
    """A limit on threads that counts this worker's only. The worker keeps its rights to files, but appears as nobody.

    The kernel counts by the real user, exempts the superuser there, and opens files by the effective one.
    """
    if os.getuid() == 0:
        with suppress(OSError):  # fails in a namespace that has no nobody; its root is someone else outside
            os.setresuid(_NOBODY, -1, -1)
    unshare(CLONE_NEWUSER)
    _lower("RLIMIT_NPROC", count)
