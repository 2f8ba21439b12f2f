"""Frames: the header, the closed table of dtypes, and the two ways in which a frame can be wrong."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from grader.limits import MAX_DIMENSIONS, MAX_RAW_BYTES, MAX_TREE_BYTES

MAGIC = b"gk"
VERSION = 2
HEADER = struct.Struct("<2sBBIIQ")  # magic, version, kind, call id, tree bytes, raw bytes
ALIGNMENT = 16

# How a value of the tree begins: its tag, and what follows it at once.
TAG_BYTE = struct.Struct("<cB")
TAG_U32 = struct.Struct("<cI")
TAG_I64 = struct.Struct("<cq")
TAG_F64 = struct.Struct("<cd")
TAG_C128 = struct.Struct("<cdd")
TAG_ARRAY = tuple(struct.Struct(f"<cBBB{n}q") for n in range(MAX_DIMENSIONS + 1))  # tag, dtype, flags, n, shape

# Flags of an array. The strides of one that does not lie in C order follow its shape, in elements.
REQUIRES_GRAD = 1
STRIDED = 2
STRIDES = tuple(struct.Struct(f"<{n}q") for n in range(MAX_DIMENSIONS + 1))

# What costs its reader more than a plain value counts against MAX_NODES as this many.
ARRAY_NODES = 16
GENERATOR_NODES = 512

# The closed table of dtypes. A code is an index; the names exist in numpy, in torch, or in both.
DTYPES = (
    "bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64", "complex64", "complex128",
    "bfloat16", "uint16", "uint32", "uint64",
)  # fmt: skip
CODE = {name: code for code, name in enumerate(DTYPES)}
ITEMSIZE = (1, 1, 1, 2, 4, 8, 2, 4, 8, 8, 16, 2, 2, 4, 8)
BOOL, BFLOAT16 = CODE["bool"], CODE["bfloat16"]


class Unsendable(TypeError):
    """A value that cannot cross the wire; the text names its type."""


class BadFrame(ValueError):
    """Bytes that no honest peer sends."""


class Header(NamedTuple):
    """The head of a frame, already checked against the limits."""

    kind: int
    call: int
    tree_bytes: int
    raw_bytes: int


class Frame(NamedTuple):
    """One received frame: its kind, the call that it belongs to, and its undecoded body."""

    kind: int
    call: int
    tree_bytes: int
    body: bytearray


def span(shape: Sequence[int], strides: Sequence[int]) -> tuple[int, int]:
    """How many elements lie between the first and the last of an array in memory, both counted, and the place of its
    entry (0, ..., 0) among them. No dimension is 0; strides are in elements."""
    reaches = [(size - 1) * stride for size, stride in zip(shape, strides, strict=True)]
    before = -sum(reach for reach in reaches if reach < 0)
    return before + sum(reach for reach in reaches if reach > 0) + 1, before


def read_header(data: bytes | bytearray | memoryview) -> Header:
    """Check the first `HEADER.size` bytes of a frame."""
    if len(data) < HEADER.size:
        raise BadFrame("a frame that ends inside its header")
    magic, version, kind, call, tree_bytes, raw_bytes = HEADER.unpack_from(data)
    if magic != MAGIC or version != VERSION:
        raise BadFrame(f"a frame begins with {bytes(data[:3])!r}, expected {MAGIC + bytes([VERSION])!r}")
    if tree_bytes > MAX_TREE_BYTES or raw_bytes > MAX_RAW_BYTES or tree_bytes % ALIGNMENT:
        raise BadFrame(
            f"a frame declares {tree_bytes} + {raw_bytes} bytes; the limit is {MAX_TREE_BYTES} + {MAX_RAW_BYTES}"
        )
    return Header(kind, call, tree_bytes, raw_bytes)
