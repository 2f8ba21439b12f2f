"""The worker's handles: objects of the learner's that are no values stay here, and cross the wire as numbers."""

from __future__ import annotations

import sys
from typing import Any

from grader.limits import MAX_OBJECTS
from grader.modulestate import Changes, Twin
from grader.wire import Unsendable, type_name


class Objects:
    """Every object that the judge holds a handle of, and the twins of the modules among them."""

    def __init__(self, root: Any) -> None:
        self._objects: list[Any] = [root]
        self._numbers: dict[int, int] = {id(root): 0}
        self.twins: dict[int, Twin] = {}

    def __getitem__(self, handle: int) -> Any:
        return self._objects[handle]

    def resolve(self, handle: int, description: Any) -> Any:
        """The object behind a handle that the judge sent."""
        return self._objects[handle]

    def export(self, value: Any) -> tuple[int, Any]:
        """The handle of `value`, and its description if the judge does not know it yet."""
        known = self._numbers.get(id(value))
        if known is not None:
            return known, None
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(value, torch.nn.Module):
            return self._export_module(value)
        handle = self._register(value)
        kind = "callable" if callable(value) else "object"
        return handle, (kind, type_name(value), _methods(type(value), object))

    def changes(self) -> list[tuple[int, Changes]]:
        """What the learner's code changed in modules that the judge knows."""
        return [(handle, changes) for handle, twin in self.twins.items() if (changes := twin.changes()) is not None]

    def apply(self, state: list[tuple[int, Changes]]) -> None:
        """Take over what the judge changed."""
        for handle, changes in state:
            self.twins[handle].apply(changes)

    def differentiable(self) -> list[Any]:
        """The parameters of every known module that take part in autograd, in the order in which the judge has them."""
        return [tensor for twin in self.twins.values() for tensor in twin.differentiable()]

    def _register(self, value: Any) -> int:
        if len(self._objects) >= MAX_OBJECTS:
            raise Unsendable("more objects than one test can hold")
        handle = len(self._objects)
        self._objects.append(value)
        self._numbers[id(value)] = handle
        return handle

    def _export_module(self, module: Any) -> tuple[int, Any]:
        """Describe a module: its nodes (class, methods, children, parameters, buffers) and its slots' values."""
        twin = Twin(module)
        handles = [self._numbers.get(id(one)) or self._register(one) for one in twin.modules]
        place = {id(one): index for index, one in enumerate(twin.modules)}
        slots = [
            (tensor.detach(), tensor.requires_grad, type(tensor).__name__ == "Parameter") for tensor in twin.tensors()
        ]
        base = sys.modules["torch"].nn.Module
        nodes = [
            (
                handle,
                type(one).__name__,
                _methods(type(one), base),
                [(name, -1 if child is None else place[id(child)]) for name, child in one._modules.items()],
                [(name, -1 if p is None else twin.index[id(p)]) for name, p in one._parameters.items()],
                [
                    (name, -1 if b is None else twin.index[id(b)], name not in one._non_persistent_buffers_set)
                    for name, b in one._buffers.items()
                ],
                one.training,
            )
            for handle, one in zip(handles, twin.modules, strict=True)
        ]
        self.twins[handles[0]] = twin
        return handles[0], ("module", type_name(module), nodes, slots)


def _methods(kind: type, base: type) -> list[str]:
    """The names of the methods that `kind` has beyond `base`: calling one of these needs no look-up first."""
    special = ("__len__", "__getitem__", "__iter__", "__next__", "__call__", "__contains__")
    names: list[str] = []
    for one in kind.__mro__:
        if one is base:
            break
        for name, value in vars(one).items():
            method = callable(value) or isinstance(value, classmethod)
            if method and name not in names and (name in special or not name.startswith("__")):
                names.append(name)
    return names[:500]
