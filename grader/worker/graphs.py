"""The graphs of a learner's calls: the worker's half of autograd.

A call whose outputs require grad leaves its graph here, under a number. The judge's half (`grader.judge.autograd`)
holds a node with the same number, asks for vector-Jacobian products when it is walked backward, and frees the graph
when it dies.
"""

from __future__ import annotations

from typing import Any


class Graphs:
    """The graphs that the judge still holds nodes of."""

    def __init__(self) -> None:
        self._graphs: dict[int, tuple[list[Any], list[Any]]] = {}
        self._next = 1

    def keep(self, outputs: list[Any], inputs: list[Any]) -> int:
        """Remember the graph from `inputs` to `outputs`; returns its number."""
        number = self._next
        self._next += 1
        self._graphs[number] = (outputs, inputs)
        return number

    def free(self, numbers: list[int]) -> None:
        """Let graphs go whose nodes died in the judge."""
        for number in numbers:
            self._graphs.pop(number, None)

    def backward(self, number: int, upstream: list[Any]) -> list[Any]:
        """The vector-Jacobian product for every input of a graph; None where nothing flows."""
        import torch

        outputs, inputs = self._graphs[number]
        pairs = [(output, grad) for output, grad in zip(outputs, upstream, strict=True) if grad is not None]
        if not pairs:
            return [None] * len(inputs)
        chosen, grads = zip(*pairs, strict=True)
        products = torch.autograd.grad(chosen, inputs, grads, retain_graph=True, allow_unused=True)
        return [None if product is None else product.detach() for product in products]
