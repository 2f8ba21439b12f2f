"""Decoding: from the bytes of a peer that may be hostile to plain values."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from typing import Any

from grader.limits import MAX_COLLISIONS, MAX_DEPTH, MAX_DIMENSIONS, MAX_INTEGER_BYTES, MAX_NODES, MAX_RAW_BYTES
from grader.wire.frame import (
    ALIGNMENT,
    ARRAY_NODES,
    BFLOAT16,
    BOOL,
    DTYPES,
    GENERATOR_NODES,
    ITEMSIZE,
    REQUIRES_GRAD,
    STRIDED,
    STRIDES,
    TAG_ARRAY,
    TAG_BYTE,
    TAG_C128,
    TAG_F64,
    TAG_I64,
    TAG_U32,
    BadFrame,
    Frame,
    span,
)
from grader.wire.kinds import Rebuild


class Decoder:
    """Rebuilds the values of one frame.

    Arrays in C order are views of the frame's own buffer. `resolve` turns `(handle, description)` into an object, and
    `rebuild` the number of a kind and a tuple, list or dict into a container of that kind.
    `differentiable` holds the tensors that their sender marked as requiring grad, `generators` the random generators,
    each in order of appearance.

    Every reader begins at its own tag, which `_at` points to. Reading past the tree's end raises `struct.error`.
    """

    def __init__(
        self,
        body: bytearray,
        tree_bytes: int,
        resolve: Callable[[int, Any], Any] | None = None,
        rebuild: Rebuild | None = None,
    ) -> None:
        self._body = body
        self._tree = bytes(memoryview(body)[:tree_bytes])  # apart from the arrays, so that no value strays into them
        self._at = 0
        self._raw_at = tree_bytes
        self._nodes = 0
        self._room = 0  # bytes that arrays take beside the frame
        self._resolve = resolve
        self._rebuild = rebuild
        self.differentiable: list[Any] = []
        self.generators: list[Any] = []

    @property
    def size(self) -> int:
        """Bytes of the frame."""
        return len(self._body)

    def root(self) -> Any:
        """The frame's single value. Raises BadFrame, whatever the bytes."""
        try:
            value = self._value(0)
        except struct.error:
            raise BadFrame("a frame that ends inside a value") from None
        padding = self._tree[self._at :]
        if self._raw_at != len(self._body) or len(padding) >= ALIGNMENT or any(padding):
            raise BadFrame("a frame with bytes that belong to nothing")
        return value

    def _value(self, depth: int) -> Any:
        tag = self._tree[self._at : self._at + 1]
        read = _READERS.get(tag)
        if read is None:
            raise BadFrame(f"a frame with the unknown tag {tag!r}")
        return read(self, depth)

    def _spend(self, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise BadFrame("a frame of too many values")

    def _items(self, count: int, depth: int) -> list[Any]:
        """What a container holds; `_at` is behind its head."""
        if depth >= MAX_DEPTH:
            raise BadFrame("a frame that nests too deep")
        if count > len(self._tree) - self._at:  # a value takes a byte at least
            raise BadFrame("a frame that declares more items than it can hold")
        self._spend(count)
        depth += 1
        return [self._value(depth) for _ in range(count)]

    def _count(self) -> int:
        """The number that follows a tag; steps behind it."""
        count: int = TAG_U32.unpack_from(self._tree, self._at)[1]
        self._at += TAG_U32.size
        return count

    # Plain values

    def _none(self, depth: int) -> None:
        self._at += 1

    def _true(self, depth: int) -> bool:
        self._at += 1
        return True

    def _false(self, depth: int) -> bool:
        self._at += 1
        return False

    def _int(self, depth: int) -> Any:
        at = self._at
        self._at = at + TAG_I64.size
        return TAG_I64.unpack_from(self._tree, at)[1]

    def _big_int(self, depth: int) -> int:
        data = self._bytes(depth)
        if len(data) > MAX_INTEGER_BYTES:
            raise BadFrame("an int of too many bytes")
        return int.from_bytes(data, "little", signed=True)

    def _float(self, depth: int) -> Any:
        at = self._at
        self._at = at + TAG_F64.size
        return TAG_F64.unpack_from(self._tree, at)[1]

    def _complex(self, depth: int) -> complex:
        _, real, imaginary = TAG_C128.unpack_from(self._tree, self._at)
        self._at += TAG_C128.size
        return complex(real, imaginary)

    def _bytes(self, depth: int) -> bytes:
        count = self._count()
        start = self._at
        self._at = end = start + count
        if end > len(self._tree):
            raise BadFrame("a frame that ends inside a value")
        return self._tree[start:end]

    def _str(self, depth: int) -> str:
        return self._bytes(depth).decode("utf-8", "replace")

    # Containers

    def _list(self, depth: int) -> list[Any]:
        return self._items(self._count(), depth)

    def _tuple(self, depth: int) -> tuple[Any, ...]:
        return tuple(self._items(self._count(), depth))

    def _dict(self, depth: int) -> dict[Any, Any]:
        parts = self._items(2 * self._count(), depth)
        keys = parts[::2]
        try:  # keys made to collide would take the square of their number
            if len(keys) > MAX_COLLISIONS and len(keys) - len(set(map(hash, keys))) > MAX_COLLISIONS:
                raise BadFrame("a dict whose keys collide")
            return dict(zip(keys, parts[1::2], strict=True))
        except TypeError:
            raise BadFrame("a dict with a key that cannot be one") from None

    def _special(self, depth: int) -> Any:
        number = self._count()
        (content,) = self._items(1, depth)
        if self._rebuild is None:
            raise BadFrame("a container of a kind where none is expected")
        return self._rebuild(number, content)

    def _slice(self, depth: int) -> slice:
        self._at += 1
        return slice(*self._items(3, depth))

    def _object(self, depth: int) -> Any:
        handle = self._count()
        (description,) = self._items(1, depth)
        if self._resolve is None:
            raise BadFrame("an object where none is expected")
        return self._resolve(handle, description)

    # Arrays

    def _array(self) -> tuple[Any, int, int]:
        """A numpy view of the next raw bytes, the code of its dtype (bfloat16 comes as int16), and its flags."""
        _, code, flags, dimensions = TAG_ARRAY[0].unpack_from(self._tree, self._at)
        if code >= len(DTYPES) or flags > REQUIRES_GRAD | STRIDED or dimensions > MAX_DIMENSIONS:
            raise BadFrame("an array of unknown dtype or too many dimensions")
        head = TAG_ARRAY[dimensions]
        shape = head.unpack_from(self._tree, self._at)[4:]
        self._at += head.size
        strides: tuple[int, ...] = ()
        if flags & STRIDED:
            strides = STRIDES[dimensions].unpack_from(self._tree, self._at)
            self._at += STRIDES[dimensions].size
        extent = ITEMSIZE[code]  # in bytes, as if no dimension were 0
        for size in shape:
            if size < 0:
                raise BadFrame("an array of negative size")
            extent *= size or 1
        if extent > MAX_RAW_BYTES:
            raise BadFrame("an array of absurd shape")
        start, size = self._raw_at, 0 if 0 in shape else extent
        self._raw_at = start + size + -size % ALIGNMENT
        if self._raw_at > len(self._body):
            raise BadFrame("an array larger than its frame")
        numpy = _loaded("numpy")
        if code == BOOL:  # any byte but 0 and 1 would make a bool that is neither
            octets = numpy.ndarray(shape, "uint8", self._body, start)
            array = numpy.minimum(octets, numpy.uint8(1), out=octets).view("bool")
        else:
            array = numpy.ndarray(shape, "int16" if code == BFLOAT16 else DTYPES[code], self._body, start)
        return self._laid_out(array, strides) if flags & STRIDED else array, code, flags & REQUIRES_GRAD

    def _laid_out(self, array: Any, strides: tuple[int, ...]) -> Any:
        """The same elements in memory of their own, a given number of elements apart."""
        if 0 in array.shape:
            raise BadFrame("an array of nothing that lies in some order")
        elements, first = span(array.shape, strides)
        self._room += elements * array.itemsize
        if self._room > MAX_RAW_BYTES:
            raise BadFrame("arrays that are laid out too far")
        numpy = _loaded("numpy")
        room = numpy.zeros(elements, array.dtype)
        steps = [stride * array.itemsize for stride in strides]
        laid: Any = numpy.ndarray(array.shape, array.dtype, room, first * array.itemsize, steps)
        laid[...] = array
        return laid

    def _ndarray(self, depth: int) -> Any:
        self._spend(ARRAY_NODES)
        array, code, flags = self._array()
        if code == BFLOAT16 or flags:
            raise BadFrame("an array as numpy has none")
        return array

    def _numpy_scalar(self, depth: int) -> Any:
        array, code, flags = self._array()
        if code == BFLOAT16 or flags or array.shape:
            raise BadFrame("a scalar as numpy has none")
        return array[()]

    def _tensor(self, depth: int) -> Any:
        self._spend(ARRAY_NODES)
        torch = _loaded("torch")
        array, code, flags = self._array()
        if any(stride < 0 for stride in array.strides):
            raise BadFrame("a tensor as torch has none")
        tensor = torch.from_numpy(array)
        if code == BFLOAT16:
            tensor = tensor.view(torch.bfloat16)
        if flags:
            if not (tensor.is_floating_point() or tensor.is_complex()):
                raise BadFrame("a tensor of integers that requires grad")
            self.differentiable.append(tensor)
        return tensor

    # What else numpy and torch have

    def _dtype(self, depth: int) -> Any:
        _, code = TAG_BYTE.unpack_from(self._tree, self._at)
        self._at += TAG_BYTE.size
        if code >= len(DTYPES):
            raise BadFrame("an unknown dtype")
        return getattr(_loaded("torch"), DTYPES[code])

    def _size(self, depth: int) -> Any:
        self._spend(ARRAY_NODES)
        sizes = self._items(self._count(), depth)
        if any(type(size) is not int or size.bit_length() > 63 for size in sizes):
            raise BadFrame("a size that is none")
        return _loaded("torch").Size(sizes)

    def _torch_generator(self, depth: int) -> Any:
        self._spend(GENERATOR_NODES)
        self._at += 1
        (state,) = self._items(1, depth)
        torch = _loaded("torch")
        generator = torch.Generator()
        try:
            generator.set_state(state.clone())
        except (AttributeError, TypeError, RuntimeError):
            raise BadFrame("a generator without its state") from None
        self.generators.append(generator)
        return generator

    def _numpy_generator(self, depth: int) -> Any:
        self._spend(GENERATOR_NODES)
        self._at += 1
        state, increment, has_uint32, uinteger = self._items(4, depth)
        numpy = _loaded("numpy")
        bits = numpy.random.PCG64(0)
        try:
            bits.state = {
                "bit_generator": "PCG64",
                "state": {"state": state, "inc": increment},
                "has_uint32": has_uint32,
                "uinteger": uinteger,
            }
        except (TypeError, ValueError, OverflowError):
            raise BadFrame("a generator without its state") from None
        generator = numpy.random.Generator(bits)
        self.generators.append(generator)
        return generator


def _loaded(name: str) -> Any:
    module = sys.modules.get(name)
    if module is None:
        raise BadFrame(f"a value of {name}, which this process does not use")
    return module


_READERS: dict[bytes, Callable[[Decoder, int], Any]] = {
    b"N": Decoder._none,
    b"t": Decoder._true,
    b"f": Decoder._false,
    b"i": Decoder._int,
    b"I": Decoder._big_int,
    b"d": Decoder._float,
    b"x": Decoder._complex,
    b"s": Decoder._str,
    b"b": Decoder._bytes,
    b"l": Decoder._list,
    b"u": Decoder._tuple,
    b"m": Decoder._dict,
    b"k": Decoder._special,
    b"c": Decoder._slice,
    b"O": Decoder._object,
    b"a": Decoder._ndarray,
    b"g": Decoder._numpy_scalar,
    b"T": Decoder._tensor,
    b"D": Decoder._dtype,
    b"z": Decoder._size,
    b"G": Decoder._torch_generator,
    b"R": Decoder._numpy_generator,
}


def decode(
    frame: Frame, resolve: Callable[[int, Any], Any] | None = None, rebuild: Rebuild | None = None
) -> tuple[Any, Decoder]:
    """The single value of a frame, and the decoder that met it."""
    decoder = Decoder(frame.body, frame.tree_bytes, resolve, rebuild)
    return decoder.root(), decoder
