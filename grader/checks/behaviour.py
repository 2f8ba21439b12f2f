"""How the code behaves beside its numbers: it leaves its arguments alone, and refuses what it should."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from grader.checks.failure import AuthorFault, CheckFailure, cut
from grader.checks.reading import describe
from grader.messages import Value, message


def assert_unchanged(mutated: list[str], *, but: Sequence[str] = ()) -> None:
    """No call so far has changed one of its arguments in place: arrays, containers at any depth, objects, modules.

    but: arguments that are meant to be changed, such as the `model of fit`.
    """
    __tracebackhide__ = True
    if type(mutated) is not list:
        raise AuthorFault(f"pass the fixture `mutated` itself, found {describe(mutated)}")
    changed = list(dict.fromkeys(each for each in mutated if each not in but))
    if changed:
        raise CheckFailure(
            "arguments.changed",
            changed=cut(", ".join(changed)),
            help="operators such as += and methods that end in _ write into the caller's data, and so do pop, append and "
            "setdefault: make a new one",
        )


def assert_raises(
    exception: type[BaseException],
    function: Callable[..., Any],
    *args: Any,
    match: str | None = None,
    **kwargs: Any,
) -> None:
    """function(*args, **kwargs) raises `exception` or a subclass, and its text matches where `match` is given.

    NotImplementedError is what an untouched stub raises, so it counts only where it is asked for by name. Any other
    exception goes on unchanged.
    """
    __tracebackhide__ = True
    if not (isinstance(exception, type) and issubclass(exception, BaseException)):
        raise AuthorFault(f"exception must be an exception class, found {exception!r}")
    if exception in (Exception, BaseException):
        raise AuthorFault(f"{exception.__name__} is too wide: a typing slip would satisfy it; name the error")
    try:
        returned = function(*args, **kwargs)
    except exception as raised:
        if isinstance(raised, NotImplementedError) and exception is not NotImplementedError:
            raise
        text = str(raised)
        if match is None or re.search(match, text):
            return
        raise CheckFailure(
            "raises.text",
            function=_called(function),
            exception=exception.__name__,
            match=match,
            got=cut(text) or message("no.text"),
        ) from raised
    called = _called(function)
    raise CheckFailure("raises.nothing", function=called, exception=exception.__name__, got=describe(returned))


def _called(function: object) -> Value:
    name = getattr(function, "__name__", None)
    return cut(name, 60) if type(name) is str else message("the.call")
