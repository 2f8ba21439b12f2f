"""What this machine is, and what it may refuse: asked before a run begins, and told in a sentence in the midst of one."""

from __future__ import annotations

import errno
import os
import sys
from dataclasses import dataclass

from grader.errors import UsageFault
from grader.messages import Message, Value, text

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
    what: Message
    least: int
    each: int = 0  # more for every judge at a time
    spares_root: bool = False


_LIMITS = (
    _Limit("RLIMIT_NOFILE", "-n", 1, text("open files"), 48, 8),
    _Limit("RLIMIT_NPROC", "-u", 1, text("processes"), 16, 4, spares_root=True),
    _Limit("RLIMIT_AS", "-v", 1024, text("KiB of addresses"), 4 * _GIB),
    _Limit("RLIMIT_DATA", "-d", 1024, text("KiB of data"), 2 * _GIB),
    _Limit("RLIMIT_STACK", "-s", 1024, text("KiB of stack"), 1 << 20),
    _Limit("RLIMIT_CPU", "-t", 1, text("seconds of processor time"), 60),
)

# What a system says, in words, and what to do about it.
_REFUSALS = {
    errno.EAGAIN: (text("no further process can be started"), text("end some, or raise `ulimit -u`")),
    errno.EMFILE: (text("too many files are open"), text("raise `ulimit -n`")),
    errno.ENFILE: (text("too many files are open on this machine"), text("end other programs")),
    errno.ENOMEM: (text("there is not enough memory"), text("end other programs, or raise `ulimit -v`")),
    errno.ENOSPC: (text("there is no space left on the disk"), text("make room on it")),
    errno.EDQUOT: (text("your share of the disk is used up"), text("make room on it")),
    errno.EACCES: (text("permission denied"), text("give yourself the right to it, with `chmod` or as its owner")),
    errno.EPERM: (text("permission denied"), text("give yourself the right to it, with `chmod` or as its owner")),
    errno.EROFS: (text("it can only be read"), text("work on a copy elsewhere")),
    errno.EIO: (text("the disk cannot be read"), text("see whether it is still there")),
}


_TOO_FEW = "{few} {what} are all that this shell allows (`ulimit {option}`), and judging takes {many}"


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ready_to_judge(jobs: int) -> None:
    """Raise UsageFault where no file can be judged.

    That is on Windows, which hands no descriptor to a process that is started, and where limits are too tight.
    """
    if sys.platform == "win32":
        raise UsageFault(
            text("Windows itself cannot judge a file: its processes are not handed the lines between judge and worker"),
            text(
                "run `grade` in WSL, the Linux of Windows, which `wsl --install` sets up; `pytest katas/04_lstm` works here too"
            ),
        )
    make_room(jobs)


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
                text(_TOO_FEW, few=few, what=limit.what, option=limit.option, many=many),
                text("run `grade` from a shell that allows {many}", many=many),
            ) from None


def _covers(soft: int, least: int) -> bool:
    return soft == resource.RLIM_INFINITY or soft >= least


def words(error: OSError | MemoryError) -> Value:
    """What is wrong, as the end of a sentence, with what to do about it where that is known."""
    number = errno.ENOMEM if isinstance(error, MemoryError) else error.errno
    if number in _REFUSALS:
        problem, help = _REFUSALS[number]
        return text("{problem}: {help}", problem=problem, help=help)
    return getattr(error, "strerror", None) or str(error)


def refusal(error: BaseException) -> UsageFault | None:
    """The fault to tell of in place of an error that the machine, and not the grader, is to blame for; else None."""
    if not isinstance(error, OSError | MemoryError):
        return None
    number = errno.ENOMEM if isinstance(error, MemoryError) else error.errno
    if number not in _REFUSALS:
        return None
    problem, next_step = _REFUSALS[number]
    path = getattr(error, "filename", None)
    if path:
        problem = text("{file}: {what}", file=os.fsdecode(path), what=problem)
    return UsageFault(problem, next_step)
