"""A recorded reference: what the calls of a suite gave when the reference was there, as numbers, and no line of its code.

A call is found again by its function, by the form of its arguments (everything exact: structure, names, shapes, dtypes,
whole numbers, generators) and by a sketch of their floating-point numbers. The sketch is compared with a tolerance,
because another processor may round the last bit of an argument differently; the nearest recorded call counts.
"""

from __future__ import annotations

import struct
from hashlib import sha256
from pathlib import Path
from typing import Any

from grader.errors import InternalFault
from grader.messages import text
from grader.wire import HEADER, BadFrame, Encoder, Frame, decode, read_header

SEED = 0  # of the run that was recorded: what asks for a recorded reference is judged with it, whatever the run's seed
FILE = "recorded.bin"
_SINGLE, _DOUBLE = 1e-4, 1e-9  # relative tolerances of a sketch

Call = tuple[str, list[float], Any, list[Any]]  # form, sketch, value, states of the generators afterwards


class Recorded:
    """What stands for the reference's module: functions that answer the recorded calls, and recorded constants."""

    def __init__(self, calls: list[Call]) -> None:
        self._calls: dict[str, list[Call]] = {}
        for call in calls:
            self._calls.setdefault(call[0], []).append(call)

    def __getattr__(self, name: str) -> Any:
        constant = self._calls.get(form_of(name, None)[0])
        if constant:
            return constant[0][2]

        def call(*args: Any, **kwargs: Any) -> Any:
            form, sketch, generators = form_of(name, (args, kwargs))
            near = [call for call in self._calls.get(form, ()) if distance(call[1], sketch) <= 1.0]
            if not near:
                raise InternalFault(
                    text("this call of reference.{name} was not recorded when the course was released", name=name)
                )
            _, _, value, states = min(near, key=lambda call: distance(call[1], sketch))
            for generator, state in zip(generators, states, strict=True):
                _advance(generator, state)
            return unpacked(packed(value))  # a copy, for the suite to do with as it likes

        return call


def form_of(name: str, arguments: Any) -> tuple[str, list[float], list[Any]]:
    """The exact part of a call as a digest, its sketch, and the generators among its arguments.

    The sketch has four numbers for each floating-point array: its norm, two projections, and the tolerance on these.
    """
    digest, sketch, generators = sha256(name.encode()), list[float](), list[Any]()
    _enter(arguments, digest, sketch, generators)
    return digest.hexdigest(), sketch, generators


def distance(one: list[float], other: list[float]) -> float:
    """How far two sketches of one form are apart, where 1 is the tolerance."""
    parts = zip(one, other, strict=True)
    quads = list(zip(parts, parts, parts, parts, strict=True))
    return max(
        (max(abs(a - b) for a, b in quad[:3]) / (quad[3][0] * quad[0][0] + 1e-300) for quad in quads), default=0.0
    )


def packed(value: Any) -> bytes:
    """A value as one frame of the wire."""
    encoder = Encoder()
    encoder.value(value)
    return b"".join(bytes(part) for part in encoder.frame(0, 0))


def unpacked(content: bytes) -> Any:
    """The value in one frame; raises BadFrame."""
    head = read_header(content)
    body = bytearray(content[HEADER.size :])
    if len(body) != head.tree_bytes + head.raw_bytes:
        raise BadFrame("a frame that is cut")
    return decode(Frame(head.kind, head.call, head.tree_bytes, body))[0]


def load(path: Path) -> Recorded:
    """The recorded reference in a file; raises InternalFault where it cannot be read."""
    import numpy  # noqa: F401  # the wire makes arrays only of libraries that this process has loaded

    try:
        return Recorded(unpacked(path.read_bytes()))
    except (OSError, BadFrame, TypeError, ValueError, struct.error) as error:
        raise InternalFault(
            text("{file} of {kata} cannot be read: {error}", file=path.name, kata=path.parent.name, error=str(error))
        ) from None


def _enter(value: Any, digest: Any, sketch: list[float], generators: list[Any]) -> None:
    kind = next((base for base in (list, tuple, dict) if isinstance(value, base)), type(value))
    digest.update(f"({kind.__name__}".encode())
    if kind in (list, tuple):
        for each in value:
            _enter(each, digest, sketch, generators)
    elif kind is dict:
        for name, each in value.items():
            digest.update(repr(name).encode())
            _enter(each, digest, sketch, generators)
    elif kind in (float, complex) or hasattr(value, "dtype"):
        _enter_numbers(value, digest, sketch)
    else:
        if kind.__name__ == "Generator":
            generators.append(value)
        digest.update(packed(value))
    digest.update(b")")


def _enter_numbers(value: Any, digest: Any, sketch: list[float]) -> None:
    """Whole numbers exactly; of the others shape and type exactly, and their sketch."""
    import numpy as np

    if hasattr(value, "detach"):
        digest.update(str(value.dtype).encode())
        value = value.detach()
        tolerance = _DOUBLE if value.dtype.itemsize >= 8 else _SINGLE
        array = np.asarray(value.double() if value.is_floating_point() else value)
    else:
        array = np.asarray(value)
        tolerance = _DOUBLE if array.dtype.itemsize >= 8 else _SINGLE
    digest.update(f"{array.shape}{array.dtype}".encode())
    if array.dtype.kind not in "fc":
        digest.update(array.tobytes())
        return
    numbers = np.ascontiguousarray(array).reshape(-1)
    numbers = (numbers.view(numbers.real.dtype) if array.dtype.kind == "c" else numbers).astype(np.float64)
    finite = np.isfinite(numbers)
    digest.update(np.where(finite, 0.0, numbers).tobytes())
    numbers, places = np.where(finite, numbers, 0.0), np.arange(numbers.size)
    projections = (float(numbers @ np.cos(1.0 + places * step)) for step in (0.7548776662466927, 0.5698402909980532))
    sketch += [float(np.linalg.norm(numbers)), *projections, tolerance]


def _advance(generator: Any, state: Any) -> None:
    """Bring a generator to where the recorded call left it."""
    if hasattr(generator, "bit_generator"):
        generator.bit_generator.state = state.bit_generator.state
    else:
        generator.set_state(state.get_state())
