"""What the learner's objects look like in the judge: names that ask the worker."""

from __future__ import annotations

from typing import Any, NamedTuple

from grader.judge.conversation import Conversation
from grader.wire import BadFrame

_SPECIAL = ("__len__", "__getitem__", "__iter__", "__next__", "__contains__")
_KEY = "_gradkata_remote"


class Remote(NamedTuple):
    """Where an object of the learner's really is."""

    bridge: Conversation
    handle: int
    methods: frozenset[str]

    @staticmethod
    def of(value: Any) -> Remote | None:
        """The place of a proxy; None for everything else."""
        try:
            found = object.__getattribute__(value, "__dict__").get(_KEY)
        except AttributeError:
            return None
        return found if type(found) is Remote else None

    @staticmethod
    def handle_in(bridge: Conversation, value: Any) -> int | None:
        """The handle of a proxy that belongs to this bridge."""
        place = Remote.of(value)
        return place.handle if place is not None and place.bridge is bridge else None

    def attribute(self, name: str) -> Any:
        """A method without asking, any other attribute by asking."""
        if name in self.methods:
            return self.method(name)
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return self.bridge.get(self.handle, name)

    def method(self, name: str) -> Any:
        """A function of the judge that calls this method in the worker."""

        def call(*args: Any, **kwargs: Any) -> Any:
            return self.bridge.call(self.handle, name, args, kwargs)

        call.__name__ = name
        return call


class RemoteObject:
    """An object of the learner's that is no value and no module."""

    def __getattr__(self, name: str) -> Any:
        return self.__dict__[_KEY].attribute(name)

    def __setattr__(self, name: str, value: Any) -> None:
        place: Remote = self.__dict__[_KEY]
        place.bridge.set(place.handle, name, value)


def place(value: Any, bridge: Conversation, handle: int, methods: list[str]) -> None:
    """Make `value` the proxy of the object behind `handle`."""
    value.__dict__[_KEY] = Remote(bridge, handle, frozenset(methods))


def checked_methods(methods: Any) -> list[str]:
    """The method names of a description, which must be a list of strings."""
    if type(methods) is not list or not all(type(name) is str for name in methods):
        raise BadFrame("an object without a list of its methods")
    return methods


def remote_object(bridge: Conversation, handle: int, description: tuple[Any, ...]) -> RemoteObject:
    """A proxy whose class bears the name of the learner's own, and has just the special methods that it has."""
    if len(description) != 3 or description[0] not in ("object", "callable") or type(description[1]) is not str:
        raise BadFrame("an object of an unknown kind")
    kind, name, methods = description[0], description[1], checked_methods(description[2])
    special: dict[str, Any] = {one: _special(one) for one in _SPECIAL if one in methods}
    if kind == "callable":
        special["__call__"] = _call
    made: RemoteObject = type(name[:100].replace("\0", ""), (RemoteObject,), special)()
    place(made, bridge, handle, methods)
    return made


def _special(name: str) -> Any:
    def call(self: RemoteObject, *args: Any) -> Any:
        return self.__dict__[_KEY].method(name)(*args)

    return call


def _call(self: RemoteObject, *args: Any, **kwargs: Any) -> Any:
    return self.__dict__[_KEY].method("")(*args, **kwargs)


class RemoteFile:
    """The learner's module itself: what suites know as `solution`."""

    def __init__(self, bridge: Conversation, names: dict[str, bool]) -> None:
        methods = [name for name, can_be_called in names.items() if type(name) is str and can_be_called is True]
        place(self, bridge, 0, methods)

    def __getattr__(self, name: str) -> Any:
        return self.__dict__[_KEY].attribute(name)
