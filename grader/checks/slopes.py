"""Claimed derivatives against central differences: one function, one upstream gradient, one tensor at a time.

A tensor is measured along five random directions of length one, on which any wrong gradient shows: a difference e falls
on one as |e| / sqrt(n) times a normal number, and so does the gradient that it is held against. Only where a direction
shows one are the coordinates of a tensor of up to 60 elements measured too, to say which. Five elements or fewer are
measured at once. The error is relative per tensor: max|claimed - numeric| / max(max|numeric|, max|claimed|, 1e-3 *
size of the result). The last term is for derivatives that are zero by symmetry: rounding in the differences is about
1e-11 of the result at eps 1e-5, so a right answer stays below 1e-7 there, and a wrong one is still seen down to 1e-9
of the result.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np

from grader.checks.failure import CheckFailure, pair, proportion
from grader.checks.observations import observe
from grader.messages import Message, Value, message, said

DIRECTIONS = 5
FULL_SIZE = 60
FLOOR = 1e-3
REPEATABLE = 1e-6


@dataclass(frozen=True)
class Probe:
    """A function of named arguments, any of which can be displaced; seen through a fixed upstream gradient."""

    evaluate: Callable[[str, np.ndarray], list[np.ndarray]]  # values with the named argument displaced by the array
    upstream: list[np.ndarray]
    base: list[np.ndarray]
    eps: float

    @property
    def size(self) -> float:
        """How large the result is, each entry weighed by its upstream gradient."""
        return float(np.sqrt(sum(np.sum((u * y) ** 2) for u, y in zip(self.upstream, self.base, strict=True))))

    def repeats(self, key: str, shape: tuple[int, ...]) -> bool:
        """Whether a second call with the same arguments gives the same values."""
        return all(
            np.max(np.abs(y - again), initial=0.0) <= REPEATABLE * max(np.max(np.abs(y), initial=0.0), FLOOR)
            for y, again in zip(self.base, self.evaluate(key, np.zeros(shape)), strict=True)
        )

    def slope(self, key: str, direction: np.ndarray) -> float:
        """The numeric derivative along a direction of one argument."""
        ends = [self.evaluate(key, np.asarray(sign * self.eps * direction)) for sign in (1.0, -1.0)]
        rises = [np.sum(u * (after - before)) for u, after, before in zip(self.upstream, *ends, strict=True)]
        return float(sum(rises)) / (2 * self.eps)


@dataclass(frozen=True)
class Slopes:
    """Claimed and numeric derivatives of one tensor: along some directions, or by coordinate."""

    key: str
    shape: tuple[int, ...]
    claimed: np.ndarray
    numeric: np.ndarray
    floor: float
    by_coordinate: bool

    @property
    def error(self) -> float:
        """The relative error; infinite where no scale is to be had."""
        sizes = (np.max(np.abs(part), initial=0.0) for part in (self.claimed, self.numeric))
        scale = max(*sizes, self.floor, np.finfo(np.float64).tiny)
        error = float(self._difference.max(initial=0.0) / scale)
        return error if np.isfinite(scale) and np.isfinite(error) else np.inf

    @property
    def worst(self) -> int:
        """The position of the largest difference."""
        return int(np.argmax(self._difference))

    @property
    def where(self) -> Value:
        """The place of the largest difference, in words."""
        if not self.by_coordinate:
            return message("gradient.direction", key=self.key)
        index = tuple(map(int, np.unravel_index(self.worst, self.shape)))
        return message("gradient.entry", key=self.key, index=index) if index else self.key

    @property
    def _difference(self) -> np.ndarray:
        return np.asarray(np.abs(self.claimed - self.numeric))


def compare_slopes(
    check: str,
    probe: Probe,
    claimed: Mapping[str, np.ndarray],
    rng: np.random.Generator,
    *,
    tol: float,
    name: Value,
    help: Value,
    missing: Collection[str] = (),
    note: Message | None = None,
) -> None:
    """Fail, naming the tensor with the largest relative error, unless every error is within tol.

    missing: tensors that no gradient reached, claimed as zero; note: what else the learner should know.
    """
    __tracebackhide__ = True
    first, values = next(iter(claimed.items()))
    with np.errstate(all="ignore"):  # what overflows has an infinite error
        repeats = probe.repeats(first, values.shape)
        slopes = [_measure(probe, key, values, rng) for key, values in claimed.items()] if repeats else []
        errors = {tensor.key: tensor.error for tensor in slopes}
    if not repeats:
        raise CheckFailure(
            "gradient.unsteady", name=name, help=help or "state kept between calls, or random numbers drawn inside"
        )
    for key, error in errors.items():
        observe(check, str(message("gradient.of", name=said(name), key=key)), error, tol)
    worst = max(slopes, key=lambda tensor: errors[tensor.key])
    if errors[worst.key] <= tol:
        if not any(tensor.numeric.any() or tensor.claimed.any() for tensor in slopes):
            raise CheckFailure("gradient.nothing", name=name, keys=list(claimed), help=help)
        return
    if worst.key in missing:
        fail_unreached([worst.key], help)
    others = [key for key, error in errors.items() if error > tol and key != worst.key]
    if not worst.by_coordinate and claimed[worst.key].size <= FULL_SIZE:
        with np.errstate(all="ignore"):
            worst = _by_coordinate(probe, worst.key, claimed[worst.key])
    actual, expected = pair(float(worst.claimed[worst.worst]), float(worst.numeric[worst.worst]))
    raise CheckFailure(
        "gradient.wrong",
        name=name,
        key=worst.key,
        slip=proportion(worst.claimed, worst.numeric),
        relative=errors[worst.key],
        allowed=tol,
        note=note,
        expected=expected,
        got=actual,
        where=message("gradient.also", place=worst.where, keys=others) if others else worst.where,
        help=help,
    )


def fail_unreached(keys: Collection[str], help: Value, source: Value = "the result") -> None:
    """No gradient arrives at these tensors."""
    __tracebackhide__ = True
    hint = ".detach(), .data, .item(), torch.no_grad(), or a new tensor made from the values of another"
    raise CheckFailure("gradient.unreached", keys=list(keys), source=said(source), help=help or hint)


def _measure(probe: Probe, key: str, claimed: np.ndarray, rng: np.random.Generator) -> Slopes:
    if claimed.size <= DIRECTIONS:
        return _by_coordinate(probe, key, claimed)
    directions = rng.standard_normal((DIRECTIONS, claimed.size))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return _along(probe, key, claimed, directions, by_coordinate=False)


def _by_coordinate(probe: Probe, key: str, claimed: np.ndarray) -> Slopes:
    return _along(probe, key, claimed, np.eye(claimed.size), by_coordinate=True)


def _along(probe: Probe, key: str, claimed: np.ndarray, directions: np.ndarray, *, by_coordinate: bool) -> Slopes:
    numeric = np.array([probe.slope(key, direction.reshape(claimed.shape)) for direction in directions])
    return Slopes(key, claimed.shape, directions @ claimed.ravel(), numeric, FLOOR * probe.size, by_coordinate)
