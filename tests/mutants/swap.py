"""Puts the code of a changed source into the functions of a module that is loaded already."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import CO_OPTIMIZED, unwrap
from types import CodeType, FunctionType, ModuleType
from typing import Any


class Unfit(Exception):
    """The change is in what runs when a module is loaded, or in a function that cannot be found."""


def swap(module: ModuleType, source: str, changed: str) -> None:
    """From now on the functions of `module`, loaded from `source`, do what they do in `changed`. Raises Unfit."""
    loaded = {
        (each.__code__.co_qualname, each.__code__.co_firstlineno): each for each in _functions(vars(module), module)
    }
    fits = []
    for old, new in _pairs(compile(source, "", "exec"), compile(changed, "", "exec")):
        function = loaded.get((old.co_qualname, old.co_firstlineno))
        if function is None or function.__code__.co_freevars != new.co_freevars:
            raise Unfit
        fits.append((function, new.replace(co_filename=function.__code__.co_filename)))
    for function, code in fits:
        function.__code__ = code


def _pairs(old: CodeType, new: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    """The outermost functions whose code differs, before and after."""
    if old == new:
        return
    if old.co_flags & new.co_flags & CO_OPTIMIZED:  # a function; what is not is the body of a class or a module
        yield old, new
        return
    if old.replace(co_consts=()) != new.replace(co_consts=()) or len(old.co_consts) != len(new.co_consts):
        raise Unfit
    for one, other in zip(old.co_consts, new.co_consts, strict=True):
        if isinstance(one, CodeType) and isinstance(other, CodeType):
            yield from _pairs(one, other)
        elif repr(one) != repr(other):
            raise Unfit


def _functions(names: Any, module: ModuleType) -> Iterator[FunctionType]:
    """All that a module or class of it defines, behind decorators too."""
    for value in list(names.values()):
        if isinstance(value, type):
            if value.__module__ == module.__name__ and value.__dict__ is not names:
                yield from _functions(value.__dict__, module)
            continue
        for part in (value, *(getattr(value, name, None) for name in ("fget", "fset", "__func__", "func"))):
            function = unwrap(part) if callable(part) else part
            if isinstance(function, FunctionType) and function.__module__ == module.__name__:
                yield function
