"""What wrappers ask of a call, and do to what came with it."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

from grader.authoring.mutating.wrappers.pieces.modules import _modules
from grader.authoring.mutating.wrappers.pieces.values import _is_array


def _asked(home: dict[str, Any]) -> bool:
    """Whether the call comes from outside of this file, whose globals are `home`."""
    frame = sys._getframe(1).f_back
    while frame is not None:
        if frame.f_globals is home:
            return False
        frame = frame.f_back
    return True


def _in_a_row(calls: list[Any]) -> int:
    """Which call this is of the function that asks, counted from 1 in each run of the function that calls it."""
    frame = sys._getframe(1).f_back
    calls[:] = [frame, calls[1] + 1 if calls and calls[0] is frame else 1]
    return int(calls[1])


def _is_straight(value: Any) -> bool:
    """Whether an array lies in memory as it is read; what is no array does."""
    if not _is_array(value):
        return True
    return bool(value.is_contiguous() if hasattr(value, "is_contiguous") else value.flags.c_contiguous)


def _spoil(value: Any) -> None:
    """Change the arrays in a value, where they lie."""
    if isinstance(value, dict | list | tuple):
        for each in value.values() if isinstance(value, dict) else value:
            _spoil(each)
    elif _is_array(value):
        data = value.data if hasattr(value, "detach") else value
        with contextlib.suppress(RuntimeError, ValueError, TypeError):  # memory that cannot be written is left alone
            if "bool" in str(data.dtype):
                data ^= True
            else:
                data += 1


def _nudge(value: Any) -> None:
    """Change the weights of every module in a value a little."""
    for module in _modules(value):
        for parameter in module.parameters():
            parameter.data.add_(0.001)


def _flip(value: Any) -> None:
    """Put every module in a value into its other mode."""
    for module in _modules(value):
        module.train(not module.training)


def _cut(value: Any) -> Any:
    return value.detach() if hasattr(value, "detach") else value


def _cut_beyond(value: Any, axis: int, steps: int) -> Any:
    """The value, whose gradient reaches the last steps along the axis alone."""
    import torch

    if not hasattr(value, "detach") or value.shape[axis] <= steps:
        return value
    older = value.shape[axis] - steps
    return torch.cat([value.narrow(axis, 0, older).detach(), value.narrow(axis, older, steps)], dim=axis)


def _nan_gradient(value: Any) -> Any:
    """The value, whose gradient is NaN."""
    if getattr(value, "requires_grad", False):
        value = value.view_as(value)
        value.register_hook(lambda gradient: gradient * float("nan"))
    return value
