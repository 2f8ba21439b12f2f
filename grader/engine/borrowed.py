"""Another command's warm ladder, got at its socket: the engine takes its judges like those of a ladder of its own."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from grader.engine import terms
from grader.engine.hold import NOTHING, Judges
from grader.engine.plan import Plan
from grader.engine.sandbox import Sandbox, can_fork
from grader.engine.terms import Given, Hello, Lent, Reach, Refused, Said, Stands, Wanted
from grader.errors import InternalFault
from grader.judge.leash import Leash, SocketLeash
from grader.limits import LENDER_SECONDS, START_SECONDS
from grader.messages import text


@dataclass(frozen=True)
class Holder:
    """Who holds a ladder in this course, whether it lends it to us, and else what it is other than we are in, if anything."""

    by: str
    pid: int
    lends: bool
    differ: tuple[str, ...] = ()


class BorrowedLadder:
    """A ladder that another command holds. Where that ends or does not answer, whoever waits for its judges is told soon."""

    borrowed = True

    def __init__(self, holder: socket.socket, lent: Lent, pid: int) -> None:
        self.plan = lent.reach.plan()
        self.holder = Holder(lent.by, pid, lends=True)
        self.sandbox = Sandbox()
        self.standing = False
        self.overdue = time.monotonic() + START_SECONDS
        self._holder = holder

    def fileno(self) -> int:
        return self._holder.fileno()

    def hear(self) -> None:
        try:
            said, _ = terms.receive(self._holder)
        except OSError:
            said = None
        if not isinstance(said, Stands):
            raise InternalFault(text("the ladder that {command} shared is gone", command=self.holder.by))
        self.sandbox = Sandbox(said.sandbox)
        self.standing = True

    def judge(self, plan: Plan) -> tuple[socket.socket, Leash]:
        descriptors: list[int] = []
        with suppress(OSError):
            terms.send(self._holder, Wanted())
            said, descriptors = terms.receive(self._holder, descriptors=2)
            if isinstance(said, Given) and len(descriptors) == 2:
                line, leash = (socket.socket(fileno=number) for number in descriptors)
                return line, SocketLeash(leash)
        for number in descriptors:
            os.close(number)
        raise InternalFault(text("the ladder that {command} shared is gone", command=self.holder.by))

    def close(self) -> None:
        self._holder.close()


def borrowing(root: Path, more: Mapping[str, str] = NOTHING) -> Callable[[Plan], Judges | None]:
    """What a keeper asks for a ladder before it starts one: whoever offers one in the course at `root`, this process aside.

    One that stands is preferred to one that is to be started first. None where nobody offers one just like ours would be;
    whoever does not answer in time is not asked again.
    """

    def borrow(plan: Plan) -> Judges | None:
        silent: set[str] = set()
        for start in (False, True):
            for name, answer in _answers(root, plan, more, silent, start=start):
                if isinstance(answer, BorrowedLadder):
                    return answer
                if answer is None:
                    silent.add(name)
        return None

    return borrow


def holders(root: Path) -> list[Holder]:
    """Who offers a ladder in the course at `root`; nothing is started for the sake of the answer."""
    found = []
    for _, answer in _answers(root, Plan(), NOTHING, frozenset(), start=False):
        if isinstance(answer, BorrowedLadder):
            answer.close()
            found.append(answer.holder)
        elif answer is not None:
            found.append(answer)
    return found


def _answers(
    root: Path, plan: Plan, more: Mapping[str, str], silent: Collection[str], *, start: bool
) -> Iterator[tuple[str, BorrowedLadder | Holder | None]]:
    """What those who offer a ladder say, by the names of their sockets; None where there was no answer."""
    if not can_fork():
        return
    try:
        folder = terms.open_folder(root)
    except OSError:  # nobody has offered any yet, or it is not for us
        return
    try:
        names = [name for name in sorted(os.listdir(folder)) if name not in silent and not name.startswith(".")]
        hello = Hello(terms.terms(root, more), Reach.of(plan), start) if names else None
        for name in names:
            if hello is not None and terms.is_own_socket(folder, name):
                yield name, _ask(folder, name, hello)
    except OSError:  # this system does not tell the terms
        return
    finally:
        os.close(folder)


def _ask(folder: int, name: str, hello: Hello) -> BorrowedLadder | Holder | None:
    """What one holder says; None where it does not answer, is another user, or is this process."""
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    peer.settimeout(LENDER_SECONDS)
    said: Said | None = None
    pid = 0
    try:
        peer.connect(terms.address(folder, name))
        pid, user = terms.peer_of(peer)
        if user == os.geteuid() and pid != os.getpid():
            terms.send(peer, hello)
            said, _ = terms.receive(peer)
    except ConnectionRefusedError:  # its holder was killed; no other one will ever have the name
        with suppress(OSError):
            os.unlink(name, dir_fd=folder)
    except OSError:
        pass
    if isinstance(said, Lent) and said.reach.plan().covers(hello.reach.plan()):
        return BorrowedLadder(peer, said, pid)
    peer.close()
    return Holder(said.by, pid, lends=False, differ=said.differ) if isinstance(said, Refused) else None
