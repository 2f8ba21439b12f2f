"""Landlock: files may be read where the policy says so; no writing, no TCP, no signal or abstract socket outward."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterable

from .syscalls import syscall

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same numbers on every architecture we know
_VERSION_QUERY = 1
_RULE_PATH_BENEATH = 1
_LOG_SAME_EXEC_OFF = 1

WRITE_FILE, READ_FILE, READ_DIR = 1 << 1, 1 << 2, 1 << 3

# Everything that a ruleset can forbid, by the version of the interface that brought it.
_FILE_RIGHTS = {1: (1 << 13) - 1, 2: 1 << 13, 3: 1 << 14, 5: 1 << 15}
_NET_RIGHTS = {4: 0b11}  # bind and connect TCP
_SCOPES = {6: 0b11}  # abstract unix sockets, signals


def abi() -> int:
    """The kernel's Landlock version. OSError where the kernel has none, or has it switched off."""
    return syscall(_CREATE_RULESET, None, 0, _VERSION_QUERY)


def describe(version: int) -> str:
    """`abi7 fs+net+scope`"""
    return f"abi{version} {'+'.join(parts(version))}"


def parts(version: int) -> tuple[str, ...]:
    """What a version can forbid: files, connections, signals."""
    found = {"fs": min(_FILE_RIGHTS), "net": min(_NET_RIGHTS), "scope": min(_SCOPES)}
    return tuple(name for name, since in found.items() if version >= since)


def build(version: int, readable: Iterable[str], listable: Iterable[str], writable: Iterable[str]) -> int:
    """A descriptor of a ruleset: all that `version` can forbid is forbidden, but for these paths."""

    def known(rights: dict[int, int]) -> int:
        return sum(bits for since, bits in rights.items() if since <= version)

    # A kernel that knows a shorter structure accepts this one, because the fields it lacks are zero.
    attributes = struct.pack("=QQQ", known(_FILE_RIGHTS), known(_NET_RIGHTS), known(_SCOPES))
    ruleset = syscall(_CREATE_RULESET, attributes, len(attributes), 0)
    for paths, rights in (
        (readable, READ_FILE | READ_DIR),
        (listable, READ_DIR),
        (writable, READ_FILE | WRITE_FILE),
    ):
        for path in paths:
            _allow(ruleset, path, rights)
    return ruleset


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return  # what is not there needs no permission
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= ~READ_DIR
        syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, struct.pack("=Qi", rights, descriptor), 0)
    finally:
        os.close(descriptor)


def restrict(ruleset: int, version: int) -> None:
    """Close the door on the calling thread, for good. Refusals are not reported to the machine's audit log."""
    syscall(_RESTRICT_SELF, ruleset, _LOG_SAME_EXEC_OFF if version >= 7 else 0)
