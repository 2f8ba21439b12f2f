"""Containers of a kind of their own: named tuples, default dicts, counters, deques and other subclasses.

They cross as what they are a kind of, a tuple, a list or a dict, under the number of their kind. The judge makes a class
without a method of its own for each number, so that such a value is a tuple, list or dict there and nothing else; given
back to the learner's code, it is what it was.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Any

from grader.limits import MAX_KINDS
from grader.wire.frame import BadFrame

BASES: tuple[type, ...] = (tuple, list, dict)

NumberOf = Callable[[Any], int | None]
Rebuild = Callable[[int, Any], Any]


def is_special(kind: type) -> bool:
    """Whether values of this type cross as those of another, and are no tuple, list or dict just so."""
    return kind not in BASES and issubclass(kind, (*BASES, deque))


def plain(value: Any) -> Any:
    """What a special container holds, as a tuple, list or dict, whatever its class would say of it."""
    if isinstance(value, tuple):
        return tuple(tuple.__iter__(value))
    if isinstance(value, dict):
        return dict((OrderedDict if isinstance(value, OrderedDict) else dict).items(value))
    return list(deque.__iter__(value) if isinstance(value, deque) else list.__iter__(value))


def like(model: Any, content: Any) -> Any:
    """A container of the kind of `model` with this content; just the content where its class does not allow it."""
    kind: Any = type(model)
    try:
        if isinstance(model, tuple):
            return tuple.__new__(kind, content)
        if isinstance(model, deque):
            made = kind.__new__(kind)
            deque.__init__(made, content, model.maxlen)
            return made
        made = kind.__new__(kind)
        if isinstance(model, list):
            list.extend(made, content)
            return made
        if isinstance(model, defaultdict):
            made.default_factory = model.default_factory
        (OrderedDict if isinstance(model, OrderedDict) else dict).update(made, content)
        return made
    except Exception:  # it is the learner's own class, and may do as it likes
        return content


class Kinds:
    """The learner's side: which number stands for which kind of container."""

    def __init__(self) -> None:
        self._models: list[Any] = []
        self._numbers: dict[Any, int] = {}

    def number(self, value: Any) -> int | None:
        """The number of the kind of a special container; None once there are too many, and it crosses as what it is a kind of."""
        key = type(value), id(getattr(value, "default_factory", None)), getattr(value, "maxlen", None)
        known = self._numbers.get(key)
        if known is not None or len(self._models) >= MAX_KINDS:
            return known
        self._numbers[key] = len(self._models)
        self._models.append(value)  # an example, which also keeps its class and its factory alive
        return self._numbers[key]

    def rebuild(self, number: int, content: Any) -> Any:
        """The container that came back under a number."""
        return like(self._models[number], content)


class Shadows:
    """The judge's side: a class for each number and base, which adds nothing to its base."""

    def __init__(self) -> None:
        self._classes: dict[tuple[int, type], type] = {}
        self._numbers: dict[type, int] = {}

    def number(self, value: Any) -> int | None:
        """The number under which such a container came; None for every other one, which is a suite's own."""
        return self._numbers.get(type(value))

    def rebuild(self, number: int, content: Any) -> Any:
        """The container that a worker sent."""
        base = type(content)
        if number >= MAX_KINDS or base not in BASES:
            raise BadFrame("a container of an unknown kind")
        made = self._classes.get((number, base))
        if made is None:
            made = self._classes[number, base] = type(base.__name__, (base,), {})
            self._numbers[made] = number
        return made(content)
