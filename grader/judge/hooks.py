"""Forward hooks that a suite sets on a learner's modules: the worker looks on, and they are called once the call is over.

What a submodule was given and gave comes as copies without a graph. A hook sees them, and cannot change what the learner's
code goes on with; of hooks that would have to, each registration says that it cannot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grader.checks.failure import AuthorFault
from grader.wire import BadFrame

if TYPE_CHECKING:
    from torch import nn


class Hooks:
    """The modules of one test that have hooks, by their handles."""

    def __init__(self) -> None:
        self._modules: dict[int, nn.Module] = {}

    def on(self, handle: int, module: nn.Module) -> None:
        """Look on at this module from here on, as long as it has hooks."""
        self._modules[handle] = module

    def watched(self, target: int, name: str) -> list[int]:
        """The handles to look on at in a call; the hooks of the module that is called itself fire in the judge."""
        own = () if name else (target,)
        return [handle for handle, module in self._modules.items() if module._forward_hooks and handle not in own]

    def tell(self, watched: list[int], heard: Any) -> None:
        """Call the hooks with what was heard, in its order.

        Raises BadFrame for what no honest worker says, TypeError where the learner's code calls the modules more often
        than can be told, and AuthorFault where a hook would change something.
        """
        if type(heard) is not tuple or len(heard) != 2 or type(heard[0]) is not list or type(heard[1]) is not int:
            raise BadFrame("a call without what was heard in it")
        seen, calls = heard
        for one in seen:
            if type(one) is not tuple or [*map(type, one)][:3] != [int, tuple, dict] or len(one) != 4:
                raise BadFrame("something else than a call of a module was heard")
            if one[0] not in watched:
                raise BadFrame("a module was heard that nobody asked of")
        if calls != len(seen):
            raise TypeError(f"modules with hooks were called {calls} times in one call: more than can be told of")
        for handle, args, kwargs, output in seen:
            module = self._modules[handle]
            for number, hook in list(module._forward_hooks.items()):
                named = number in module._forward_hooks_with_kwargs
                if (hook(module, args, kwargs, output) if named else hook(module, args, output)) is not None:
                    raise AuthorFault("a hook on a module of the learner's sees what it gives, and cannot change it")
