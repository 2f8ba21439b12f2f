"""Every bound of the encoder, at its edge, and exactly what it writes: the reader's bounds are in `test_decode.py`."""

from __future__ import annotations

import struct
import sys
from typing import Any

import numpy as np
import pytest
import torch

from grader.limits import MAX_DEPTH, MAX_DIMENSIONS, MAX_INTEGER_BYTES
from grader.wire import HEADER, Encoder, Frame, Kinds, Unsendable, decode, read_header, type_name
from grader.wire.frame import CODE, REQUIRES_GRAD

NAMES = sys.modules[Encoder.__module__]
ARRAY_NODES, GENERATOR_NODES = 16, 512


def encoder(value: Any, **known: Any) -> Encoder:
    made = Encoder(**known)
    made.value(value)
    return made


def refused(why: str, value: Any, **known: Any) -> None:
    with pytest.raises(Unsendable, match=why):
        encoder(value, **known)


def back(value: Any) -> Any:
    made = encoder(value)
    (data,) = made.frame(1, 1)
    header = read_header(data)
    return decode(Frame(1, 1, header.tree_bytes, bytearray(data[HEADER.size :])))[0]


# A frame as a whole


def test_a_frame_is_its_header_its_tree_and_its_arrays() -> None:
    made = encoder([True, np.arange(3, dtype="int16")])
    (data,) = made.frame(3, 9)
    assert data[: HEADER.size] == b"gk" + struct.pack("<BBIIQ", 2, 3, 9, 32, 16)
    assert data[HEADER.size :] == (
        struct.pack("<cI", b"l", 2) + b"t" + struct.pack("<cBBBq", b"a", CODE["int16"], 0, 1, 3) + bytes(14)
        + np.arange(3, dtype="int16").tobytes() + bytes(10)
    )  # fmt: skip


def test_large_arrays_are_sent_from_where_they_lie() -> None:
    """Those of 64 KiB and more; a smaller one is copied, and where all are small the frame is one buffer."""
    edge = 1 << 16
    assert len(encoder(np.zeros(edge - 16, "uint8")).frame(1, 1)) == 1
    large = np.zeros(edge, "uint8")
    parts = encoder(large).frame(1, 1)
    assert len(parts) == 4 and np.shares_memory(np.frombuffer(parts[2], "uint8"), large)
    assert len(encoder([np.zeros(edge - 1, "uint8")]).frame(1, 1)) == 3, "padded it is as long, and copied all the same"
    assert len(encoder([np.zeros(edge // 2, "uint8")] * 2).frame(1, 1)) == 4
    across = np.arange(edge, dtype="int16").reshape(2, -1).T
    sent = b"".join(map(bytes, encoder(across).frame(1, 1)))
    assert sent.endswith(across.tobytes())
    odd = np.ones(edge + 1, "uint8")
    assert b"".join(map(bytes, encoder(odd).frame(1, 1))).endswith(bytes([1] * (edge + 1)) + bytes(15))


def test_the_tree_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NAMES, "MAX_TREE_BYTES", 64)
    encoder([None] * 59).frame(1, 1)
    with pytest.raises(Unsendable, match="MB of values in one call"):
        encoder([None] * 60).frame(1, 1)
    encoder("x" * 64)
    refused("a text of 0 MB", "x" * 65)
    refused("a text of 0 MB", b"x" * 65)


def test_how_much_was_too_much_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NAMES, "MAX_TREE_BYTES", 1_000_000)
    refused("a text of 3 MB", "x" * 3_000_000)
    made = encoder(["x" * 700_000] * 3)
    with pytest.raises(Unsendable, match=r"^2 MB of values"):
        made.frame(1, 1)
    monkeypatch.setattr(NAMES, "MAX_RAW_BYTES", 1_000_000)
    refused("arrays of 2 MB", [np.zeros(800_000, "uint8")] * 2)


def test_the_arrays_of_a_frame_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NAMES, "MAX_RAW_BYTES", 64)
    encoder([np.zeros(17, "uint8"), np.zeros(32, "uint8")])
    refused("MB in one call", [np.zeros(17, "uint8"), np.zeros(33, "uint8")])


def test_the_values_of_a_frame_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """One by one, an array as 16, a generator as 512; in all places of a frame together."""
    monkeypatch.setattr(NAMES, "MAX_NODES", 1000)
    encoder([None] * 999)
    refused("more than 1,000 values", [None] * 1000)
    encoder([[None] * 498, [None] * 499])
    refused("more than 1,000 values", [[None] * 499] * 2)
    kinds = {
        "array": (np.zeros(0), ARRAY_NODES),
        "tensor": (torch.zeros(0), ARRAY_NODES),
        "size": (torch.Size([1, 2]), ARRAY_NODES + 2),
        "dict": ({1: 2}, 2),
        "numpy": (np.random.default_rng(0), GENERATOR_NODES + 4),
        "torch": (torch.Generator(), GENERATOR_NODES + 1 + ARRAY_NODES),
    }
    for value, nodes in kinds.values():
        encoder((value, *[None] * (998 - nodes)))
        refused("more than 1,000 values", (value, *[None] * (999 - nodes)))


@pytest.mark.parametrize("wrap", [lambda one: [one], lambda one: (one,), lambda one: {1: one}, lambda one: slice(one)])
def test_how_deep_values_nest_is_bounded(wrap: Any) -> None:
    value = None
    for _ in range(MAX_DEPTH):
        value = wrap(value)
    encoder(value)
    refused(f"nested more than {MAX_DEPTH} deep", wrap(value))


def test_objects_and_containers_of_a_kind_nest_too() -> None:
    class Words(list[Any]):
        pass

    nested: Any = None
    for _ in range(MAX_DEPTH + 1):
        nested = Words([nested])
    refused("nested more than", nested)
    refused("nested more than", nested, number_of=Kinds().number)
    refused("nested more than", object(), export=lambda one: (1, one))
    deep: Any = torch.Size([1])
    for _ in range(MAX_DEPTH):
        deep = [deep]
    refused("nested more than", deep)


# Values


def test_an_int_takes_as_many_bytes_as_it_must() -> None:
    for value in (0, -1, (1 << 63) - 1, -(1 << 63)):
        assert bytes(encoder(value).tree) == struct.pack("<cq", b"i", value)
    for value, size in ((1 << 63, 9), (-(1 << 63) - 1, 9), ((1 << 71) - 1, 9), (1 << 71, 10)):
        assert bytes(encoder(value).tree) == struct.pack("<cI", b"I", size) + value.to_bytes(
            size, "little", signed=True
        )
    largest = (1 << (8 * MAX_INTEGER_BYTES - 1)) - 1
    assert back(largest) == largest and back(-largest) == -largest
    refused("an int of 8192 bits", largest + 1)


def test_plain_values_are_written_as_they_are() -> None:
    for value in (True, False, None, 0.5, 1 - 2j, "aß", b"\xff", [1], (1,), {1: (2,)}, slice(1, None, 3)):
        assert back(value) == value and type(back(value)) is type(value)
    assert back("a\udc80") == "a\\udc80"


def test_a_dict_has_no_object_for_a_key() -> None:
    refused("a dict with a key of type .*Key", {type("Key", (), {})(): 1}, export=lambda one: (1, None))
    assert back({np.float64(1): 2, (1, 2): 3}) == {1.0: 2, (1, 2): 3}


def test_an_object_crosses_under_its_handle_or_not_at_all() -> None:
    thing = type("Thing", (), {})()
    refused("a value of type .*Thing", thing)
    assert bytes(encoder(thing, export=lambda one: (7, one is thing)).tree) == struct.pack("<cI", b"O", 7) + b"t"


def test_a_kind_has_its_number() -> None:
    value = type("Words", (list,), {})([True])
    assert bytes(encoder(value).tree) == struct.pack("<cI", b"l", 1) + b"t"
    written = struct.pack("<cI", b"k", 5) + struct.pack("<cI", b"l", 1) + b"t"
    assert bytes(encoder(value, number_of=lambda one: 5).tree) == written


# Arrays


def test_an_array_has_no_more_dimensions_than_the_reader_takes() -> None:
    assert back(np.zeros([1] * MAX_DIMENSIONS)).ndim == MAX_DIMENSIONS
    refused(f"an array of {MAX_DIMENSIONS + 1} dimensions", np.zeros([1] * (MAX_DIMENSIONS + 1)))


def test_what_the_reader_could_not_lay_out_arrives_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """The room of all arrays together, to the last byte."""
    monkeypatch.setattr(NAMES, "MAX_RAW_BYTES", 96)
    x = np.arange(24, dtype="int16")
    for apart in (x[::16], x[::8]):  # of 17 elements, which take 34 bytes, and of 17
        assert back(apart).strides == apart.strides
    one, two, three = back([x[:17:16], x[:14:13], x[:18:17]])  # 34 and 28 bytes; for 36 more there is no room
    assert (one.strides, two.strides, three.strides) == ((32,), (26,), (2,))
    one, two, three = back([x[:17:16], x[:14:13], x[:17:16]])
    assert (one.strides, two.strides, three.strides) == ((32,), (26,), (32,)), "96 bytes in all"
    assert three.tolist() == [0, 16]


def test_strides_that_are_no_whole_elements_are_not_kept() -> None:
    packed = np.zeros(3, dtype=[("a", "int8"), ("b", "int16")])["b"]
    packed[:] = [1, 2, 3]
    assert packed.strides == (3,) and back(packed).tolist() == [1, 2, 3] and back(packed).strides == (2,)
    packed = np.zeros((2, 2), dtype=[("a", "int8"), ("b", "int16")])["b"]
    packed[:] = [[1, 2], [3, 4]]
    assert packed.strides == (6, 3) and back(packed).tolist() == [[1, 2], [3, 4]] and back(packed).strides == (4, 2)


def test_the_byte_order_is_this_machines() -> None:
    swapped = np.array([1, 2], dtype=">i4")
    assert back(swapped).tolist() == [1, 2] and back(swapped).dtype == "int32"
    scalar = np.array([1], dtype=">i4")[0]
    assert back(scalar) == 1


@pytest.mark.parametrize("value", [np.datetime64(1, "s"), np.void(b"x")])
def test_a_scalar_without_a_code_is_refused_by_its_type(value: Any) -> None:
    refused(f"a value of type numpy.{type(value).__name__}", value)


def test_an_array_without_a_code_is_refused_by_its_dtype() -> None:
    refused("an array of dtype object", np.array([None]))
    refused("an array of dtype datetime64", np.array([1], dtype="datetime64[s]"))
    refused("an array of dtype torch.float8_e5m2", torch.zeros(2).to(torch.float8_e5m2))
    refused("an array of dtype " + 96 * r".", np.zeros(1, [(100 * "x", "int8")]))


FORMS = {
    "sparse_coo": lambda: torch.ones(2).to_sparse(),
    "on meta": lambda: torch.ones(2, device="meta"),
    "quantized": lambda: torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8),
    "nested": lambda: torch.nested.nested_tensor([torch.ones(1), torch.ones(2)]),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.filterwarnings("ignore")  # torch calls nested tensors a prototype, and quantized ones old
def test_a_tensor_of_another_form_is_refused_by_its_form(form: str) -> None:
    refused(rf"a tensor that is not dense on the CPU \({form}", FORMS[form]())


def test_a_tensor_arrives_with_its_values() -> None:
    plain = torch.tensor([1 + 2j, 3 - 4j])
    assert torch.equal(back(plain.conj()), plain.conj()) and torch.equal(back(plain.conj().imag), plain.conj().imag)
    half = torch.tensor([1.5, -2.0], dtype=torch.bfloat16)
    assert back(half).dtype is torch.bfloat16 and torch.equal(back(half), half)
    refused("inside a transform of torch.func", _within())


def _within() -> torch.Tensor:
    seen: list[torch.Tensor] = []
    torch.func.vmap(lambda x: (seen.append(x), x)[1])(torch.ones(2))
    return seen[0]


def test_what_requires_grad_is_marked_and_noted() -> None:
    leaf, plain = torch.ones(1, requires_grad=True), torch.ones(1)
    half = torch.ones(1, dtype=torch.bfloat16, requires_grad=True)
    made = encoder([plain, leaf, half, torch.nn.Parameter(plain)])
    assert [id(one) for one in made.differentiable[:2]] == [id(leaf), id(half)] and len(made.differentiable) == 3
    assert bytes(encoder(leaf).tree)[2] == REQUIRES_GRAD and bytes(encoder(plain).tree)[2] == 0


def test_generators_travel_with_their_state_and_are_noted() -> None:
    ours, theirs = np.random.default_rng(3), torch.Generator().manual_seed(5)
    made = encoder([ours, theirs])
    assert made.generators == [ours, theirs]
    ours.integers(9, dtype="int32")  # half of a number is kept for the next
    one, other = back([ours, theirs])
    assert one.bit_generator.state == ours.bit_generator.state
    assert torch.equal(other.get_state(), theirs.get_state())
    refused("a numpy Generator over MT19937", np.random.Generator(np.random.MT19937(0)))


def test_dtypes_and_sizes_travel() -> None:
    assert back([torch.bfloat16, torch.int8, torch.Size([2, 3])]) == [torch.bfloat16, torch.int8, torch.Size([2, 3])]
    assert type(back(torch.Size([2]))) is torch.Size


def test_a_library_that_is_not_loaded_is_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    thing = type("Thing", (), {})()
    for name in ("numpy", "torch"):
        monkeypatch.delitem(sys.modules, name)
    refused("a value of type", thing)


def test_a_scalar_of_a_class_made_from_numpys_is_no_value() -> None:
    mine = type("Mine", (np.float64,), {})(1.0)
    refused("a value of type .*Mine", mine)
    assert bytes(encoder(np.add, export=lambda one: (7, None)).tree) == struct.pack("<cI", b"O", 7) + b"N"


def test_a_type_has_the_name_that_a_learner_knows() -> None:
    assert (type_name(1), type_name(np.zeros(1))) == ("int", "numpy.ndarray")
    for module in ("__main__", None):
        assert type_name(type("Thing", (), {"__module__": module})()) == "Thing"
    assert type_name(type("Thing", (), {"__module__": "solution"})()) == "solution.Thing"
