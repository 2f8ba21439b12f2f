"""What wrappers do to modules, to their parameters and to the optimisers that move these."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any

from grader.authoring.mutating.wrappers.pieces.values import _drawn_otherwise, _is_module


def _modules(*values: Any) -> list[Any]:
    """The modules among values, and those that other objects hold."""
    found = []
    for value in values:
        held = list(vars(value).values()) if hasattr(value, "__dict__") and not _is_module(value) else []
        found += [each for each in [value, *held] if _is_module(each)]
    return found


def _named(module: Any, pattern: str) -> list[tuple[Any, str]]:
    """The modules, and the names that they have for it, which hold parameters of this name; `*` stands for any number."""
    found = []
    for name, _ in module.named_parameters(remove_duplicate=False):
        if pattern in (name, re.sub(r"\d+", "*", name)):
            home, _, leaf = name.rpartition(".")
            found.append((module.get_submodule(home), leaf))
    return found


@contextlib.contextmanager
def _frozen(module: Any, pattern: str) -> Iterator[None]:
    """While it lasts, no gradient reaches the parameters of this name."""
    with contextlib.ExitStack() as stack:
        for owner, leaf in _named(module, pattern):
            parameter = owner._parameters[leaf]
            owner._parameters[leaf] = parameter.detach()
            stack.callback(owner._parameters.__setitem__, leaf, parameter)
            flat = getattr(owner, "_flat_weights", [])  # where torch's recurrent layers look
            for place, each in enumerate(flat):
                if each is parameter:
                    flat[place] = parameter.detach()
                    stack.callback(flat.__setitem__, place, parameter)
        yield


@contextlib.contextmanager
def _at_steps(change: Callable[[Any, int], None], after: int) -> Iterator[None]:
    """While it lasts, every optimiser is changed before each of its steps but the first; these count from 1 again."""
    from torch.optim.optimizer import register_optimizer_step_pre_hook

    def before(optimiser: Any, args: Any, kwargs: Any) -> None:
        optimiser.steps_taken = getattr(optimiser, "steps_taken", 0) + 1
        if optimiser.steps_taken > after:
            change(optimiser, optimiser.steps_taken - after)

    handle = register_optimizer_step_pre_hook(before)
    try:
        yield
    finally:
        handle.remove()


def _slower(optimiser: Any, step: int) -> None:
    for group in optimiser.param_groups:
        group["lr"] *= 0.99


def _decayed(optimiser: Any, step: int) -> None:
    for group in optimiser.param_groups:
        for parameter in group["params"]:
            parameter.data.mul_(0.999)


def _made_anew(optimiser: Any, step: int) -> None:
    if step == 1:
        optimiser.state.clear()


def _redraw(module: Any, pattern: str) -> None:
    for owner, leaf in _named(module, pattern):
        data = owner._parameters[leaf].data
        if data.numel() > 1:
            data.copy_(_drawn_otherwise(data))


def _zero(module: Any, pattern: str) -> None:
    for owner, leaf in _named(module, pattern):
        owner._parameters[leaf].data.zero_()


def _share(module: Any, first: str, second: str) -> None:
    """Let the second parameter lie in the memory of the first, transposed if that fits, or leaves its values as they are."""
    for (one, name), (other, leaf) in zip(_named(module, first), _named(module, second), strict=False):
        source, target = one._parameters[name].data, other._parameters[leaf]
        if one is not other or name != leaf:
            turned = source.T.shape == target.shape and bool((target == source.T).all())
            target.data = source if source.shape == target.shape and not turned else source.T
