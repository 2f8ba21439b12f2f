"""Is it the right kind of object, of the right shape and dtype, and are its numbers right? In this order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from grader.checks.failure import AuthorFault, CheckFailure, NotFinite, pair, proportion, rounded
from grader.checks.observations import observe
from grader.checks.reading import Reading, describe, of_shape, read
from grader.messages import Value, message

TIE = 1e-9  # relative difference below which two errors are equally large
FLOOR = 1e-3  # expected values smaller than this are compared as if they were this large


def assert_shape(
    actual: object, shape: Sequence[int], *, dtype: Any = None, name: Value = "the result", help: Value = ""
) -> None:
    """A tensor or array (a number for shape ()) of this shape, of this dtype if one is given, all finite.

    dtype: a torch dtype asks for a tensor, a numpy dtype for an array; a word such as "float64" asks for neither.
    """
    __tracebackhide__ = True
    wanted, family = _dtype_name(dtype)
    size = _checked_shape(shape)
    kind = family or ("tensor_or_array" if size else "tensor_array_or_number")
    got = read(actual)
    if got is None or (got.family == "number" and size) or (family and not got.passes_for(family, size)):
        raise wrong_kind(name, actual, of_shape(kind, size), help)
    _same_shape(got, size, name, help)
    if wanted and got.dtype != wanted:
        raise CheckFailure("value.dtype", name=name, expected=wanted, got=got.dtype, help=help)
    assert_finite(got, name, help)


def assert_close(
    actual: object,
    expected: object,
    *,
    tol: float = 1e-6,
    name: Value = "the result",
    help: Value = "",
    dtype: bool = True,
) -> None:
    """The same numbers: max|actual - expected| <= tol * max(max|expected|, 1e-3).

    Before that the same family (tensor, array, number), shape and dtype, and nothing NaN or infinite. dtype=False
    accepts any dtype of the same kind. Whole numbers and truth values must be equal, whatever tol says. Of plain
    numbers only the kind counts, and a whole number may stand for a float; a 0-d array counts as a number.
    """
    __tracebackhide__ = True
    want = read_expected(expected)
    check_tolerance(tol)
    got = read(actual)
    if got is None or not got.passes_for(want.family, want.shape):
        raise wrong_kind(name, actual, describe(expected), help)
    _same_shape(got, want.shape, name, help)
    _same_dtype(got, want, dtype, name, help)
    assert_finite(got, name, help)
    exact = want.kind in ("bool", "integer")
    difference = _difference(got, want)
    scale = 1.0 if exact else max(_largest(np.abs(want.data)), FLOOR)
    allowed = 0.0 if exact else tol
    worst = _largest(difference)
    observe("assert_close", str(name), worst / scale, allowed)
    if worst <= allowed * scale:
        return
    place = int(
        np.flatnonzero(difference >= worst * (1 - TIE))[0]
    )  # of several as large, whose last bits differ, the first
    index = tuple(map(int, np.unravel_index(place, difference.shape)))
    shown = pair(got.entry(index), want.entry(index))
    wrong = int(np.count_nonzero(~(difference <= allowed * scale)))
    found = {"index": index or None, "wrong": wrong, "size": difference.size, "got": shown[0], "expected": shown[1]}
    if exact:
        raise CheckFailure("value.unequal", name=name, help=help, **found)
    error = {"error": worst, "relative": worst / scale, "allowed": allowed}
    slip = proportion(got.data, want.data)
    raise CheckFailure("value.off", name=name, slip=slip, help=help, **error, **found)


def assert_finite(got: Reading, name: Value, help: Value) -> None:
    """No NaN and no infinity."""
    __tracebackhide__ = True
    bad = got.first_non_finite()
    if bad is not None:
        raise CheckFailure("value.not_finite", name=name, got=rounded(got.entry(bad)), index=bad or None, help=help)


def read_expected(expected: object) -> Reading:
    """The author's side of a comparison: a fault here is a ValueError, never the learner's failure."""
    want = read(expected)
    if want is None:
        raise AuthorFault(f"expected must be a tensor, an array or a number, found {describe(expected)}")
    if want.first_non_finite() is not None:
        raise NotFinite(f"expected must be finite, found NaN or infinity at {want.first_non_finite()}")
    return want


def check_tolerance(tol: float) -> None:
    """A tolerance is a number in [0, 1)."""
    if not 0 <= tol < 1:
        raise AuthorFault(f"tol must be >= 0 and < 1, found {tol}")


def wrong_kind(name: Value, actual: object, expected: Value, help: Value) -> CheckFailure:
    """The failure of something that is not what was asked for at all."""
    forgotten = message("slip.forgotten") if actual is None else None
    return CheckFailure(
        "value.kind", name=name, forgotten=forgotten, expected=expected, got=describe(actual), help=help
    )


def _same_shape(got: Reading, shape: tuple[int, ...], name: Value, help: Value) -> None:
    __tracebackhide__ = True
    if got.shape != shape:
        swapped = message("slip.swapped") if sorted(got.shape) == sorted(shape) else None
        raise CheckFailure("value.shape", name=name, swapped=swapped, expected=shape, got=got.shape, help=help)


def _same_dtype(got: Reading, want: Reading, strict: bool, name: Value, help: Value) -> None:
    __tracebackhide__ = True
    number_like = "number" in (got.family, want.family)
    if got.kind == want.kind:
        fits = number_like or not strict or got.dtype == want.dtype
    else:
        fits = number_like and (got.kind, want.kind) == ("integer", "float")
    if not fits:
        shown = [side.kind if number_like else side.dtype for side in (got, want)]
        raise CheckFailure("value.dtype", name=name, expected=shown[1], got=shown[0], help=help)


def _difference(got: Reading, want: Reading) -> np.ndarray:
    if want.kind == "bool":
        return np.asarray(got.data != want.data, dtype=np.float64)
    with np.errstate(all="ignore"):
        if want.kind == "integer":
            return np.asarray(np.abs(got.data.astype(object) - want.data.astype(object)), dtype=object)
        return np.asarray(np.abs(got.data.astype(want.data.dtype) - want.data))


def _largest(values: np.ndarray) -> float:
    return float(np.max(values)) if values.size else 0.0


def _checked_shape(shape: Sequence[int]) -> tuple[int, ...]:
    size = tuple(shape) if isinstance(shape, tuple | list) else None
    if size is None or not all(type(n) is int and n >= 0 for n in size):
        raise AuthorFault(f"shape must be a tuple of whole numbers, found {shape!r}")
    return size


def _dtype_name(dtype: Any) -> tuple[str, str]:
    """The dtype's name and the family that it asks for, both empty where there is none."""
    if dtype is None:
        return "", ""
    if str(dtype).startswith("torch."):
        return str(dtype).removeprefix("torch."), "tensor"
    try:
        name = np.dtype(dtype).name
    except TypeError:
        raise AuthorFault(f"dtype must be a torch or numpy dtype or its name, found {dtype!r}") from None
    of_numpy = isinstance(dtype, np.dtype) or (isinstance(dtype, type) and issubclass(dtype, np.generic))
    return name, "array" if of_numpy else ""
