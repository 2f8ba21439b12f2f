"""Every bound of the decoder, at its edge: the last that is let through, and the first that is refused, from bytes made by hand."""

from __future__ import annotations

import struct
import sys
from typing import Any

import numpy as np
import pytest
import torch

from grader.limits import (
    MAX_COLLISIONS,
    MAX_DEPTH,
    MAX_DIMENSIONS,
    MAX_INTEGER_BYTES,
    MAX_KINDS,
    MAX_RAW_BYTES,
    MAX_TREE_BYTES,
)
from grader.wire import BadFrame, Decoder, Encoder, Frame, decode, read_header
from grader.wire import decode as decode_function
from grader.wire.frame import CODE, DTYPES, REQUIRES_GRAD, STRIDED

NAMES = sys.modules[decode_function.__module__]
ARRAY_NODES, GENERATOR_NODES = 16, 512


def tagged(tag: bytes, number: int) -> bytes:
    return struct.pack("<cI", tag, number)


def many(tag: bytes, items: list[bytes]) -> bytes:
    return tagged(tag, len(items)) + b"".join(items)


def integer(value: int) -> bytes:
    return struct.pack("<cq", b"i", value)


def long(value: int, size: int) -> bytes:
    return tagged(b"I", size) + value.to_bytes(size, "little", signed=True)


def array(
    *shape: int, tag: bytes = b"a", dtype: str | int = "uint8", flags: int = 0, strides: tuple[int, ...] | None = None
) -> bytes:
    code = CODE[dtype] if isinstance(dtype, str) else dtype
    head = struct.pack(f"<cBBB{len(shape)}q", tag, code, flags | (STRIDED if strides else 0), len(shape), *shape)
    return head + struct.pack(f"<{len(strides or ())}q", *(strides or ()))


def decoder(tree: bytes, raw: bytes = b"", **known: Any) -> Decoder:
    return Decoder(bytearray(tree + raw), len(tree), **known)


def read(tree: bytes, raw: bytes = b"", **known: Any) -> Any:
    """The value of a tree, with the raw bytes of its arrays, just as they are."""
    return decode(Frame(1, 1, len(tree), bytearray(tree + raw)), **known)[0]


def refused(why: str, tree: bytes, raw: bytes = b"", **known: Any) -> None:
    with pytest.raises(BadFrame, match=why):
        read(tree, raw, **known)


# A frame as a whole


def header(
    magic: bytes = b"gk", version: int = 2, kind: int = 3, call: int = 4, tree: int = 16, raw: int = 5
) -> tuple[int, int, int, int]:
    return tuple(read_header(struct.pack("<2sBBIIQ", magic, version, kind, call, tree, raw)))  # type: ignore[return-value]


def test_the_header_is_held_to_its_bounds_before_memory_is_taken() -> None:
    assert header() == (3, 4, 16, 5)
    assert header(tree=MAX_TREE_BYTES, raw=MAX_RAW_BYTES)[2:] == (MAX_TREE_BYTES, MAX_RAW_BYTES)
    assert header(tree=0, raw=0)[2:] == (0, 0)
    for sizes in ({"tree": MAX_TREE_BYTES + 16}, {"raw": MAX_RAW_BYTES + 1}, {"tree": 8}, {"tree": 17}):
        with pytest.raises(BadFrame, match="a frame declares"):
            header(**sizes)
    for begins in ({"magic": b"kg"}, {"version": 1}, {"version": 3}):
        with pytest.raises(BadFrame, match="a frame begins with"):
            header(**begins)
    whole = struct.pack("<2sBBIIQ", b"gk", 2, 3, 4, 16, 5)
    assert tuple(read_header(whole + b"more")) == (3, 4, 16, 5)
    with pytest.raises(BadFrame, match="ends inside its header"):
        read_header(whole[:-1])


WHOLE = {
    "an int": integer(1),
    "a float": struct.pack("<cd", b"d", 1.0),
    "a complex": struct.pack("<cdd", b"x", 1.0, 2.0),
    "a text": tagged(b"s", 3) + b"abc",
    "bytes": tagged(b"b", 3) + b"abc",
    "a long int": long(1 << 70, 9),
    "an empty list": tagged(b"l", 0),
    "a dtype": b"D\1",
    "an array": array(0, 2),
    "an array with strides": array(1, 1, strides=(1, 1)),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_value_that_is_cut_anywhere_is_refused(name: str) -> None:
    tree, raw = WHOLE[name], bytes(16) if "strides" in name else b""
    read(tree, raw)
    for length in range(1, len(tree)):
        refused("ends inside a value", tree[:length], raw)
    refused("unknown tag b''", b"", raw)


def test_an_unknown_tag_is_refused() -> None:
    for tag in set(range(256)) - set(b"NtfiIdxsblumkcOagTDzGR"):
        refused("unknown tag", bytes([tag]) + bytes(15))


def test_what_belongs_to_nothing_is_refused() -> None:
    assert read(b"N" + bytes(15)) is None
    refused("belong to nothing", b"N" + bytes(16))
    refused("belong to nothing", b"N" + bytes(14) + b"\1")
    refused("belong to nothing", b"NN")
    refused("belong to nothing", b"N", bytes(1))
    refused("belong to nothing", array(1), bytes(17))
    assert read(array(1), bytes(16)).tolist() == [0]


# Numbers of values


def test_the_values_of_a_frame_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Items one by one, an array as 16, a generator as 512; in all places of a frame together."""
    monkeypatch.setattr(NAMES, "MAX_NODES", 1000)
    assert read(many(b"l", [b"N"] * 1000)) == [None] * 1000
    refused("too many values", many(b"l", [b"N"] * 1001))
    refused("too many values", many(b"l", [many(b"u", [b"N"] * 500)] * 2))
    assert len(read(many(b"l", [many(b"u", [b"N"] * 499)] * 2))) == 2
    refused("too many values", many(b"m", [b"N"] * 1001 * 2)[:1] + struct.pack("<I", 501) + b"N" * 1002)
    state = long(0, 1)
    kinds = {
        array(0): ARRAY_NODES,
        array(0, tag=b"T"): ARRAY_NODES,
        tagged(b"z", 0): ARRAY_NODES,
        b"R" + long(1, 1) * 2 + integer(0) * 2: GENERATOR_NODES + 4,
        b"cNNN": 3,
        tagged(b"k", 0) + state: 1,
        tagged(b"O", 0) + state: 1,
    }
    for one, nodes in kinds.items():
        room = 1000 - nodes - 1
        known = {"resolve": lambda *seen: None, "rebuild": lambda *seen: None}
        assert len(read(many(b"u", [one] + [b"N"] * room), **known)) == room + 1
        refused("too many values", many(b"u", [one] + [b"N"] * (room + 1)), **known)


def test_a_torch_generator_counts_as_many_values(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = Encoder()
    encoder.value(torch.Generator())
    frame = b"".join(map(bytes, encoder.frame(1, 1)))[20:]
    tree, raw = bytes(encoder.tree), frame[len(encoder.tree) :]
    monkeypatch.setattr(NAMES, "MAX_NODES", GENERATOR_NODES + 1 + ARRAY_NODES)
    made = decoder(tree, raw)
    assert made.root() is made.generators[0] and isinstance(made.generators[0], torch.Generator)
    monkeypatch.setattr(NAMES, "MAX_NODES", GENERATOR_NODES + ARRAY_NODES)
    refused("too many values", tree, raw)


def nested(wrap: bytes, depth: int) -> bytes:
    return wrap * depth + b"N"


@pytest.mark.parametrize("wrap", [tagged(b"l", 1), tagged(b"u", 1), tagged(b"k", 0), tagged(b"O", 0)])
def test_how_deep_values_nest_is_bounded(wrap: bytes) -> None:
    known = {"resolve": lambda *seen: [seen], "rebuild": lambda *seen: [seen]}
    read(nested(wrap, MAX_DEPTH), **known)
    refused("nests too deep", nested(wrap, MAX_DEPTH + 1), **known)


@pytest.mark.parametrize(
    "inner", [b"cNNN", tagged(b"m", 1) + b"NN", tagged(b"z", 1) + integer(1), b"G" + b"N", b"RNNNN"]
)
def test_what_holds_values_nests_as_a_list_does(inner: bytes) -> None:
    refused("nests too deep", tagged(b"l", 1) * MAX_DEPTH + inner)
    if inner[:1] in b"cmz":
        read(tagged(b"l", 1) * (MAX_DEPTH - 1) + inner)


def test_a_container_of_more_than_the_frame_can_hold_is_refused_at_once() -> None:
    assert read(tagged(b"l", 3) + b"NtN") == [None, True, None]
    refused("more items than it can hold", tagged(b"l", 4) + b"NtN")
    refused("more items than it can hold", tagged(b"m", 2) + b"NtN")
    refused("more items than it can hold", tagged(b"l", 1 << 31) + b"NtN")


# Plain values


def test_an_int_has_its_bytes() -> None:
    for value in (0, -1, (1 << 63) - 1, -(1 << 63)):
        assert read(integer(value)) == value
    for value in (1 << (8 * MAX_INTEGER_BYTES - 2), -(1 << (8 * MAX_INTEGER_BYTES - 1))):
        assert read(long(value, MAX_INTEGER_BYTES)) == value
    refused("too many bytes", long(1, MAX_INTEGER_BYTES + 1))


def test_plain_values_are_what_they_are() -> None:
    assert read(many(b"u", [b"t", b"f", b"N"])) == (True, False, None)
    assert read(struct.pack("<cd", b"d", 0.5)) == 0.5 and read(struct.pack("<cdd", b"x", 0.5, -2.0)) == 0.5 - 2j
    assert read(tagged(b"s", 5) + "aß\N{SNOWMAN}".encode()[:5]) == "aß\N{REPLACEMENT CHARACTER}"
    assert read(tagged(b"b", 2) + b"\xff\0") == b"\xff\0"
    assert read(b"c" + integer(1) + b"N" + integer(3)) == slice(1, None, 3)


def test_a_text_that_is_longer_than_the_tree_is_refused() -> None:
    """Even where raw bytes follow: a value never strays into them."""
    assert read(tagged(b"b", 4) + bytes(4)) == bytes(4)
    refused("ends inside a value", tagged(b"b", 5) + bytes(4), bytes(16))


def test_a_dict_has_keys_that_can_be_keys() -> None:
    assert read(tagged(b"m", 2) + integer(1) + b"t" + b"Nf") == {1: True, None: False}
    refused("cannot be one", tagged(b"m", 1) + tagged(b"l", 0) + b"N")


def test_keys_that_collide_are_bounded() -> None:
    def keyed(count: int) -> bytes:
        return tagged(b"m", count) + b"".join(long(n * (2**61 - 1), 16) + b"N" for n in range(count))

    assert len(read(keyed(MAX_COLLISIONS + 1))) == MAX_COLLISIONS + 1  # all but one share their hash with another
    refused("keys collide", keyed(MAX_COLLISIONS + 2))
    apart = tagged(b"m", 500) + b"".join(integer(n) + b"N" for n in range(500))
    assert len(read(apart)) == 500


def test_containers_of_a_kind_and_objects_are_made_by_those_who_know_them() -> None:
    tree = b"t"
    assert read(tagged(b"k", 7) + tree, rebuild=lambda *seen: seen) == (7, True)
    assert read(tagged(b"O", 7) + tree, resolve=lambda *seen: seen) == (7, True)
    refused("a container of a kind where none is expected", tagged(b"k", MAX_KINDS) + tree, resolve=lambda *seen: seen)
    refused("an object where none is expected", tagged(b"O", 7) + tree, rebuild=lambda *seen: seen)


# Arrays


def test_the_code_of_a_dtype_its_flags_and_its_dimensions_are_bounded() -> None:
    unknown = "unknown dtype or too many dimensions"
    assert read(array(0, dtype=len(DTYPES) - 1)).dtype == DTYPES[-1]
    refused(unknown, array(0, dtype=len(DTYPES)))
    refused(unknown, array(0, dtype=255))
    assert read(array(1, 1, tag=b"T", dtype="float32", flags=REQUIRES_GRAD, strides=(1, 1)), bytes(16)).numel() == 1
    for flags in (4, 128):
        refused(unknown, array(0, tag=b"T", dtype="float32", flags=flags))
    assert read(array(*[1] * MAX_DIMENSIONS), bytes(16)).ndim == MAX_DIMENSIONS
    assert read(array(*[1] * MAX_DIMENSIONS, strides=(1,) * MAX_DIMENSIONS), bytes(16)).ndim == MAX_DIMENSIONS
    refused(unknown, array(*[1] * (MAX_DIMENSIONS + 1)), bytes(16))
    refused("unknown dtype", b"D" + bytes([len(DTYPES)]))


@pytest.mark.parametrize("name", DTYPES)
def test_every_code_is_its_dtype(name: str) -> None:
    """By the size of its elements too."""
    assert read(b"D" + bytes([CODE[name]])) is getattr(torch, name)
    dtype = getattr(torch, name)
    raw = bytes(16 * dtype.itemsize)
    tensor = read(array(16, tag=b"T", dtype=name), raw)
    assert tensor.dtype == dtype and tensor.shape == (16,)
    refused("larger than its frame", array(16, tag=b"T", dtype=name), raw[16:])
    if name != "bfloat16":
        assert (
            read(array(16, dtype=name), raw).dtype == name
            and read(array(tag=b"g", dtype=name), bytes(16)).dtype == name
        )
    if dtype.is_floating_point or dtype.is_complex:
        made = decoder(array(16, tag=b"T", dtype=name, flags=REQUIRES_GRAD), raw)
        assert made.root() is made.differentiable[0]
    else:
        refused("integers that requires grad", array(16, tag=b"T", dtype=name, flags=REQUIRES_GRAD), raw)


def test_an_array_of_absurd_shape_is_refused() -> None:
    """Also where another dimension is 0, so that nothing would be sent."""
    refused("negative size", array(-1))
    refused("negative size", array(2, -3), bytes(16))
    for shape in ((MAX_RAW_BYTES,), (0, MAX_RAW_BYTES), (MAX_RAW_BYTES >> 4, 0, 16)):
        if 0 in shape:
            assert read(array(*shape)).shape == shape
        else:
            refused("larger than its frame", array(*shape), bytes(16))
    for shape in ((MAX_RAW_BYTES + 1,), (0, MAX_RAW_BYTES + 1), (MAX_RAW_BYTES >> 4, 0, 17), (1 << 62, 1 << 62)):
        refused("absurd shape", array(*shape), bytes(16))
    refused("absurd shape", array(0, (MAX_RAW_BYTES >> 3) + 1, dtype="float64"))


def test_arrays_take_their_bytes_one_after_another() -> None:
    raw = bytes(range(1, 49))
    first, empty, second, third = read(many(b"l", [array(3), array(0), array(16), array(2, dtype="bool")]), raw)
    assert first.tolist() == [1, 2, 3] and empty.tolist() == [] and second.tolist() == list(raw[16:32])
    assert third.dtype == bool and third.view("uint8").tolist() == [1, 1]
    refused("larger than its frame", many(b"l", [array(3), array(33)]), raw)
    assert read(array(2, dtype="bool"), bytes(16)).tolist() == [False, False]


def test_an_array_of_nothing_cannot_lie_in_some_order() -> None:
    refused("nothing that lies in some order", array(2, 0, strides=(1, 1)))


def test_an_array_lies_in_memory_as_it_says() -> None:
    lies = read(array(2, 3, dtype="int16", strides=(-1, 4)), np.arange(8, dtype="int16").tobytes())
    assert lies.tolist() == [[0, 1, 2], [3, 4, 5]] and lies.strides == (-2, 8)
    apart = read(array(3, strides=(2,)), bytes([5, 6, 7]) + bytes(13))
    assert apart.base.tolist() == [5, 0, 6, 0, 7], "and between its elements nothing"


def test_what_arrays_take_beside_the_frame_is_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NAMES, "MAX_RAW_BYTES", 100)
    one = array(2, dtype="int16", strides=(24,))  # 25 elements of two bytes
    assert len(read(many(b"l", [one] * 2), bytes(32))) == 2
    more = array(2, dtype="uint8", strides=(1,))
    refused("laid out too far", many(b"l", [one, one, more]), bytes(48))
    refused("laid out too far", array(2, dtype="int16", strides=(50,)), bytes(16))
    assert read(array(2, dtype="int16", strides=(49,)), bytes(16)).strides == (98,)


def test_an_array_of_numpy_has_what_numpy_has() -> None:
    for tag, kind in ((b"a", "an array"), (b"g", "a scalar")):
        refused(f"{kind} as numpy has none", array(tag=tag, dtype="bfloat16"), bytes(16))
        refused(f"{kind} as numpy has none", array(tag=tag, dtype="float32", flags=REQUIRES_GRAD), bytes(16))
    refused("a scalar as numpy has none", array(1, tag=b"g"), bytes(16))
    scalar = read(array(tag=b"g", dtype="int16"), struct.pack("<h", -7) + bytes(14))
    assert type(scalar) is np.int16 and scalar == -7


def test_a_tensor_does_not_lie_backwards() -> None:
    refused("a tensor as torch has none", array(2, tag=b"T", strides=(-1,)), bytes(16))
    refused("a tensor as torch has none", array(2, 2, tag=b"T", strides=(1, -2)), bytes(16))
    assert read(array(2, 2, tag=b"T", strides=(0, 0)), bytes(16)).stride() == (0, 0)


def test_a_tensor_of_bfloat16_has_its_values() -> None:
    raw = torch.tensor([1.5, -2.0], dtype=torch.bfloat16).view(torch.int16).numpy().tobytes()
    assert read(array(2, tag=b"T", dtype="bfloat16"), raw + bytes(12)).tolist() == [1.5, -2.0]


# What else numpy and torch have


def test_a_size_is_made_of_ints_that_fit() -> None:
    largest = (1 << 63) - 1
    size = read(many(b"z", [integer(largest), integer(-largest), integer(0)]))
    assert type(size) is torch.Size and size == (largest, -largest, 0)
    for item in (b"t", struct.pack("<cd", b"d", 1.0), b"N", long(1 << 63, 9)):
        refused("a size that is none", many(b"z", [integer(1), item]))


def test_a_generator_has_a_state_that_can_be_one() -> None:
    for state, raw in ((b"N", 0), (integer(1), 0), (array(3, tag=b"T"), 16), (array(3), 16), (array(0, tag=b"T"), 0)):
        refused("without its state", b"G" + state, bytes(raw))
    good = [long(5, 1), long(7, 1), integer(1), integer(9)]
    generator = read(b"R" + b"".join(good))
    assert generator.bit_generator.state == {
        "bit_generator": "PCG64",
        "state": {"state": 5, "inc": 7},
        "has_uint32": 1,
        "uinteger": 9,
    }
    for place in range(4):
        for bad in (b"N", tagged(b"s", 1) + b"x", long(1 << 200, 26)):
            refused("without its state", b"R" + b"".join([*good[:place], bad, *good[place + 1 :]]))


def test_generators_are_noted_in_order() -> None:
    made = decoder(many(b"l", [b"R" + b"".join([long(n, 1), long(1, 1), integer(0), integer(0)]) for n in (3, 4)]))
    assert made.root() == made.generators and [g.bit_generator.state["state"]["state"] for g in made.generators] == [
        3,
        4,
    ]


@pytest.mark.parametrize(
    ("name", "tree"),
    [("numpy", array(0)), ("torch", array(0, tag=b"T")), ("torch", b"D\1"), ("torch", tagged(b"z", 0))],
)
def test_a_library_that_is_not_loaded_is_not_used(monkeypatch: pytest.MonkeyPatch, name: str, tree: bytes) -> None:
    monkeypatch.delitem(sys.modules, name)
    refused(f"a value of {name}, which this process does not use", tree)
