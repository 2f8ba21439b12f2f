"""On what terms a ladder is shared: where its holder and those who ask for it meet, and what both must agree on.

They meet at a socket in `.grade/warm/` of the course, a folder that is its owner's alone. One that is anybody else's, that
others may enter, or that is a link, is as good as none. So is what a peer of another user says. And both must be the
same in all that a verdict could depend on: a ladder is given to nobody who would have started another one.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from grader.engine import key
from grader.engine.hold import environment
from grader.engine.plan import Plan

FOLDER = "warm"
_MAX_MESSAGE = 1 << 16
_PEER = struct.Struct("3i")
_NAMESPACES = ("mnt", "pid", "user", "net")
_OPEN = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


class Reach(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far a ladder has to reach, as it is told."""

    workers: frozenset[str]
    preload: frozenset[str]
    training: bool

    @classmethod
    def of(cls, plan: Plan) -> Reach:
        return cls(plan.workers, plan.preload, plan.training)

    def plan(self) -> Plan:
        return Plan(self.workers, self.preload, self.training)


class Hello(msgspec.Struct, frozen=True, tag="hello", forbid_unknown_fields=True):
    """What is said first: who is asking, for what, and whether a ladder is to be started for it."""

    terms: dict[str, str]
    reach: Reach
    start: bool


class Refused(msgspec.Struct, frozen=True, tag="refused", forbid_unknown_fields=True):
    """No: the terms that differ, or none where there is nothing to give. `by` is the command that holds the ladder."""

    by: str
    differ: tuple[str, ...] = ()


class Lent(msgspec.Struct, frozen=True, tag="lent", forbid_unknown_fields=True):
    """Yes: there is a ladder that reaches so far, or it is being started. `by` is the command that holds it."""

    by: str
    reach: Reach


class Stands(msgspec.Struct, frozen=True, tag="stands", forbid_unknown_fields=True):
    """The ladder stands, and this is what its workers are in."""

    sandbox: dict[str, Any]


class Wanted(msgspec.Struct, frozen=True, tag="wanted", forbid_unknown_fields=True):
    """One judge, please."""


class Given(msgspec.Struct, frozen=True, tag="given", forbid_unknown_fields=True):
    """Here it is: its line and its leash come with these words."""


Said = Hello | Refused | Lent | Stands | Wanted | Given


def send(peer: socket.socket, said: Said, descriptors: tuple[int, ...] = ()) -> None:
    """Say one thing. Raises OSError."""
    socket.send_fds(peer, [msgspec.json.encode(said)], list(descriptors))


def receive(peer: socket.socket, descriptors: int = 0) -> tuple[Said, list[int]]:
    """What is said next, and at most so many descriptors that came along, which are the caller's to close.

    Raises OSError where there will be nothing more, or what came means nothing.
    """
    data, came, _, _ = socket.recv_fds(peer, _MAX_MESSAGE, descriptors, socket.MSG_CMSG_CLOEXEC)
    try:
        if not data:
            raise ConnectionResetError("the line closed")
        said: Said = msgspec.json.decode(data, type=Said)
    except (msgspec.MsgspecError, ValueError, OSError) as error:
        for descriptor in came:
            os.close(descriptor)
        raise ConnectionError(str(error)) from None
    return said, came


def terms(root: Path, more: Mapping[str, str], *, anew: bool = False) -> dict[str, str]:
    """What both sides must be the same in, by names. Raises OSError where this system does not tell.

    more: what a ladder's environment has beside its usual one. anew: read the files, where `key` remembers them
    PATH is no part of it: no judge looks for a program, and no worker can start one.
    """
    judged_in = {name: value for name, value in {**environment(), **more}.items() if name != "PATH"}
    return {
        "grader": key.grader_digest(anew=anew),
        "libraries": repr(sorted(key.versions(anew=anew).items())),
        "interpreter": f"{os.path.realpath(sys.executable)} {sys.prefix}",
        "environment": repr(sorted(judged_in.items())),
        "course": str(root),
        "namespaces": " ".join(os.readlink(f"/proc/self/ns/{name}") for name in _NAMESPACES),
    }


def open_folder(root: Path, *, make: bool = False) -> int:
    """A descriptor of the folder where sockets are. Raises OSError where it is not there, or not this user's alone."""
    if make:
        (root / ".grade").mkdir(exist_ok=True)
    above = os.open(root / ".grade", _OPEN)
    try:
        if make:
            with suppress(FileExistsError):
                os.mkdir(FOLDER, 0o700, dir_fd=above)
        folder = os.open(FOLDER, _OPEN, dir_fd=above)
    finally:
        os.close(above)
    status = os.fstat(folder)
    if status.st_uid != os.geteuid() or status.st_mode & 0o077:
        os.close(folder)
        raise PermissionError(f"{root}/.grade/{FOLDER} is not this user's alone")
    return folder


def address(folder: int, name: str) -> str:
    """The name of a socket for the kernel: however deep the course lies, within the 107 bytes that there are."""
    return f"/proc/self/fd/{folder}/{name}"


def is_own_socket(folder: int, name: str) -> bool:
    """Whether a name stands for a socket of this user's, and not for a link or another's."""
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return False
    return stat.S_ISSOCK(status.st_mode) and status.st_uid == os.geteuid()


def peer_of(connection: socket.socket) -> tuple[int, int]:
    """The process at the other end, as the kernel knows it: its number and its user."""
    pid, uid, _ = _PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return pid, uid
