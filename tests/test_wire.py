"""The wire: whatever is sent arrives as it was, and whatever hostile bytes arrive end in BadFrame."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.wire import HEADER, BadFrame, Encoder, Frame, Unsendable, decode, read_header

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)
SAMPLE = {"x": [1, 2.5, "text", None], "array": np.arange(6.0).reshape(2, 3), "tensor": torch.ones(2, 2)}


def sent(value: Any) -> bytes:
    encoder = Encoder()
    encoder.value(value)
    return b"".join(bytes(part) for part in encoder.frame(1, 7))


def received(data: bytes) -> Any:
    header = read_header(data)
    body = bytearray(data[HEADER.size :])
    if len(body) != header.tree_bytes + header.raw_bytes:
        raise BadFrame("cut")
    return decode(Frame(header.kind, header.call, header.tree_bytes, body))[0]


@given(VALUES)
def test_plain_values_arrive_as_they_were(value: Any) -> None:
    back = received(sent(value))
    assert back == value and type(back) is type(value)


def test_an_ordered_dict_arrives_as_a_dict() -> None:
    """Such is a `state_dict()`, and what checks ask for is a dict."""
    state = torch.nn.Linear(2, 1).state_dict()
    back = received(sent(state))
    assert type(back) is dict and list(back) == list(state) and torch.equal(back["weight"], state["weight"])


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "int64", "float16", "float32", "float64", "complex128"])
def test_arrays_and_tensors_of_every_kind_arrive_as_they_were(dtype: str) -> None:
    for array in (np.arange(12).reshape(3, 4), np.arange(12).reshape(3, 4).T[::-1], np.array(3), np.zeros((0, 2))):
        typed = array.astype(dtype)
        back = received(sent(typed))
        assert back.dtype == typed.dtype and back.shape == typed.shape and np.array_equal(back, typed)
        tensor = torch.from_numpy(typed.copy())
        arrived = received(sent(tensor))
        assert arrived.dtype == tensor.dtype and torch.equal(arrived, tensor)


@pytest.mark.parametrize(
    "value",
    [torch.ones(2).to_sparse(), torch.ones(2, device="meta"), np.array([None]), object(), {1, 2}, len],
)
def test_what_cannot_cross_is_refused(value: Any) -> None:
    with pytest.raises(Unsendable):
        sent(value)


def test_a_list_that_contains_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(Unsendable, match="nested"):
        sent(endless)


@settings(max_examples=500)
@given(st.integers(0, len(sent(SAMPLE)) - 1), st.integers(0, 255))
def test_a_changed_byte_gives_another_value_or_a_bad_frame(place: int, byte: int) -> None:
    data = bytearray(sent(SAMPLE))
    data[place] = byte
    with contextlib.suppress(BadFrame):
        received(bytes(data))


@settings(max_examples=500)
@given(st.binary(max_size=200))
def test_random_bytes_are_a_bad_frame_or_a_value(noise: bytes) -> None:
    tree = noise + bytes(-len(noise) % 16)
    with contextlib.suppress(BadFrame):
        decode(Frame(1, 1, len(tree), bytearray(tree)))


def test_a_length_beyond_the_cap_is_refused_before_memory_is_taken() -> None:
    for tree, raw in ((1 << 31, 0), (0, 1 << 62)):
        with pytest.raises(BadFrame, match="declares"):
            read_header(HEADER.pack(b"gk", 1, 1, 1, tree, raw))
