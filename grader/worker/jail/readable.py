"""What a worker may read: the interpreter, shared libraries and packages, but neither the grader nor the course."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from glob import glob
from itertools import chain

from grader.workerkinds import WorkerKind

# The harness, and the files by which an installation in place points to the project's folder.
_HIDDEN = ("grader", "*gradkata*", "__editable__*", "easy-install.pth", "*.egg-link")

_SITES = ("site-packages", "dist-packages")
_SINGLE = (
    "/dev/urandom",
    "/dev/zero",
    "/etc/ld.so.cache",  # where a late import finds its shared libraries
    "/etc/localtime",
    "/usr/share/zoneinfo",
    "/sys/devices/system/cpu",  # how many processors there are
    "/proc/cpuinfo",  # what they can do: read by torch's kernels at the first operation
)

WRITABLE = ("/dev/null",)


def default_readable(kind: WorkerKind) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(readable with all below, listable): as few paths as hide torch from a numpy worker, and the grader from all.

    Of /proc there is one file: neither torch nor numpy needs more once it is loaded.
    """
    sites = [entry for entry in sys.path if os.path.basename(entry) in _SITES]  # PYTHONPATH may name any folder
    roots = _real([*_libraries(), os.path.dirname(os.__file__), *sites])
    outermost = sorted(path for path in roots if not any(path.startswith(other + os.sep) for other in roots))

    nested = (glob(os.path.join(root, where)) for root in roots for where in ("*-packages", "python3*/*-packages"))
    hidden = frozenset(_hidden(_real([*sites, *chain.from_iterable(nested)]), (*_HIDDEN, *kind.hidden)))
    readable: list[str] = []
    listable: list[str] = []
    for root in outermost:
        _open_up(root, hidden, readable, listable)
    return (*readable, *_SINGLE), tuple(listable)


def _libraries() -> list[str]:
    """Where a late import finds the libraries that it is linked with. Only Debian keeps them apart from Python."""
    own = [] if sys.base_prefix == "/usr" else [os.path.join(sys.base_prefix, "lib")]  # as in conda
    return [*(glob("/usr/lib/*-linux-*") or ["/lib", "/usr/lib"]), "/lib64", "/usr/lib64", "/usr/local/lib", *own]


def _real(paths: list[str]) -> set[str]:
    return {os.path.realpath(path) for path in paths if os.path.isdir(path) and os.access(path, os.R_OK | os.X_OK)}


def _hidden(sites: set[str], patterns: tuple[str, ...]) -> Iterator[str]:
    for site in sites:
        yield from (os.path.join(site, n) for n in os.listdir(site) if any(fnmatch(n, p) for p in patterns))


def _open_up(path: str, hidden: frozenset[str], readable: list[str], listable: list[str]) -> None:
    """One rule for a folder without secrets; else its names, and its entries one by one.

    Links are passed over there: their targets are entries themselves, or none of the worker's business.
    """
    if path in hidden:
        return
    if not any(secret.startswith(path + os.sep) for secret in hidden):
        readable.append(path)
        return
    listable.append(path)
    with os.scandir(path) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            if not entry.is_symlink():
                _open_up(entry.path, hidden, readable, listable)
