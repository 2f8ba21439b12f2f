"""A warm ladder is shared: who holds one offers it to other commands of the same user and course.

Whoever keeps a ladder for long, such as `grade watch` or the kernel of a notebook, says

    with shared.offered(session.keeper, course.root, by="grade watch"):
        ...

and for the length of the block a `grade` in another terminal gets its judges from that ladder (`grader.engine.borrowed`).
Nothing else has to be done: threads of the offer's own answer, and start or grow the keeper's ladder where somebody
asks for more than it has. What is lent stands until it is given back, or until the keeper is closed, whichever is first;
a borrower whose judges are gone then judges once more on a ladder of its own. Where nothing can be offered, on a system
without fork or where `.grade/` is not this user's, the block runs all the same.

A borrower is given the line and the leash of each judge that it asks for, and speaks with it alone: neither its job, with
a secret seed perhaps, nor what comes of it passes through the holder. A worker cannot reach the socket, since its jail
has neither sockets nor the course's files.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from grader.engine import terms
from grader.engine.hold import Ladder
from grader.engine.keeper import Keeper
from grader.engine.sandbox import can_fork
from grader.engine.terms import Given, Hello, Lent, Reach, Refused, Stands, Wanted
from grader.errors import InternalFault
from grader.limits import LENDER_SECONDS

T = TypeVar("T")

_LOOK_SECONDS = 0.1  # between two looks at a ladder that the holder itself may be the first to hear of


@contextlib.contextmanager
def offered(keeper: Keeper, root: Path, by: str = "grade") -> Iterator[None]:
    """Offer the keeper's ladder to other commands in the course at `root` for the length of a block.

    by: the command that holds it, as others are told
    """
    offer = _open(keeper, root, by)
    try:
        yield
    finally:
        if offer is not None:
            offer.close()


def _open(keeper: Keeper, root: Path, by: str) -> Offer | None:
    if not can_fork():
        return None
    try:
        return Offer(keeper, root, by)
    except OSError:  # it can do without
        return None


class Offer:
    """A socket at which a keeper's ladder is lent, until `close`. Raises OSError where there can be none."""

    def __init__(self, keeper: Keeper, root: Path, by: str) -> None:
        self._keeper, self._root, self._by = keeper, root, by
        self._terms = terms.terms(root, keeper.environment)
        self._borrowers: dict[socket.socket, threading.Thread] = {}
        self._lock = threading.Lock()
        self._closed = False
        self._folder = terms.open_folder(root, make=True)
        self._name = secrets.token_hex(8)  # nobody takes a new holder's socket for that of one who is gone
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            os.fchmod(self._socket.fileno(), 0o600)  # which it is bound with
            hidden = f".{self._name}"
            self._socket.bind(terms.address(self._folder, hidden))
            self._socket.listen()
            os.rename(hidden, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)  # seen once it listens
        except OSError:
            self._socket.close()
            os.close(self._folder)
            raise
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Lend nothing more, and take back what is lent: from here on it is the keeper's alone."""
        with suppress(OSError):
            os.unlink(self._name, dir_fd=self._folder)
        with self._lock:
            self._closed = True
            left = dict(self._borrowers)
        for end in (self._socket, *left):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in (self._thread, *left.values()):
            thread.join()
        self._socket.close()
        os.close(self._folder)

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._socket.accept()
            except OSError:  # it is closed, or this process has no room for more: then nobody is to wait for an answer
                self._socket.close()
                return
            thread = threading.Thread(target=self._serve, args=(peer,), daemon=True)
            with self._lock:
                if self._closed:
                    peer.close()
                    return
                self._borrowers[peer] = thread
                thread.start()

    def _serve(self, peer: socket.socket) -> None:
        """One borrower, from its first word until it hangs up, or says what it should not."""
        with peer, suppress(OSError):
            if terms.peer_of(peer)[1] == os.geteuid():
                self._lend(peer)
        with self._lock:
            self._borrowers.pop(peer, None)

    def _lend(self, peer: socket.socket) -> None:
        peer.settimeout(LENDER_SECONDS)
        hello = _next(peer, Hello)
        differ = self._differences(hello)
        ladder = None if differ else self._keeper.lend(hello.reach.plan(), start=hello.start)
        if ladder is None:
            terms.send(peer, Refused(self._by, differ))
            return
        try:
            terms.send(peer, Lent(self._by, Reach.of(ladder.plan)))
            if not self._wait(ladder, peer):
                return
            terms.send(peer, Stands(ladder.sandbox.document()))
            peer.settimeout(None)
            while True:
                _next(peer, Wanted)
                line, leash = ladder.ends()
                with line, leash:
                    terms.send(peer, Given(), (line.fileno(), leash.fileno()))
        except InternalFault:
            self._keeper.retire(ladder)
            terms.send(peer, Refused(self._by))
        finally:
            self._keeper.give_back(ladder)

    def _differences(self, hello: Hello) -> tuple[str, ...]:
        """What the borrower is other than the ladder in. The ladder is as old as this process, or younger: as its files were
        at the beginning, as they must still be, so must the borrower's be."""
        now = terms.terms(self._root, self._keeper.environment, anew=True)
        names = sorted({*self._terms, *hello.terms})
        return tuple(name for name in names if not self._terms.get(name) == now.get(name) == hello.terms.get(name))

    def _wait(self, ladder: Ladder, peer: socket.socket) -> bool:
        """Until the ladder stands, whoever hears of it first; False where the borrower, or the offer, is gone before.

        Raises InternalFault where it never stands.
        """
        while not ladder.standing:
            both: list[Ladder | socket.socket] = [ladder, peer]
            try:
                ready = select.select(both, [], [], _LOOK_SECONDS)[0]
            except ValueError:  # it was taken down
                raise InternalFault("the ladder is gone") from None
            if peer in ready:
                return False
            if ladder in ready:
                ladder.hear()
        return True


def _next(peer: socket.socket, kind: type[T]) -> T:
    """What the borrower says next. Raises OSError where it is not this, or nothing more."""
    said, _ = terms.receive(peer)
    if not isinstance(said, kind):
        raise ConnectionError("that is not what comes next")
    return said
