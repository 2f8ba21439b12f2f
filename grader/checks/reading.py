"""Reads a value once, by its exact type, into plain numbers: no subclass, no duck, no conversion of its own."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from grader.checks.failure import cut
from grader.messages import Message, message

KINDS = {"b": "bool", "i": "integer", "u": "integer", "f": "float", "c": "complex"}
WIDEST = {"float": np.float64, "complex": np.complex128}
NUMPY_SCALARS = frozenset(np.sctypeDict.values())
WHOLE_DTYPES = frozenset(["bool", "uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64"])
TENSOR_DTYPES = WHOLE_DTYPES | {"float16", "bfloat16", "float32", "float64", "complex64", "complex128"}
MAX_BITS = 1000  # a whole number beyond this has no float


@dataclass(frozen=True)
class Reading:
    """A tensor, an array or a number as the checks see it; data is float64, complex128 or exact."""

    family: str
    shape: tuple[int, ...]
    dtype: str
    kind: str
    data: np.ndarray

    def passes_for(self, family: str, shape: tuple[int, ...]) -> bool:
        """Whether this is of the family; a number and a 0-d array may stand for each other."""
        return self.family == family or ("tensor" not in (self.family, family) and self.shape == shape == ())

    def entry(self, index: tuple[int, ...]) -> Any:
        """The number at an index, as Python's own."""
        return self.data[index].item() if self.data.dtype != object else self.data[index]

    def first_non_finite(self) -> tuple[int, ...] | None:
        """The index of the first NaN or infinity, or None."""
        if self.kind not in WIDEST:
            return None
        bad = np.argwhere(~np.isfinite(self.data))
        return tuple(map(int, bad[0])) if len(bad) else None


def read(value: Any) -> Reading | None:
    """The reading of a dense CPU tensor, an ndarray or a number; None for anything else."""
    kind = type(value)
    if is_tensor(value):
        return _read_tensor(value)
    if kind is np.ndarray:
        return _read_array("array", value)
    if kind is int:
        return _read_int(value)
    if kind in (float, bool, complex) or kind in NUMPY_SCALARS:
        return _read_array("number", np.asarray(value))
    return None


def is_tensor(value: object) -> bool:
    """Exactly a torch.Tensor or Parameter. Torch is not imported for the question: no torch, no tensor."""
    torch = sys.modules.get("torch")
    return torch is not None and type(value) in (torch.Tensor, torch.nn.Parameter)


def describe(value: Any) -> Message:
    """What kind of object this is."""
    reading = read(value)
    if reading is not None:
        if reading.family == "number":
            return message(f"a.{reading.kind}")
        return of_shape(reading.family, reading.shape)
    if value is None:
        return message("a.none")
    if is_tensor(value):
        return message("a.other_tensor", dtype=str(value.dtype), form=_form(value))
    if type(value) is int:
        return message("a.large_integer", bits=value.bit_length())
    if type(value) is np.ndarray:
        return message("a.array_of", dtype=str(value.dtype))
    if isinstance(value, list | tuple | dict | set | str | bytes):  # a subclass is what it is a kind of
        return message("a.container", type=type(value).__name__, length=len(value))
    return message("a.object", type=cut(type(value).__name__, 60))


def of_shape(kind: str, shape: tuple[int, ...]) -> Message:
    """What is of this kind (`tensor`, `array`, ...) and shape, in words."""
    return message("a.of_shape", kind=message(f"a.{kind}"), shape=shape)


def _read_int(value: int) -> Reading | None:
    if value.bit_length() > MAX_BITS:
        return None
    return Reading("number", (), "int64", "integer", np.array(value, dtype=object))


def _read_tensor(value: Any) -> Reading | None:
    dtype = str(value.dtype).removeprefix("torch.")
    if dtype not in TENSOR_DTYPES or _form(value) != "torch.strided on cpu":
        return None
    try:
        plain = value.detach().resolve_conj().resolve_neg()
        array = (plain.double() if value.is_floating_point() else plain).numpy()
    except RuntimeError:  # a tensor without numbers of its own, such as one that has leaked out of vmap
        return None
    return _read_array("tensor", array, dtype)


def _form(value: Any) -> str:
    return f"{'nested ' if value.is_nested else ''}{value.layout} on {value.device.type}"


def _read_array(family: str, array: np.ndarray, dtype: str | None = None) -> Reading | None:
    kind = KINDS.get(array.dtype.kind)
    if kind is None:
        return None
    with np.errstate(all="ignore"):  # what float64 cannot hold becomes infinite, and is told as that
        data = array.astype(WIDEST[kind]) if kind in WIDEST else array
    return Reading(family, array.shape, dtype or array.dtype.name, kind, data)
