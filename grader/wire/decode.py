"""Decoding: from the bytes of a peer that may be hostile to plain values."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from typing import Any

from grader.limits import MAX_DEPTH, MAX_DIMENSIONS, MAX_INTEGER_BYTES, MAX_NODES, MAX_RAW_BYTES
from grader.wire.frame import ALIGNMENT, ARRAY, C128, DTYPES, F64, I64, ITEMSIZE, REQUIRES_GRAD, U32, BadFrame, Frame


class Decoder:
    """Rebuilds the values of one frame.

    Arrays are views of the frame's own buffer. `resolve` turns `(handle, description)` into an object.
    `differentiable` holds the tensors that their sender marked as requiring grad, `generators` the random generators,
    each in order of appearance.
    """

    def __init__(self, body: bytearray, tree_bytes: int, resolve: Callable[[int, Any], Any] | None = None) -> None:
        self._body = body
        self._end = tree_bytes
        self._at = 0
        self.raw_at = tree_bytes
        self._nodes = 0
        self._resolve = resolve
        self.differentiable: list[Any] = []
        self.generators: list[Any] = []

    def value(self, depth: int = 0) -> Any:
        """Read the next value of the tree."""
        self._nodes += 1
        if depth > MAX_DEPTH or self._nodes > MAX_NODES:
            raise BadFrame("a frame nests too deep or holds too many values")
        tag = self._take(1)[0]
        read = _READERS.get(tag)
        if read is None:
            raise BadFrame(f"a frame holds the unknown tag {tag:#x}")
        return read(self, depth)

    def _take(self, size: int) -> memoryview | bytearray:
        start = self._at
        self._at = end = start + size
        if end > self._end:
            raise BadFrame("a frame ends inside a value")
        return self._body[start:end]

    def _count(self) -> int:
        return int(U32.unpack(self._take(4))[0])

    def _int(self, depth: int) -> int:
        return int(I64.unpack(self._take(8))[0])

    def _big_int(self, depth: int) -> int:
        size = self._count()
        if size > MAX_INTEGER_BYTES:
            raise BadFrame("an int of too many bytes")
        return int.from_bytes(self._take(size), "little", signed=True)

    def _float(self, depth: int) -> float:
        return float(F64.unpack(self._take(8))[0])

    def _complex(self, depth: int) -> complex:
        return complex(*C128.unpack(self._take(16)))

    def _str(self, depth: int) -> str:
        return self._take(self._count()).decode("utf-8", "replace")  # type: ignore[union-attr]  # a slice of a bytearray

    def _bytes(self, depth: int) -> bytes:
        return bytes(self._take(self._count()))

    def _list(self, depth: int) -> list[Any]:
        count = self._count()
        if count > self._end - self._at:  # a value takes a byte at least
            raise BadFrame("a frame declares more items than it can hold")
        return [self.value(depth + 1) for _ in range(count)]

    def _tuple(self, depth: int) -> tuple[Any, ...]:
        return tuple(self._list(depth))

    def _dict(self, depth: int) -> dict[Any, Any]:
        count = self._count()
        if count > self._end - self._at:
            raise BadFrame("a frame declares more items than it can hold")
        result: dict[Any, Any] = {}
        for _ in range(count):
            key = self.value(depth + 1)
            try:
                hash(key)
            except TypeError:
                raise BadFrame("a dict key that cannot be one") from None
            result[key] = self.value(depth + 1)
        return result

    def _slice(self, depth: int) -> slice:
        parts = self._list(depth)
        if len(parts) != 3:
            raise BadFrame("a slice without its three parts")
        return slice(*parts)

    def _size(self, depth: int) -> Any:
        dims = self._list(depth)
        if not all(type(dim) is int for dim in dims):
            raise BadFrame("a size that holds no ints")
        return _loaded("torch").Size(dims)

    def _object(self, depth: int) -> Any:
        handle = self._count()
        description = self.value(depth + 1)
        if self._resolve is None:
            raise BadFrame("an object where none is expected")
        return self._resolve(handle, description)

    def _array_head(self) -> tuple[int, int, tuple[int, ...], int, int]:
        """dtype code, flags, shape, number of elements, and the offset of the raw bytes."""
        code, flags, dimensions = ARRAY.unpack(self._take(3))
        if code >= len(DTYPES) or dimensions > MAX_DIMENSIONS:
            raise BadFrame("an array of unknown dtype or too many dimensions")
        shape = struct.unpack(f"<{dimensions}q", self._take(8 * dimensions))
        count = 1
        for dim in shape:
            if dim < 0:
                raise BadFrame("an array of negative size")
            count *= dim
        if count == 0 and any(dim > MAX_RAW_BYTES for dim in shape):
            raise BadFrame("an empty array of absurd shape")
        start, size = self.raw_at, count * ITEMSIZE[code]
        self.raw_at = start + size + (-size % ALIGNMENT)
        if self.raw_at > len(self._body):
            raise BadFrame("an array larger than its frame")
        return code, flags, shape, count, start

    def _ndarray(self, depth: int) -> Any:
        numpy = _loaded("numpy")
        code, _, shape, count, start = self._array_head()
        if DTYPES[code] == "bfloat16":
            raise BadFrame("numpy has no bfloat16")
        if code == 0:  # any byte but 0 and 1 makes a bool that is neither
            flat = numpy.frombuffer(self._body, "uint8", count, start)
            numpy.minimum(flat, 1, out=flat)
            return flat.view("bool").reshape(shape)
        return numpy.frombuffer(self._body, DTYPES[code], count, start).reshape(shape)

    def _numpy_scalar(self, depth: int) -> Any:
        array = self._ndarray(depth)
        if array.shape != ():
            raise BadFrame("a scalar with a shape")
        return array[()]

    def _tensor(self, depth: int) -> Any:
        torch = _loaded("torch")
        code, flags, shape, count, start = self._array_head()
        dtype = getattr(torch, DTYPES[code])
        if count == 0:
            tensor = torch.empty(shape, dtype=dtype)
        else:
            if code == 0:
                flat = torch.frombuffer(self._body, dtype=torch.uint8, count=count, offset=start)
                flat.clamp_(max=1)
            tensor = torch.frombuffer(self._body, dtype=dtype, count=count, offset=start).reshape(shape)
        if flags & REQUIRES_GRAD:
            if not (dtype.is_floating_point or dtype.is_complex):
                raise BadFrame("a tensor of integers that requires grad")
            self.differentiable.append(tensor)
        return tensor

    def _dtype(self, depth: int) -> Any:
        code = self._take(1)[0]
        if code >= len(DTYPES):
            raise BadFrame("an unknown dtype")
        return getattr(_loaded("torch"), DTYPES[code])

    def _torch_generator(self, depth: int) -> Any:
        torch = _loaded("torch")
        state = self.value(depth + 1)
        generator = torch.Generator()
        if type(state) is not torch.Tensor or state.dtype != torch.uint8 or state.shape != generator.get_state().shape:
            raise BadFrame("a generator without its state")
        generator.set_state(state.clone())
        self.generators.append(generator)
        return generator

    def _numpy_generator(self, depth: int) -> Any:
        numpy = _loaded("numpy")
        state = self.value(depth + 1)
        if (
            type(state) is not dict
            or set(state) != {"state", "inc", "has", "u"}
            or any(type(v) is not int for v in state.values())
        ):
            raise BadFrame("a generator without its state")
        bits = numpy.random.PCG64(0)
        try:
            bits.state = {
                "bit_generator": "PCG64",
                "state": {"state": state["state"], "inc": state["inc"]},
                "has_uint32": state["has"],
                "uinteger": state["u"],
            }
        except (ValueError, OverflowError, TypeError):
            raise BadFrame("a generator without its state") from None
        generator = numpy.random.Generator(bits)
        self.generators.append(generator)
        return generator


def _loaded(name: str) -> Any:
    module = sys.modules.get(name)
    if module is None:
        raise BadFrame(f"a value of {name}, which this process does not use")
    return module


_READERS: dict[int, Callable[[Decoder, int], Any]] = {
    ord("N"): lambda decoder, depth: None,
    ord("t"): lambda decoder, depth: True,
    ord("f"): lambda decoder, depth: False,
    ord("i"): Decoder._int,
    ord("I"): Decoder._big_int,
    ord("d"): Decoder._float,
    ord("x"): Decoder._complex,
    ord("s"): Decoder._str,
    ord("b"): Decoder._bytes,
    ord("l"): Decoder._list,
    ord("u"): Decoder._tuple,
    ord("m"): Decoder._dict,
    ord("c"): Decoder._slice,
    ord("z"): Decoder._size,
    ord("O"): Decoder._object,
    ord("a"): Decoder._ndarray,
    ord("g"): Decoder._numpy_scalar,
    ord("T"): Decoder._tensor,
    ord("D"): Decoder._dtype,
    ord("G"): Decoder._torch_generator,
    ord("R"): Decoder._numpy_generator,
}


def decode(frame: Frame, resolve: Callable[[int, Any], Any] | None = None) -> tuple[Any, Decoder]:
    """The single value of a frame, and the decoder that met it."""
    decoder = Decoder(frame.body, frame.tree_bytes, resolve)
    value = decoder.value()
    if decoder.raw_at != len(frame.body):
        raise BadFrame("a frame with bytes that belong to nothing")
    return value, decoder
