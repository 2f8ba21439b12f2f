"""The judge's half of autograd: one node for each call whose graph lives in the worker."""

from __future__ import annotations

from typing import Any

import torch

from grader.judge.conversation import Conversation


class _Hold:
    """Frees the worker's graph when the last reference to the judge's node goes."""

    def __init__(self, bridge: Conversation, number: int) -> None:
        self._bridge, self.number = bridge, number

    def __del__(self) -> None:
        self._bridge.freed.append(self.number)


class _RemoteCall(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, bridge: Conversation, number: int, outputs: list[torch.Tensor], *inputs: torch.Tensor) -> Any:
        ctx.bridge = bridge
        ctx.hold = _Hold(bridge, number)
        ctx.inputs = [(tensor.shape, tensor.dtype) for tensor in inputs]
        ctx.set_materialize_grads(False)
        return tuple(outputs)

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor | None) -> Any:
        if torch.is_grad_enabled():  # create_graph=True
            raise RuntimeError("a graph that lives in the learner's process is differentiable once, not twice")
        gradients = ctx.bridge.backward(ctx.hold.number, list(upstream), ctx.inputs)
        return (None, None, None, *gradients)


def attach(bridge: Conversation, number: int, outputs: list[torch.Tensor], inputs: list[torch.Tensor]) -> None:
    """Make `outputs`, in place, the results of a node over `inputs` whose graph has this number in the worker."""
    _RemoteCall.apply(bridge, number, outputs, *inputs)  # type: ignore[no-untyped-call]  # torch's own
