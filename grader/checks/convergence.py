"""Does it train: step by step as the formula says, and in the end better than what needs no learning?"""

from __future__ import annotations

import numpy as np

from grader.checks.close import FLOOR, check_tolerance, read_expected
from grader.checks.failure import AuthorFault, CheckFailure, NotFinite, pair, rounded
from grader.checks.observations import observe
from grader.checks.reading import describe, read
from grader.messages import Value


def assert_trajectory(
    losses: object, expected: object, *, tol: float = 1e-6, name: Value = "loss", help: Value = ""
) -> None:
    """The losses of the first training steps: |loss - expected| <= tol * max(|expected|, 1e-3) at each step.

    Both are lists or tuples of plain numbers, or 1-d arrays or tensors. The first step that departs is named.
    """
    __tracebackhide__ = True
    check_tolerance(tol)
    want = _expected_steps(expected)
    got = _steps(losses, name, help)
    if len(got) != len(want):
        raise CheckFailure("steps.count", name=name, expected=len(want), got=len(got), help=help)
    with np.errstate(all="ignore"):
        errors = np.abs(got - want) / np.maximum(np.abs(want), FLOOR)
    if np.isfinite(errors).all():
        observe("assert_trajectory", str(name), errors.max(), tol)
    wrong = np.flatnonzero(~(errors <= tol))
    if not len(wrong):
        return
    step = int(wrong[0])
    shown = pair(float(got[step]), float(want[step]))
    raise CheckFailure(
        "steps.departs" if step else "steps.departs_at_first",
        name=name,
        step=step + 1,
        steps=len(want),
        relative=float(errors[step]),
        allowed=tol,
        got=shown[0],
        expected=shown[1],
        help=help or ("the forward pass and the loss" if step == 0 else "the gradients and the update"),
    )


def assert_beats(score: object, bar: float, *, name: Value, higher: bool = True, help: Value = "") -> None:
    """A convergence gate: the score must be beyond the bar (above it, or below it with higher=False)."""
    __tracebackhide__ = True
    limit = read_expected(bar)
    if limit.shape or limit.kind not in ("integer", "float"):
        raise AuthorFault(f"bar must be a number, found {describe(bar)}")
    goal = float(limit.data)
    side = "more" if higher else "less"
    reached = read(score)
    if reached is None or reached.shape or reached.kind not in ("integer", "float"):
        raise CheckFailure(f"bar.kind_{side}", name=name, bar=rounded(goal), got=describe(score), help=help)
    value = float(reached.data)
    margin = value - goal if higher else goal - value
    if np.isfinite(margin):
        observe("assert_beats", str(name), max(0.0, -margin), 0.0, margin)
        if margin > 0:
            return
    raise CheckFailure(f"bar.{side}", name=name, bar=rounded(goal), got=rounded(value), help=help)


def _expected_steps(expected: object) -> np.ndarray:
    try:
        want = _steps(expected, "expected", "")
    except CheckFailure as fault:
        raise AuthorFault(str(fault)) from None
    if not len(want):
        raise AuthorFault("expected must be at least one loss")
    if not np.isfinite(want).all():
        raise NotFinite("expected must be finite losses")
    return want


def _steps(losses: object, name: Value, help: Value) -> np.ndarray:
    """The losses as a float64 vector; what is not a plain number is named with its position."""
    __tracebackhide__ = True
    whole = read(losses)
    if whole is not None and len(whole.shape) == 1 and whole.kind in ("integer", "float"):
        return whole.data.astype(np.float64)
    if not isinstance(losses, list | tuple):
        raise CheckFailure("steps.kind", name=name, got=describe(losses), help=help)
    return np.array([_step(loss, i, name, help) for i, loss in enumerate(losses)])


def _step(loss: object, index: int, name: Value, help: Value) -> float:
    __tracebackhide__ = True
    got = read(loss)
    if got is None or got.family != "number" or got.kind not in ("integer", "float"):
        code = "steps.item_tensor" if got is not None and got.shape == () else "steps.item"
        raise CheckFailure(code, name=name, got=describe(loss), index=index, help=help)
    return float(got.data)
