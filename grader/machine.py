"""What this machine is, and what it may refuse: asked before a run begins, and told in a sentence in the midst of one."""

from __future__ import annotations

import errno
import os
import sys
from dataclasses import dataclass

from grader.errors import UsageFault

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

LINUX = sys.platform == "linux"  # with signals at a parent's death, process descriptors, and the layers of the sandbox
PYTHON = (sys.executable, "-I", "-m")  # before a module of ours: a process that nothing of the caller's steers
_GIB = 1 << 30


@dataclass(frozen=True)
class _Limit:
    """One of the limits that a shell can set, and the least with which no verdict depends on it."""

    name: str
    option: str  # of `ulimit`, which counts in units
    unit: int
    words: str
    least: int
    each: int = 0  # more for every judge at a time
    spares_root: bool = False


_LIMITS = (
    _Limit("RLIMIT_NOFILE", "-n", 1, "open files", 48, 8),
    _Limit("RLIMIT_NPROC", "-u", 1, "processes", 16, 4, spares_root=True),
    _Limit("RLIMIT_AS", "-v", 1024, "KiB of addresses", 4 * _GIB),
    _Limit("RLIMIT_DATA", "-d", 1024, "KiB of data", 2 * _GIB),
    _Limit("RLIMIT_STACK", "-s", 1024, "KiB of stack", 1 << 20),
    _Limit("RLIMIT_CPU", "-t", 1, "seconds of processor time", 60),
)

# What a system says, in words, and what to do about it.
_REFUSALS = {
    errno.EAGAIN: ("no further process can be started", "end some, or raise `ulimit -u`"),
    errno.EMFILE: ("too many files are open", "raise `ulimit -n`"),
    errno.ENFILE: ("too many files are open on this machine", "end other programs"),
    errno.ENOMEM: ("there is not enough memory", "end other programs, or raise `ulimit -v`"),
    errno.ENOSPC: ("there is no space left on the disk", "make room on it"),
    errno.EDQUOT: ("your share of the disk is used up", "make room on it"),
    errno.EACCES: ("permission denied", "give yourself the right to it, with `chmod` or as its owner"),
    errno.EPERM: ("permission denied", "give yourself the right to it, with `chmod` or as its owner"),
    errno.EROFS: ("it can only be read", "work on a copy elsewhere"),
    errno.EIO: ("the disk cannot be read", "see whether it is still there"),
}


def make_room(jobs: int) -> None:
    """Raise this process's limits as far as judges need it. Raises UsageFault where the shell left too little for that."""
    if resource is None:
        return
    for limit in _LIMITS:
        kind = getattr(resource, limit.name, None)
        if kind is None or (limit.spares_root and os.geteuid() == 0):
            continue
        least = limit.least + limit.each * jobs
        soft, hard = resource.getrlimit(kind)
        if _covers(soft, least):
            continue
        try:
            resource.setrlimit(kind, (least, hard))
        except (ValueError, OSError):
            few, many = f"{min(hard, soft) // limit.unit:,}", f"{least // limit.unit:,}"
            raise UsageFault(
                f"{few} {limit.words} are all that this shell allows (`ulimit {limit.option}`), and judging takes {many}",
                f"run `grade` from a shell that allows {many}",
            ) from None


def _covers(soft: int, least: int) -> bool:
    return soft == resource.RLIM_INFINITY or soft >= least


def words(error: OSError | MemoryError) -> str:
    """What is wrong, as the end of a sentence, with what to do about it where that is known."""
    number = errno.ENOMEM if isinstance(error, MemoryError) else error.errno
    if number in _REFUSALS:
        return ": ".join(_REFUSALS[number])
    return getattr(error, "strerror", None) or str(error)


def refusal(error: BaseException) -> UsageFault | None:
    """The fault to tell of in place of an error that the machine, and not the grader, is to blame for; else None."""
    if not isinstance(error, OSError | MemoryError):
        return None
    number = errno.ENOMEM if isinstance(error, MemoryError) else error.errno
    if number not in _REFUSALS:
        return None
    message, next_step = _REFUSALS[number]
    path = getattr(error, "filename", None)
    return UsageFault(f"{os.fsdecode(path)}: {message}" if path else message, next_step)
