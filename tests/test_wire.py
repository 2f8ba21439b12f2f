"""The wire: whatever is sent arrives as it was, and whatever hostile bytes arrive end in BadFrame."""

from __future__ import annotations

import contextlib
from collections import Counter, OrderedDict, defaultdict, deque
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.limits import MAX_KINDS
from grader.wire import HEADER, BadFrame, Encoder, Frame, Kinds, Shadows, Unsendable, decode, read_header
from grader.wire.frame import CODE, STRIDED, STRIDES, TAG_ARRAY, VERSION
from grader.wire.kinds import is_special

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


def received(data: bytes, **known: Any) -> Any:
    header = read_header(data)
    body = bytearray(data[HEADER.size :])
    if len(body) != header.tree_bytes + header.raw_bytes:
        raise BadFrame("cut")
    return decode(Frame(header.kind, header.call, header.tree_bytes, body), **known)[0]


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
            read_header(HEADER.pack(b"gk", VERSION, 1, 1, tree, raw))


# How arrays lie in memory

SECRET = 0x5EC3E75EC3E75EC3
GRID = np.full((5, 6, 7), SECRET, "int64")
VIEWS = {
    "transposed": lambda x: x.T,
    "one axis order": lambda x: x.transpose(1, 0, 2),
    "sliced": lambda x: x[1:4, ::2, 3:6],
    "a column": lambda x: x[:, 2, 3],
    "expanded": lambda x: np.broadcast_to(x[0, 0, :3], (4, 5, 3)),
    "windows that overlap": lambda x: np.lib.stride_tricks.sliding_window_view(x[0, 0], 3),
    "in Fortran's order": lambda x: np.asfortranarray(x[0]),
    "reversed": lambda x: x[::-1, :, ::-3],
}


@pytest.mark.parametrize("name", VIEWS)
def test_an_array_lies_there_as_it_lies_here(name: str) -> None:
    view = VIEWS[name](np.arange(5.0 * 6 * 7).reshape(5, 6, 7))
    back = received(sent(view))
    assert np.array_equal(back, view) and back.strides == view.strides
    assert (back.flags.c_contiguous, back.flags.f_contiguous) == (view.flags.c_contiguous, view.flags.f_contiguous)
    if min(view.strides) >= 0:
        tensor = torch.as_strided(
            torch.arange(300.0), view.shape, [stride // view.itemsize for stride in view.strides], 7
        )
        arrived = received(sent(tensor))
        assert torch.equal(arrived, tensor) and arrived.stride() == tensor.stride()


def test_a_large_array_with_gaps_of_one_length_arrives() -> None:
    view = np.arange(40_000.0).reshape(-1, 2)[:, :1]
    assert np.array_equal(received(sent(view)), view)


def test_a_view_of_a_view_fails_there_as_it_fails_here() -> None:
    x = received(sent(torch.arange(24.0).reshape(2, 3, 4).transpose(0, 1)))
    with pytest.raises(RuntimeError, match="view size is not compatible"):
        x.view(-1, 4)
    with pytest.raises(RuntimeError, match="single memory location"):
        received(sent(torch.ones(3).expand(2, 3))).add_(1)
    x = received(sent(torch.ones(2, 3, requires_grad=True).t()))
    assert x.stride() == (1, 3)


@pytest.mark.parametrize("dtype", ["bool", "float16", "float32", "complex64", "bfloat16"])
def test_every_dtype_keeps_its_order(dtype: str) -> None:
    tensor = torch.arange(6).reshape(2, 3).to(getattr(torch, dtype)).t()
    arrived = received(sent(tensor))
    assert arrived.dtype == tensor.dtype and torch.equal(arrived, tensor) and arrived.stride() == tensor.stride()


def test_nothing_between_the_elements_of_a_slice_is_sent() -> None:
    grid = GRID.copy()
    grid[:, ::2] = 1
    data = sent([grid[:, ::2], torch.from_numpy(grid)[:, ::2]])
    assert SECRET.to_bytes(8, "little") not in data
    assert SECRET.to_bytes(8, "little") in sent(grid)


@given(st.data())
def test_any_view_of_an_array_arrives_as_it_is(data: st.DataObject) -> None:
    base = np.arange(2.0 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    cut = tuple(
        slice(
            *sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n)))), data.draw(st.sampled_from([1, 2, 3]))
        )
        if data.draw(st.booleans())
        else slice(None, None, data.draw(st.sampled_from([1, -1, -2])))
        for n in base.shape
    )
    view = base[cut].transpose(data.draw(st.permutations(range(4))))
    back = received(sent(view))
    assert np.array_equal(back, view)
    assert view.flags.c_contiguous or back.strides == view.strides


def strided(shape: tuple[int, ...], strides: tuple[int, ...], tag: bytes = b"a") -> bytearray:
    """A frame's body: an array of float64 that says it lies so, and its elements."""
    tree = TAG_ARRAY[len(shape)].pack(tag, CODE["float64"], STRIDED, len(shape), *shape)
    tree += STRIDES[len(strides)].pack(*strides)
    raw = np.ones(shape).tobytes()
    return bytearray(tree + bytes(-len(tree) % 16) + raw + bytes(-len(raw) % 16))


def body(data: bytearray, shape: tuple[int, ...]) -> Frame:
    raw = np.ones(shape).nbytes
    return Frame(1, 1, len(data) - raw - -raw % 16, data)


@pytest.mark.parametrize(
    ("shape", "strides", "tag"),
    [
        ((2,), (1 << 62,), b"a"),
        ((2,), (-(1 << 62),), b"a"),
        ((2, 2), (1 << 24, 1 << 25), b"a"),
        ((0,), (1,), b"a"),
        ((2,), (-1,), b"T"),
    ],
)
def test_an_array_that_would_lie_too_far_apart_is_refused(shape: Any, strides: Any, tag: bytes) -> None:
    with pytest.raises(BadFrame):
        decode(body(strided(shape, strides, tag), shape))


def test_the_room_of_all_arrays_of_a_frame_is_bounded_together() -> None:
    far = (
        1 << 24,
    )  # elements of 8 bytes: an eighth of what a frame may take, and one of two elements takes a little more
    one = strided((2,), far)
    assert decode(body(one, (2,)))[0].strides == (8 << 24,)
    tree = TAG_ARRAY[1].pack(b"a", CODE["float64"], STRIDED, 1, 2) + STRIDES[1].pack(*far)
    many = b"l" + (3).to_bytes(4, "little") + 3 * tree
    data = bytearray(many + bytes(-len(many) % 16) + 3 * np.ones(2).tobytes())
    with pytest.raises(BadFrame, match="laid out too far"):
        decode(Frame(1, 1, len(data) - 48, data))


# Containers of a kind of their own


class State(NamedTuple):
    h: Any
    c: Any


class Words(list[str]):
    pass


def moved() -> OrderedDict[str, int]:
    """Its order is not that in which its keys came."""
    value = OrderedDict(a=1, b=2)
    value.move_to_end("a")
    return value


def there_and_back(value: Any) -> tuple[Any, Any]:
    """What a judge holds of a worker's value, and what the worker holds of it when it is given back."""
    kinds, shadows = Kinds(), Shadows()
    forth = Encoder(number_of=kinds.number)
    forth.value(value)
    held = received(b"".join(map(bytes, forth.frame(1, 1))), rebuild=shadows.rebuild)
    back = Encoder(number_of=shadows.number)
    back.value(held)
    return held, received(b"".join(map(bytes, back.frame(1, 1))), rebuild=kinds.rebuild)


@pytest.mark.parametrize(
    ("value", "base"),
    [
        (State(1, [2, State(3, 4)]), tuple),
        (defaultdict(list, a=[1]), dict),
        (OrderedDict(b=1, a=2), dict),
        (moved(), dict),
        (Counter("abba"), dict),
        (deque([1, 2, 3], maxlen=3), list),
        (Words(["a", "b"]), list),
    ],
)
def test_a_subclass_is_what_it_is_a_kind_of_and_comes_back_as_itself(value: Any, base: type) -> None:
    held, back = there_and_back(value)
    assert isinstance(held, base) and len(held) == len(value) and type(held).__name__ == base.__name__
    assert list(held) == list(value) and not hasattr(held, "h") and not hasattr(held, "default_factory")
    assert type(back) is type(value) and back == value
    assert getattr(back, "default_factory", None) is getattr(value, "default_factory", None)
    assert getattr(back, "maxlen", None) == getattr(value, "maxlen", None)
    assert type(received(sent(value))) is base, "without kinds it is its base"


def test_what_a_class_says_of_its_items_is_not_asked() -> None:
    class Liar(tuple[int, ...]):
        def __iter__(self) -> Any:
            return iter((7, 7))

        def __len__(self) -> int:
            return 2

    assert received(sent(Liar([1, 2, 3]))) == (1, 2, 3)


def test_the_named_tuples_of_torch_are_tuples() -> None:
    values, places = received(sent(torch.ones(2, 3).max(dim=1)))
    assert values.tolist() == [1, 1] and places.dtype == torch.int64
    _, back = there_and_back(torch.ones(2, 3).max(dim=1))
    assert isinstance(back, tuple) and len(back) == 2


def test_a_kind_has_one_number() -> None:
    kinds = Kinds()
    assert [kinds.number(value) for value in (State(1, 2), Words(), State(3, 4), Words(["a"]))] == [0, 1, 0, 1]
    assert [is_special(kind) for kind in (tuple, list, dict, int, object)] == [False] * 5
    assert [is_special(kind) for kind in (State, Words, deque, OrderedDict, Counter)] == [True] * 5


def test_the_kinds_of_containers_are_bounded() -> None:
    kinds = Kinds()
    numbers = [kinds.number(type("T", (tuple,), {})()) for _ in range(MAX_KINDS + 3)]
    assert numbers == [*range(MAX_KINDS), None, None, None]
    for number, content in ((MAX_KINDS, ()), (0, "text"), (0, None)):
        with pytest.raises(BadFrame):
            Shadows().rebuild(number, content)
    with pytest.raises(BadFrame, match="where none is expected"):
        received(b"".join(map(bytes, _special_frame())))


def _special_frame() -> list[Any]:
    encoder = Encoder(number_of=Kinds().number)
    encoder.value(State(1, 2))
    return encoder.frame(1, 1)
