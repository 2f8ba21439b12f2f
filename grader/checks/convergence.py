"""Does it train: step by step as the formula says, and in the end better than what needs no learning?"""

from __future__ import annotations

import numpy as np

from grader.checks.close import FLOOR, check_tolerance, read_expected
from grader.checks.failure import AuthorFault, CheckFailure, NotFinite, number, pair
from grader.checks.observations import observe
from grader.checks.reading import describe, read


def assert_trajectory(
    losses: object, expected: object, *, tol: float = 1e-6, name: str = "loss", help: str = ""
) -> None:
    """The losses of the first training steps: |loss - expected| <= tol * max(|expected|, 1e-3) at each step.

    Both are lists or tuples of plain numbers, or 1-d arrays or tensors. The first step that departs is named.
    """
    __tracebackhide__ = True
    check_tolerance(tol)
    want = _expected_steps(expected)
    got = _steps(losses, name, help)
    if len(got) != len(want):
        raise CheckFailure(
            f"{name} has the wrong number of steps", expected=str(len(want)), actual=str(len(got)), help=help
        )
    with np.errstate(all="ignore"):
        errors = np.abs(got - want) / np.maximum(np.abs(want), FLOOR)
    if np.isfinite(errors).all():
        observe("assert_trajectory", name, errors.max(), tol)
    wrong = np.flatnonzero(~(errors <= tol))
    if not len(wrong):
        return
    step = int(wrong[0])
    shown = pair(float(got[step]), float(want[step]))
    story = "already before the first update" if step == 0 else "and the steps before it agree"
    raise CheckFailure(
        f"{name} departs at step {step + 1} of {len(want)}, {story} "
        f"(relative error {errors[step]:.2g}, allowed {tol:.2g})",
        expected=shown[1],
        actual=shown[0],
        where=f"step {step + 1}",
        help=help or ("the forward pass and the loss" if step == 0 else "the gradients and the update"),
    )


def assert_beats(score: object, bar: float, *, name: str, higher: bool = True, help: str = "") -> None:
    """A convergence gate: the score must be beyond the bar (above it, or below it with higher=False)."""
    __tracebackhide__ = True
    limit = read_expected(bar)
    if limit.shape or limit.kind not in ("integer", "float"):
        raise AuthorFault(f"bar must be a number, found {describe(bar)}")
    goal = float(limit.data)
    needed = f"{'more' if higher else 'less'} than {number(goal)}"
    reached = read(score)
    if reached is None or reached.shape or reached.kind not in ("integer", "float"):
        raise CheckFailure(f"{name} is not a number", expected=needed, actual=describe(score), help=help)
    value = float(reached.data)
    margin = value - goal if higher else goal - value
    if np.isfinite(margin):
        observe("assert_beats", name, max(0.0, -margin), 0.0, margin)
        if margin > 0:
            return
    message = f"{name} reached {number(value)}; {needed} is needed"
    raise CheckFailure(message, expected=needed, actual=number(value), help=help)


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


def _steps(losses: object, name: str, help: str) -> np.ndarray:
    """The losses as a float64 vector; what is not a plain number is named with its position."""
    __tracebackhide__ = True
    whole = read(losses)
    if whole is not None and len(whole.shape) == 1 and whole.kind in ("integer", "float"):
        return whole.data.astype(np.float64)
    if not isinstance(losses, list | tuple):
        raise CheckFailure(
            f"{name} is not a list of numbers", expected="a list of numbers", actual=describe(losses), help=help
        )
    return np.array([_step(loss, i, name, help) for i, loss in enumerate(losses)])


def _step(loss: object, index: int, name: str, help: str) -> float:
    __tracebackhide__ = True
    got = read(loss)
    if got is None or got.family != "number" or got.kind not in ("integer", "float"):
        item = " (a 0-d tensor becomes a number with .item())" if got is not None and got.shape == () else ""
        raise CheckFailure(
            f"{name} holds something that is not a plain number{item}",
            expected="a number",
            actual=describe(loss),
            where=f"position {index}",
            help=help,
        )
    return float(got.data)
