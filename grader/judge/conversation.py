"""What stands in for a learner's objects asks this of the bridge, and knows no more of it."""

from __future__ import annotations

from typing import Any, Protocol

from grader.judge.hooks import Hooks


class Conversation(Protocol):
    """One test's conversation with one worker, in which objects are numbers."""

    hooks: Hooks
    freed: list[int]  # graphs that nobody needs any more, of which the worker is told with the next call

    def call(self, target: int, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call `name` of the object behind `target`, or the object itself."""
        ...

    def get(self, target: int, name: str) -> Any:
        """An attribute of the object behind `target`."""
        ...

    def set(self, target: int, name: str, value: Any) -> None:
        """Set an attribute of the object behind `target`."""
        ...

    def backward(self, number: int, upstream: list[Any], inputs: list[tuple[Any, Any]]) -> list[Any]:
        """The vector-Jacobian products of a graph, one for each input."""
        ...
