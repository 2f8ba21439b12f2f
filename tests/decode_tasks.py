"""The most that a frame can ask of who decodes it: each tree in a forked process, which cannot take more than is granted."""

import os
import resource
import signal
import struct
from pathlib import Path

import numpy  # noqa: F401  # the decoder uses what its process has loaded
import torch  # noqa: F401

from grader.limits import MAX_TREE_BYTES
from grader.wire import BadFrame, Frame, decode

MEMORY, SECONDS = 256 << 20, 60  # the slowest takes five on a quiet machine; what hangs would take for ever
HEAD = struct.Struct("<cI")


def padded(tree: bytes) -> bytes:
    return tree + bytes(-len(tree) % 16)


def of(one: bytes, times: int | None = None) -> bytes:
    """A list of the same thing, over and over: as often as is said, or as the tree can hold."""
    count = times or (MAX_TREE_BYTES - 32) // len(one)
    return padded(HEAD.pack(b"l", count) + one * count)


def colliding() -> bytes:
    """A dict whose keys are different numbers of one hash."""
    keys = (HEAD.pack(b"I", 1024) + (n * (2**61 - 1)).to_bytes(1024, "little") + b"N" for n in range(16_000))
    return padded(HEAD.pack(b"m", 16_000) + b"".join(keys))


LARGE = {
    "bytes of empty lists": lambda: of(b"l" + bytes(4)),
    "empty lists, as many as may be": lambda: of(b"l" + bytes(4), 999_999),
    "lists of one": lambda: of(b"l\1\0\0\0N", 499_999),
    "empty dicts": lambda: of(b"m" + bytes(4), 999_999),
    "dicts of one": lambda: of(b"m\1\0\0\0NN", 333_332),
    "ints": lambda: of(b"i" + b"\xff" * 8, 999_999),
    "ints of a kilobyte": lambda: of(HEAD.pack(b"I", 1024) + b"\x7f" * 1024),
    "complex numbers": lambda: of(b"x" + b"\1" * 16, 980_000),
    "texts of wide letters": lambda: of(HEAD.pack(b"s", 1 << 20) + "\U0001f600".encode() * (1 << 18), 15),
    "broken text": lambda: of(HEAD.pack(b"s", 15 << 20) + b"\xff" * (15 << 20), 1),
    "slices": lambda: of(b"cNNN", 249_999),
    "sizes": lambda: of(b"z" + bytes(4), 58_000),
    "arrays without elements": lambda: of(struct.pack("<cBBBq", b"a", 8, 0, 1, 0), 58_000),
    "tensors without elements": lambda: of(struct.pack("<cBBBq", b"T", 8, 1, 1, 0), 58_000),
    "generators": lambda: of(b"RI\1\0\0\0\1I\1\0\0\0\1i" + bytes(8) + b"i" + bytes(8), 1_900),
    "keys that collide": colliding,
}


def main() -> None:
    for name, make in LARGE.items():
        tree = bytearray(make())
        assert len(tree) <= MAX_TREE_BYTES, name
        child = os.fork()
        if child == 0:
            size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
            signal.alarm(SECONDS)
            try:
                decode(Frame(17, 1, len(tree), tree), lambda handle, description: description)
            except BadFrame:
                pass
            except BaseException:
                os._exit(1)
            os._exit(0)
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(f"{'held' if ended == 0 else f'ended with {ended}'}: {name}", flush=True)


if __name__ == "__main__":
    main()
