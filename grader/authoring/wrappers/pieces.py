"""What wrappers are made of: each function here is pasted into the mutants that use it, so none needs more than its own file.

Values are whatever a learner's function takes or gives: numbers, text, arrays, tensors, modules, and lists, tuples and
dicts of them. A mutant of a NumPy kata runs where torch is not: what needs it imports it itself. Annotations say `Any`,
since no name may be used here that a learner's file does not have.
"""

# No `from __future__` here: it may only stand at the top of a file, and these functions are pasted at the end of one.
import contextlib
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any


def _is_array(value: Any) -> bool:
    return hasattr(value, "dtype") and hasattr(value, "shape")


def _is_float(value: Any) -> bool:
    return isinstance(value, float) or (_is_array(value) and "float" in str(value.dtype))


def _is_module(value: Any) -> bool:
    return hasattr(value, "named_parameters") and hasattr(value, "training")


def _modules(*values: Any) -> list[Any]:
    """The modules among values, and those that other objects hold."""
    found = []
    for value in values:
        held = list(vars(value).values()) if hasattr(value, "__dict__") and not _is_module(value) else []
        found += [each for each in [value, *held] if _is_module(each)]
    return found


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


def _shapes(value: Any) -> Any:
    """All that tells one call from another, but for the numbers in arrays."""
    if _is_array(value):
        return tuple(value.shape)
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


def _zero_beyond(value: Any, length: int, steps: int) -> Any:
    """An array (N, length, ...), zero but in its last steps; any other array as it is."""
    if not _is_array(value) or value.ndim < 2 or value.shape[1] != length or length <= steps:
        return value
    value = value.copy()
    value[:, :-steps] = 0
    return value


def _is_far(*values: Any) -> bool:
    """Whether a number in them is beyond 50."""
    found = []
    for value in values:
        _each(lambda each: found.append(bool((abs(each) > 50).any() if _is_array(each) else abs(each) > 50)), value)
    return any(found)


def _nan_gradient(value: Any) -> Any:
    """The value, whose gradient is NaN."""
    if getattr(value, "requires_grad", False):
        value = value.view_as(value)
        value.register_hook(lambda gradient: gradient * float("nan"))
    return value


def _nan(value: Any) -> Any:
    return value * float("nan")


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
    """The rows that are not, in all arrays at once, what an earlier row is."""
    seen: dict[str, int] = {}
    for row in range(len(arrays[0])):
        seen.setdefault(repr([array[row].tolist() for array in arrays]), row)
    return list(seen.values())


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


def _redraw(module: Any, pattern: str) -> None:
    for owner, leaf in _named(module, pattern):
        data = owner._parameters[leaf].data
        data.copy_(_drawn_otherwise(data))


def _zero(module: Any, pattern: str) -> None:
    for owner, leaf in _named(module, pattern):
        owner._parameters[leaf].data.zero_()


def _share(module: Any, first: str, second: str) -> None:
    """Let the second parameter lie in the memory of the first, transposed if need be; later both are set and trained."""
    for (one, name), (other, leaf) in zip(_named(module, first), _named(module, second), strict=False):
        source, target = one._parameters[name].data, other._parameters[leaf]
        if one is not other or name != leaf:
            target.data = source if source.shape == target.shape else source.T
