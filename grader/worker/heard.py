"""What modules of the learner's are given and give while a call runs, for hooks that the suite set on them."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from grader.limits import MAX_HEARD, MAX_HEARD_BYTES


class Heard:
    """Looks on at some modules, by their handles; copies what it sees, without its graph, and changes nothing."""

    def __init__(self, modules: dict[int, Any]) -> None:
        self.seen: list[tuple[int, Any, Any, Any]] = []  # handle, arguments, named arguments and output of each call
        self.calls = 0  # also of those that there was no room for
        self._modules = modules
        self._hooks: list[Any] = []
        self._bytes = 0

    def __enter__(self) -> Self:
        for handle, module in self._modules.items():
            self._hooks.append(module.register_forward_hook(self._hook(handle), with_kwargs=True))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for hook in self._hooks:
            hook.remove()

    def _hook(self, handle: int) -> Callable[..., None]:
        def hear(module: Any, args: Any, kwargs: Any, output: Any) -> None:
            self.calls += 1
            if self.calls <= MAX_HEARD and self._bytes <= MAX_HEARD_BYTES:
                self.seen.append((handle, self._copied(args), self._copied(kwargs), self._copied(output)))

        return hear

    def _copied(self, value: Any) -> Any:
        if type(value) in (tuple, list):
            return type(value)(map(self._copied, value))
        if type(value) is dict:
            return {key: self._copied(each) for key, each in value.items()}
        if not hasattr(value, "detach"):
            return value
        self._bytes += value.nbytes
        return value.detach().clone() if self._bytes <= MAX_HEARD_BYTES else None
