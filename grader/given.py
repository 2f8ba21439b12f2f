"""What a call was given, and which of it the call changed: arrays, containers at any depth, objects and modules.

Both ways of running a suite ask this of every call: the worker of what crossed the wire, plain pytest of its own copies.
"""

from __future__ import annotations

import inspect
import sys
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from typing import Any

_ATOMS = frozenset([type(None), bool, int, float, complex, str, bytes, slice])
_OF_LIBRARIES = frozenset(["numpy", "scipy", "torch", "sklearn", "grader", *sys.stdlib_module_names])


class Given:
    """The arguments of one call, as they were before it."""

    def __init__(self, function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        self._function = function
        self._values = (*args, *kwargs.values())
        self._positional, self._named = len(args), tuple(kwargs)
        self._before = [_print(value, set()) for value in self._values]

    def changed(self) -> list[str]:
        """The arguments that are not what they were, as `x of forward`."""
        after = [_print(value, set()) for value in self._values]
        if after == self._before:
            return []
        owner = getattr(self._function, "__qualname__", type(self._function).__name__)
        pairs = zip((*self._names(), *self._named), self._before, after, strict=True)
        return [f"{name} of {owner}" for name, before, now in pairs if before != now]

    def _names(self) -> list[str]:
        """The names of the arguments that were given without one."""
        function = self._function.forward if _is_module(self._function) else self._function
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):
            parameters = []
        names = [each.name for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
        extra = range(len(names) + 1, self._positional + 1)
        return (names + [f"argument {place}" for place in extra])[: self._positional]


def _print(value: Any, seen: set[int]) -> Any:
    """All of a value that can be changed in place, as something that keeps, and is equal where nothing changed."""
    kind = type(value)
    if kind in _ATOMS:
        return kind, value
    if id(value) in seen:
        return None
    seen.add(id(value))
    if isinstance(value, dict):
        items = (OrderedDict if isinstance(value, OrderedDict) else dict).items(value)  # which has an order of its own
        return kind, [key for key, _ in items], _prints([each for _, each in items], seen)
    if isinstance(value, list | tuple | deque | set | frozenset):
        return kind, _prints(list(value), seen)
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy is not None and isinstance(value, numpy.ndarray):
        return value.dtype, value.shape, value.strides, value.tobytes()
    if torch is not None and isinstance(value, torch.Tensor):
        return _tensor(value)
    if _is_module(value):
        held = [*value.named_parameters(), *value.named_buffers()]
        tensors = [(name, tensor.requires_grad, _tensor(tensor)) for name, tensor in held]
        return tensors, [one.training for one in value.modules()]
    return _attributes(value, seen)


def _prints(parts: list[Any], seen: set[int]) -> Any:
    kinds = list(map(type, parts))
    if _ATOMS.issuperset(kinds):  # thousands of words, say
        return kinds, parts
    return [_print(each, seen) for each in parts]


def _tensor(value: Any) -> Any:
    torch = sys.modules["torch"]
    try:
        plain = value.detach()
        plain = plain.view(torch.int16) if plain.dtype is torch.bfloat16 else plain.resolve_conj().resolve_neg()
        content = plain.numpy().tobytes()
    except (RuntimeError, TypeError):  # of another form than dense on the CPU, which no suite passes
        return id(value)
    return value.dtype, tuple(value.shape), value.stride(), content


def _attributes(value: Any, seen: set[int]) -> Any:
    """The public attributes of an object of the learner's own class; what is private there may change."""
    kind = type(value)
    held = getattr(value, "__dict__", None)
    if isinstance(value, type) or type(held) is not dict or kind.__module__.partition(".")[0] in _OF_LIBRARIES:
        return None
    public = {name: each for name, each in held.items() if not name.startswith("_")}
    return kind, list(public), _prints(list(public.values()), seen)


def _is_module(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.nn.Module)
