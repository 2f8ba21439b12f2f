"""Encoding: from values to a frame."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from typing import Any

from grader.limits import MAX_DEPTH, MAX_DIMENSIONS, MAX_INTEGER_BYTES, MAX_NODES, MAX_RAW_BYTES, MAX_TREE_BYTES
from grader.wire.frame import (
    ALIGNMENT,
    ARRAY_NODES,
    BFLOAT16,
    CODE,
    GENERATOR_NODES,
    HEADER,
    MAGIC,
    REQUIRES_GRAD,
    STRIDED,
    STRIDES,
    TAG_ARRAY,
    TAG_BYTE,
    TAG_C128,
    TAG_F64,
    TAG_I64,
    TAG_U32,
    VERSION,
    Unsendable,
    span,
)
from grader.wire.kinds import NumberOf, is_special, plain

_COPIED = 1 << 16  # an array of fewer bytes is copied into its frame, a larger one is written from where it lies


class Encoder:
    """Collects one tree and the raw bytes of its arrays.

    `export` turns an object that is no value into `(handle, description)`, or raises `Unsendable`. `number_of` numbers the
    kind of a container that is no tuple, list or dict just so; where it gives None, the container crosses as one of these.
    `differentiable` holds the tensors that require grad and `generators` the random generators, in order of appearance.
    """

    def __init__(
        self, export: Callable[[Any], tuple[int, Any]] | None = None, number_of: NumberOf = lambda value: None
    ) -> None:
        self.tree = bytearray()
        self.differentiable: list[Any] = []
        self.generators: list[Any] = []
        self._raw: list[Any] = []
        self._raw_bytes = 0
        self._room = 0  # bytes that the peer needs to lay out what does not lie in C order
        self._export = export
        self._number_of = number_of
        self._nodes = 0

    def frame(self, kind: int, call: int) -> list[Any]:
        """The buffers of the finished frame, for `writev`: just one where all arrays are small."""
        self.tree += bytes(-len(self.tree) % ALIGNMENT)
        if len(self.tree) > MAX_TREE_BYTES:
            raise Unsendable(f"{len(self.tree) / 1e6:.0f} MB of values in one call: use an array")
        head = HEADER.pack(MAGIC, VERSION, kind, call, len(self.tree), self._raw_bytes)
        buffers = [head, self.tree, *self._raw]
        return [b"".join(buffers)] if self._raw_bytes < _COPIED else buffers

    def value(self, value: Any, depth: int = 0) -> None:
        """Append `value` to the tree."""
        self._spend(1)
        kind = type(value)
        (_WRITERS.get(kind) or _writer(kind))(self, value, depth)

    def _spend(self, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise Unsendable(f"more than {MAX_NODES:,} values in one call: use an array")

    def _items(self, items: Any, depth: int) -> None:
        """Append what a container holds."""
        if depth >= MAX_DEPTH:
            raise Unsendable(f"a value nested more than {MAX_DEPTH} deep (does it contain itself?)")
        self._spend(len(items))
        for item in items:
            kind = type(item)
            (_WRITERS.get(kind) or _writer(kind))(self, item, depth + 1)

    # Plain values

    def _none(self, value: None, depth: int) -> None:
        self.tree += b"N"

    def _bool(self, value: bool, depth: int) -> None:
        self.tree += b"t" if value else b"f"

    def _int(self, value: int, depth: int) -> None:
        try:
            self.tree += TAG_I64.pack(b"i", value)
        except struct.error:
            size = value.bit_length() // 8 + 1
            if size > MAX_INTEGER_BYTES:
                raise Unsendable(f"an int of {value.bit_length()} bits") from None
            self.tree += TAG_U32.pack(b"I", size) + value.to_bytes(size, "little", signed=True)

    def _float(self, value: float, depth: int) -> None:
        self.tree += TAG_F64.pack(b"d", value)

    def _complex(self, value: complex, depth: int) -> None:
        self.tree += TAG_C128.pack(b"x", value.real, value.imag)

    def _str(self, value: str, depth: int) -> None:
        self._text(b"s", value.encode("utf-8", "backslashreplace"))

    def _bytes(self, value: bytes, depth: int) -> None:
        self._text(b"b", value)

    def _text(self, tag: bytes, data: bytes) -> None:
        if len(data) > MAX_TREE_BYTES:
            raise Unsendable(f"a text of {len(data) / 1e6:.0f} MB")
        self.tree += TAG_U32.pack(tag, len(data))
        self.tree += data

    # Containers

    def _list(self, value: list[Any], depth: int) -> None:
        self.tree += TAG_U32.pack(b"l", len(value))
        self._items(value, depth)

    def _tuple(self, value: tuple[Any, ...], depth: int) -> None:
        self.tree += TAG_U32.pack(b"u", len(value))
        self._items(value, depth)

    def _dict(self, value: dict[Any, Any], depth: int) -> None:
        self.tree += TAG_U32.pack(b"m", len(value))
        for key in value:
            writer = _WRITERS.get(type(key)) or _writer(type(key))
            if writer is Encoder._object:
                raise Unsendable(f"a dict with a key of type {type_name(key)}")
        self._items([part for item in value.items() for part in item], depth)

    def _special(self, value: Any, depth: int) -> None:
        content = plain(value)
        number = self._number_of(value)
        if number is None:
            _WRITERS[type(content)](self, content, depth)
        else:
            self.tree += TAG_U32.pack(b"k", number)
            self._items((content,), depth)

    def _slice(self, value: slice, depth: int) -> None:
        self.tree += b"c"
        self._items((value.start, value.stop, value.step), depth)

    def _object(self, value: Any, depth: int) -> None:
        if self._export is None:
            raise Unsendable(f"a value of type {type_name(value)}")
        handle, description = self._export(value)
        self.tree += TAG_U32.pack(b"O", handle)
        self._items((description,), depth)

    # Arrays

    def _array(self, tag: bytes, code: int, flags: int, array: Any) -> None:
        """Append the head of an array to the tree, and its elements in C order, padded, to the raw bytes.

        One that lies otherwise in memory (transposed, sliced, expanded, reversed) arrives so too. Nothing of what lies
        between its elements is sent.
        """
        shape = array.shape
        if len(shape) > MAX_DIMENSIONS:
            raise Unsendable(f"an array of {len(shape)} dimensions")
        strides = None if array.flags.c_contiguous else self._strides(array)
        if strides is None:
            self.tree += TAG_ARRAY[len(shape)].pack(tag, code, flags, len(shape), *shape)
        else:
            self.tree += TAG_ARRAY[len(shape)].pack(tag, code, flags | STRIDED, len(shape), *shape)
            self.tree += STRIDES[len(shape)].pack(*strides)
        size = array.nbytes
        padding = -size % ALIGNMENT
        self._raw_bytes += size + padding
        if self._raw_bytes > MAX_RAW_BYTES:
            raise Unsendable(f"arrays of {self._raw_bytes / 1e6:.0f} MB in one call")
        if size < _COPIED:
            self._raw.append(array.tobytes() + bytes(padding))
        else:
            flat = array.reshape(-1)  # a copy, but where the elements lie in C order, perhaps with gaps of one length
            flat = flat if flat.flags.c_contiguous else flat.copy()
            self._raw += [flat.view("uint8").data, bytes(padding)]

    def _strides(self, array: Any) -> list[int] | None:
        """The strides in elements, or None where the peer could not lay it out so: then it arrives in C order."""
        steps = [divmod(stride, array.itemsize) for stride in array.strides]
        if any(rest for _, rest in steps):
            return None
        strides = [step for step, _ in steps]
        room = span(array.shape, strides)[0] * array.itemsize
        if self._room + room > MAX_RAW_BYTES:
            return None
        self._room += room
        return strides

    def _ndarray(self, array: Any, depth: int) -> None:
        self._spend(ARRAY_NODES)
        code = _CODES.get(array.dtype)
        if code is None:
            array, code = _native(array)
        self._array(b"a", code, 0, array)

    def _numpy_scalar(self, scalar: Any, depth: int) -> None:
        try:
            array, code = _native(sys.modules["numpy"].asarray(scalar))
        except Unsendable:
            raise Unsendable(f"a value of type {type_name(scalar)}") from None
        self._array(b"g", code, 0, array)

    def _tensor(self, tensor: Any, depth: int) -> None:
        self._spend(ARRAY_NODES)
        requires_grad = tensor.requires_grad
        try:
            array = (tensor.detach() if requires_grad else tensor).numpy()
            code = _CODES[array.dtype]
        except (TypeError, RuntimeError, KeyError):
            array, code = _dense(tensor)
        self._array(b"T", code, REQUIRES_GRAD if requires_grad else 0, array)
        if requires_grad:
            self.differentiable.append(tensor)

    # What else numpy and torch have

    def _dtype(self, dtype: Any, depth: int) -> None:
        self.tree += TAG_BYTE.pack(b"D", _code(dtype))

    def _size(self, size: Any, depth: int) -> None:
        self._spend(ARRAY_NODES)
        self.tree += TAG_U32.pack(b"z", len(size))
        self._items(size, depth)

    def _torch_generator(self, generator: Any, depth: int) -> None:
        self._spend(GENERATOR_NODES)
        self.generators.append(generator)
        self.tree += b"G"
        self._items((generator.get_state(),), depth)

    def _numpy_generator(self, generator: Any, depth: int) -> None:
        self._spend(GENERATOR_NODES)
        state = generator.bit_generator.state
        if state.get("bit_generator") != "PCG64":
            raise Unsendable(f"a numpy Generator over {state.get('bit_generator')}: use numpy.random.default_rng")
        self.generators.append(generator)
        self.tree += b"R"
        self._items((state["state"]["state"], state["state"]["inc"], state["has_uint32"], state["uinteger"]), depth)


_Writer = Callable[[Encoder, Any, int], None]

_WRITERS: dict[type, _Writer] = {
    type(None): Encoder._none,
    bool: Encoder._bool,
    int: Encoder._int,
    float: Encoder._float,
    complex: Encoder._complex,
    str: Encoder._str,
    bytes: Encoder._bytes,
    list: Encoder._list,
    tuple: Encoder._tuple,
    dict: Encoder._dict,
    slice: Encoder._slice,
}

_CODES: dict[Any, int] = {}  # dtypes of numpy, in this machine's byte order, as they are met


def _writer(kind: type) -> _Writer:
    """The writer for a type that is none of Python's own, remembered if numpy or torch made it.

    The libraries are looked up only if this process has loaded them. torch's own named tuples, such as what `max` along
    a dimension gives, are special containers too; `torch.Size` has a tag of its own.
    """
    known: dict[Any, _Writer] = {}
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy is not None:
        known = {numpy.ndarray: Encoder._ndarray, numpy.random.Generator: Encoder._numpy_generator}
        if issubclass(kind, numpy.generic) and kind.__module__ == "numpy":
            known[kind] = Encoder._numpy_scalar
    if torch is not None:
        known |= {
            torch.Tensor: Encoder._tensor,
            torch.nn.Parameter: Encoder._tensor,
            torch.dtype: Encoder._dtype,
            torch.Size: Encoder._size,
            torch.Generator: Encoder._torch_generator,
        }
    if kind not in known:
        return Encoder._special if is_special(kind) else Encoder._object
    return _WRITERS.setdefault(kind, known[kind])


def _code(dtype: Any) -> int:
    """The code of a dtype of numpy or torch."""
    code = CODE.get(getattr(dtype, "name", None) or str(dtype).removeprefix("torch."))
    if code is None:
        raise Unsendable(f"an array of dtype {str(dtype)[:100]}")
    return code


def _native(array: Any) -> tuple[Any, int]:
    """An array in this machine's byte order, and the code of its dtype, which is remembered."""
    code = _code(array.dtype)
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return native, _CODES.setdefault(native.dtype, code)


def _dense(tensor: Any) -> tuple[Any, int]:
    """The elements of a tensor that numpy does not take as it is, and the code of its dtype."""
    torch = sys.modules["torch"]
    form = (
        "quantized" if tensor.is_quantized
        else "nested" if tensor.is_nested
        else str(tensor.layout).removeprefix("torch.") if tensor.layout is not torch.strided
        else "" if tensor.device.type == "cpu"
        else f"on {tensor.device}"
    )  # fmt: skip
    if form:
        raise Unsendable(f"a tensor that is not dense on the CPU ({form})")
    code = _code(tensor.dtype)
    try:
        plain = tensor.detach().resolve_conj().resolve_neg()
        array = (plain.view(torch.int16) if code == BFLOAT16 else plain).numpy(force=True)
    except RuntimeError:
        raise Unsendable("a tensor inside a transform of torch.func, which holds no values yet") from None
    return (array, code) if code == BFLOAT16 else _native(array)


def type_name(value: Any) -> str:
    """The name of the type of `value`, as a learner knows it."""
    kind = type(value)
    module, name = getattr(kind, "__module__", ""), getattr(kind, "__qualname__", "?")
    return str(name) if module in ("builtins", "__main__", None) else f"{module}.{name}"
