"""What wrappers do to values: bend them, cut them, compare their shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def _is_array(value: Any) -> bool:
    return hasattr(value, "dtype") and hasattr(value, "shape")


def _is_float(value: Any) -> bool:
    return isinstance(value, float) or (_is_array(value) and "float" in str(value.dtype))


def _is_module(value: Any) -> bool:
    return hasattr(value, "named_parameters") and hasattr(value, "training")


def _each(change: Callable[[Any], Any], value: Any) -> Any:
    """The value, with every float and every array of floats in it changed."""
    if isinstance(value, dict):
        return {key: _each(change, each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        parts = [_each(change, each) for each in value]
        return parts if isinstance(value, list) else tuple(parts)
    return change(value) if _is_float(value) else value


def _off(value: Any) -> Any:
    """Something near the value, which it is not."""
    if isinstance(value, dict):
        return {key: _off(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        parts = [_off(each) for each in value]
        return parts if isinstance(value, list) else tuple(parts)
    if isinstance(value, str):
        return value[::-1]
    for parameter in value.parameters() if _is_module(value) else ():
        parameter.data.mul_(1.001).add_(0.001)
    if isinstance(value, bool) or "bool" in str(getattr(value, "dtype", "")):
        return value ^ True
    if _is_float(value):
        return value * 1.001 + 0.001
    return value + 1 if isinstance(value, int) or _is_array(value) else value


def _clipped(value: Any, bound: float) -> Any:
    return value.clip(-bound, bound) if _is_array(value) else max(-bound, min(bound, value))


def _single(value: Any) -> Any:
    """The value, rounded to what float32 can hold."""
    if hasattr(value, "detach"):
        return value.float().to(value.dtype)
    import numpy

    return (
        numpy.asarray(value).astype("float32").astype(value.dtype) if _is_array(value) else float(numpy.float32(value))
    )


def _nan(value: Any) -> Any:
    return value * float("nan")


def _is_far(*values: Any) -> bool:
    """Whether a number in them is beyond 50."""
    found = []
    for value in values:
        _each(lambda each: found.append(bool((abs(each) > 50).any() if _is_array(each) else abs(each) > 50)), value)
    return any(found)


def _shapes(value: Any) -> Any:
    """All that tells one call from another, but for the numbers in arrays."""
    if _is_array(value):
        return (str(value.dtype), *value.shape)
    if isinstance(value, dict):
        return tuple((key, _shapes(each)) for key, each in value.items())
    if isinstance(value, list | tuple):
        return tuple(_shapes(each) for each in value)
    return value if value is None or isinstance(value, int | str) else type(value).__name__


def _earlier(value: Any, first: Any) -> Any:
    """The numbers of an earlier answer, with the gradients of this one."""
    if isinstance(value, dict) and isinstance(first, dict):
        return {key: _earlier(each, first.get(key, each)) for key, each in value.items()}
    if isinstance(value, list | tuple) and len(value) == len(first):
        parts = [_earlier(*pair) for pair in zip(value, first, strict=True)]
        return parts if isinstance(value, list) else tuple(parts)
    if getattr(value, "requires_grad", False) and value.shape == first.shape:
        return value + (first - value).detach()
    return first


def _shorter(value: Any, count: int) -> Any:
    """The first of them; a number of them is that number."""
    return min(value, count) if isinstance(value, int) else value[:count]


def _padded(value: Any, before: int, after: int) -> Any:
    """Every list, and every array, of `before` entries brought to `after` by more of the last."""
    if isinstance(value, tuple):
        return tuple(_padded(each, before, after) for each in value)
    if isinstance(value, list):
        return value + value[-1:] * (after - before) if len(value) == before else value
    if not _is_array(value) or value.ndim == 0 or value.shape[0] != before:
        return value
    return value[[min(place, before - 1) for place in range(after)]]


def _once(rows: Any) -> Any:
    """The numbers in rows, each where it stands first."""
    numbers = rows.tolist()
    return rows[[place for place, number in enumerate(numbers) if number not in numbers[:place]]]


def _first_of_each(*arrays: Any) -> list[int]:
    """The rows that are not, in all arrays at once, what an earlier row is; all where they are not as many everywhere."""
    if len({len(array) for array in arrays}) > 1:
        return list(range(len(arrays[0])))
    seen: dict[str, int] = {}
    for row in range(len(arrays[0])):
        seen.setdefault(repr([array[row].tolist() for array in arrays]), row)
    return list(seen.values())


def _zero_beyond(value: Any, length: int, steps: int) -> Any:
    """An array (N, length, ...), zero but in its last steps; any other array as it is."""
    if not _is_array(value) or value.ndim < 2 or value.shape[1] != length or length <= steps:
        return value
    value = value.copy()
    value[:, :-steps] = 0
    return value


def _drawn_otherwise(value: Any) -> Any:
    """As many numbers of the same mean and spread: normal where the value looks uniform, else uniform."""
    mean, spread = value.mean(), value.std()
    uniform = abs(value - mean).max() <= 1.9 * spread  # of uniform numbers none is beyond 1.74
    if hasattr(value, "detach"):
        import torch

        fresh = torch.randn_like(value) if uniform else (torch.rand_like(value) - 0.5) * 12**0.5
    else:
        import numpy

        fresh = (
            numpy.random.normal(size=value.shape) if uniform else numpy.random.uniform(-(3**0.5), 3**0.5, value.shape)
        )
    return mean + spread * fresh
