"""A learner's `nn.Module` in the judge: the same submodules, parameters and buffers, whose forward is a message."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch
from torch import nn

from grader.checks.failure import AuthorFault
from grader.judge.conversation import Conversation
from grader.judge.proxies import Remote, checked_methods, place
from grader.limits import MAX_MODULES
from grader.wire import BadFrame

_OWN = ("training", "_")  # attributes that stay in the judge
_CONTAINERS = ("ModuleList", "Sequential")
_THEIRS = ("train", "eval", "requires_grad_")  # of nn.Module: where a learner's class has its own, that is called


class RemoteModule(nn.Module):
    """One module of the learner's. Its tensors are the judge's own and are kept in step by a `Twin`."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        here = self._place()
        return here.bridge.call(here.handle, "", args, kwargs)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return self._place().attribute(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith(_OWN) or isinstance(value, nn.Module | nn.Parameter) or name in self._buffers:
            super().__setattr__(name, value)
        else:
            here = self._place()
            here.bridge.set(here.handle, name, value)

    def register_forward_hook(
        self, hook: Any, *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> Any:
        """As torch has it, but that a hook below the module that is called is told after the call, and changes nothing."""
        if always_call:
            raise AuthorFault(
                "a hook on a module of the learner's is not called where the call raises: leave out always_call"
            )
        here = self._place()
        here.bridge.hooks.on(here.handle, self)
        return super().register_forward_hook(hook, prepend=prepend, with_kwargs=with_kwargs)

    def _cannot(self, *args: Any, **kwargs: Any) -> Any:
        raise AuthorFault(
            "this hook cannot fire on a module of the learner's, which runs in a process of its own: "
            "register_forward_hook tells what a module was given and gave"
        )

    register_forward_pre_hook = register_full_backward_hook = register_full_backward_pre_hook = _cannot
    register_backward_hook = _cannot

    def _settle(self) -> None:
        """Let the learner's half take in what the suite wrote, and show what that changed; no code of theirs runs."""
        here = self._place()
        here.bridge.get(here.handle, "training")

    def _place(self) -> Remote:
        here = Remote.of(self)
        if here is None:
            raise AttributeError("a module that is not described yet")
        return here


class RemoteContainer(RemoteModule):
    """A `ModuleList` or `Sequential` of the learner's: its items are its children."""

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._modules.values())

    def __getitem__(self, index: int) -> Any:
        return list(self._modules.values())[index]


def remote_module(bridge: Conversation, description: tuple[Any, ...]) -> tuple[RemoteModule, dict[int, RemoteModule]]:
    """The module that a worker described, and its submodules by handle."""
    try:
        _, _, nodes, slots = description
        if len(nodes) > MAX_MODULES:
            raise ValueError("too many modules")
        tensors = [_tensor(*slot) for slot in slots]
        made = [_node(bridge, node) for node in nodes]
        for module, (_, _, _, children, parameters, buffers, training) in zip(made, nodes, strict=True):
            for name, child in children:
                module._modules[_name(name)] = None if child < 0 else made[child]
            for name, slot in parameters:
                module._parameters[_name(name)] = None if slot < 0 else tensors[slot]
            for name, slot, persistent in buffers:
                module._buffers[_name(name)] = None if slot < 0 else tensors[slot]
                if not persistent:
                    module._non_persistent_buffers_set.add(name)
            module.training = bool(training)
        handles = {node[0]: module for node, module in zip(nodes, made, strict=True)}
        if len(list(made[0].modules())) != len(made):
            raise ValueError("modules outside the tree")
        # A shared module is walked once for each of its places, by `state_dict` for one; one inside itself for ever.
        places = islice(made[0].named_modules(remove_duplicate=False), MAX_MODULES + 1)
        if sum(1 for _ in places) > MAX_MODULES:
            raise ValueError("too many places of modules")
    except (TypeError, ValueError, IndexError, AttributeError, KeyError, RuntimeError) as error:
        raise BadFrame(f"a module that cannot be: {error}") from None
    return made[0], handles


def _node(bridge: Conversation, node: tuple[Any, ...]) -> RemoteModule:
    handle, name, methods = node[0], node[1], checked_methods(node[2])
    if type(handle) is not int or type(name) is not str:
        raise BadFrame("a module without a handle or a name")
    base = RemoteContainer if name in _CONTAINERS else RemoteModule
    own = {each: _method(each) for each in _THEIRS if each in methods}
    module: RemoteModule = type(name[:100].replace("\0", ""), (base,), own)()
    place(module, bridge, handle, methods)
    return module


def _method(name: str) -> Any:
    def call(self: RemoteModule, *args: Any, **kwargs: Any) -> Any:
        return self._place().method(name)(*args, **kwargs)

    return call


def _tensor(tensor: Any, requires_grad: Any, is_parameter: Any) -> torch.Tensor:
    if type(tensor) is not torch.Tensor:
        raise BadFrame("a parameter that is no tensor")
    own = tensor.clone()  # else the module would hold the whole frame
    if is_parameter:
        return nn.Parameter(own, requires_grad=bool(requires_grad))
    return own.requires_grad_(bool(requires_grad))


def _name(name: Any) -> str:
    if type(name) is not str:
        raise BadFrame("a name that is no string")
    return name
