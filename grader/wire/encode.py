"""Encoding: from values to a frame."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from typing import Any

from grader.limits import MAX_DEPTH, MAX_DIMENSIONS, MAX_INTEGER_BYTES, MAX_NODES, MAX_RAW_BYTES, MAX_TREE_BYTES
from grader.wire.frame import (
    ALIGNMENT,
    ARRAY,
    C128,
    CODE,
    F64,
    HEADER,
    I64,
    MAGIC,
    REQUIRES_GRAD,
    U32,
    VERSION,
    Unsendable,
)

_INT64 = range(-(1 << 63), 1 << 63)


class Encoder:
    """Collects one tree and the raw bytes of its arrays.

    `export` turns an object that is no value into `(handle, description)`, or raises `Unsendable`.
    `differentiable` holds the tensors that require grad and `generators` the random generators, in order of appearance.
    """

    def __init__(self, export: Callable[[Any], tuple[int, Any]] | None = None) -> None:
        self.tree = bytearray()
        self.raw: list[Any] = []
        self.raw_bytes = 0
        self.differentiable: list[Any] = []
        self.generators: list[Any] = []
        self._export = export
        self._nodes = 0

    def frame(self, kind: int, call: int) -> list[Any]:
        """The buffers of the finished frame, for `writev`."""
        self.tree.extend(bytes(-len(self.tree) % ALIGNMENT))
        if len(self.tree) > MAX_TREE_BYTES or self.raw_bytes > MAX_RAW_BYTES:
            raise Unsendable(f"{(len(self.tree) + self.raw_bytes) / 1e6:.0f} MB in one call is more than the limit")
        header = HEADER.pack(MAGIC, VERSION, kind, call, len(self.tree), self.raw_bytes)
        return [header + self.tree, *self.raw]

    def value(self, value: Any, depth: int = 0) -> None:
        """Append `value` to the tree."""
        self._nodes += 1
        if depth > MAX_DEPTH:
            raise Unsendable(f"a value nested more than {MAX_DEPTH} deep (does it contain itself?)")
        if self._nodes > MAX_NODES:
            raise Unsendable(f"more than {MAX_NODES:,} values in one call: use an array")
        write = _WRITERS.get(type(value))
        if write is not None:
            write(self, value, depth)
        else:
            self._other(value, depth)

    def _int(self, value: int, depth: int) -> None:
        if value in _INT64:
            self.tree += b"i" + I64.pack(value)
            return
        size = value.bit_length() // 8 + 1
        if size > MAX_INTEGER_BYTES:
            raise Unsendable(f"an int of {value.bit_length()} bits")
        self.tree += b"I" + U32.pack(size) + value.to_bytes(size, "little", signed=True)

    def _str(self, value: str, depth: int) -> None:
        data = value.encode("utf-8", "backslashreplace")
        self.tree += b"s" + U32.pack(len(data)) + data

    def _bytes(self, value: bytes, depth: int) -> None:
        self.tree += b"b" + U32.pack(len(value)) + value

    def _list(self, value: list[Any], depth: int) -> None:
        self._items(b"l", value, depth)

    def _tuple(self, value: tuple[Any, ...], depth: int) -> None:
        self._items(b"u", value, depth)

    def _items(self, tag: bytes, items: list[Any] | tuple[Any, ...], depth: int) -> None:
        self.tree += tag + U32.pack(len(items))
        for item in items:
            self.value(item, depth + 1)

    def _dict(self, value: dict[Any, Any], depth: int) -> None:
        self.tree += b"m" + U32.pack(len(value))
        for key, item in value.items():
            if type(key) not in (str, int, bool, float, tuple, type(None)):
                raise Unsendable(f"a dict with a key of type {type_name(key)}")
            self.value(key, depth + 1)
            self.value(item, depth + 1)

    def _slice(self, value: slice, depth: int) -> None:
        self._items(b"c", (value.start, value.stop, value.step), depth)

    def _other(self, value: Any, depth: int) -> None:
        """Arrays, tensors and the rest; the libraries are looked up only if this process has loaded them."""
        numpy = sys.modules.get("numpy")
        kind = type(value)
        if numpy is not None:
            if kind is numpy.ndarray:
                return self._ndarray(value)
            if isinstance(value, numpy.generic) and kind.__module__ == "numpy":
                return self._ndarray(numpy.asarray(value), tag=b"g")
            if kind is numpy.random.Generator:
                state = value.bit_generator.state
                if state.get("bit_generator") != "PCG64":
                    raise Unsendable(
                        f"a numpy Generator over {state.get('bit_generator')}: use numpy.random.default_rng"
                    )
                self.generators.append(value)
                self.tree += b"R"
                return self.value(_plain_state(state), depth + 1)
        torch = sys.modules.get("torch")
        if torch is not None:
            if kind is torch.Tensor or kind is torch.nn.Parameter:
                return self._tensor(value, torch)
            if kind is torch.dtype:
                self.tree += b"D" + bytes([self._code(str(value).removeprefix("torch."))])
                return None
            if kind is torch.Generator:
                self.generators.append(value)
                self.tree += b"G"
                return self._tensor(value.get_state(), torch)
            if kind is torch.Size:
                return self._items(b"z", tuple(value), depth)
        if self._export is None:
            raise Unsendable(f"a value of type {type_name(value)}")
        handle, description = self._export(value)
        self.tree += b"O" + U32.pack(handle)
        return self.value(description, depth + 1)

    @staticmethod
    def _code(name: str) -> int:
        code = CODE.get(name)
        if code is None:
            raise Unsendable(f"an array of dtype {name}")
        return code

    def _array(self, tag: bytes, dtype: str, flags: int, shape: tuple[int, ...]) -> None:
        if len(shape) > MAX_DIMENSIONS:
            raise Unsendable(f"an array of {len(shape)} dimensions")
        self.tree += tag + ARRAY.pack(self._code(dtype), flags, len(shape)) + struct.pack(f"<{len(shape)}q", *shape)

    def _buffer(self, array: Any) -> None:
        """Append the bytes of a C-contiguous numpy array, padded."""
        size = array.nbytes
        if size == 0:
            return
        self.raw_bytes += size + (-size % ALIGNMENT)
        if self.raw_bytes > MAX_RAW_BYTES:
            raise Unsendable(f"arrays of {self.raw_bytes / 1e6:.0f} MB in one call")
        self.raw.append(array.tobytes() if size < 65536 else array.reshape(-1).view("uint8").data)
        if size % ALIGNMENT:
            self.raw.append(bytes(-size % ALIGNMENT))

    def _ndarray(self, array: Any, tag: bytes = b"a") -> None:
        if not array.dtype.isnative:
            array = array.astype(array.dtype.newbyteorder("="))
        self._array(tag, array.dtype.name, 0, array.shape)
        self._buffer(array if array.flags.c_contiguous else array.copy(order="C"))

    def _tensor(self, tensor: Any, torch: Any) -> None:
        if tensor.layout is not torch.strided or tensor.device.type != "cpu" or tensor.is_quantized or tensor.is_nested:
            form = (
                "quantized"
                if tensor.is_quantized
                else "nested"
                if tensor.is_nested
                else f"{tensor.layout} {tensor.device}"
            )
            raise Unsendable(f"a tensor that is not dense on the CPU ({form.replace('torch.', '')})")
        dtype = str(tensor.dtype).removeprefix("torch.")
        requires_grad = tensor.requires_grad
        self._array(b"T", dtype, REQUIRES_GRAD if requires_grad else 0, tuple(tensor.shape))
        if requires_grad:
            self.differentiable.append(tensor)
        dense = tensor.detach().resolve_conj().resolve_neg().contiguous()
        self._buffer((dense.view(torch.int16) if dtype == "bfloat16" else dense).numpy())


_WRITERS: dict[type, Callable[[Encoder, Any, int], None]] = {
    type(None): lambda encoder, value, depth: encoder.tree.extend(b"N"),
    bool: lambda encoder, value, depth: encoder.tree.extend(b"t" if value else b"f"),
    float: lambda encoder, value, depth: encoder.tree.extend(b"d" + F64.pack(value)),
    complex: lambda encoder, value, depth: encoder.tree.extend(b"x" + C128.pack(value.real, value.imag)),
    int: Encoder._int,
    str: Encoder._str,
    bytes: Encoder._bytes,
    list: Encoder._list,
    tuple: Encoder._tuple,
    dict: Encoder._dict,
    slice: Encoder._slice,
}


def type_name(value: Any) -> str:
    """The name of the type of `value`, as a learner knows it."""
    kind = type(value)
    module, name = getattr(kind, "__module__", ""), getattr(kind, "__qualname__", "?")
    return str(name) if module in ("builtins", "__main__", None) else f"{module}.{name}"


def _plain_state(state: dict[str, Any]) -> dict[str, Any]:
    inner = state["state"]
    return {
        "state": int(inner["state"]),
        "inc": int(inner["inc"]),
        "has": int(state["has_uint32"]),
        "u": int(state["uinteger"]),
    }
