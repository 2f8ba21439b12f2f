"""The messages of the bridge: their kinds, and the shape of each as a tuple of values."""

from __future__ import annotations

from enum import IntEnum


class Kind(IntEnum):
    """The first number of a frame. The judge asks (below 16), the worker answers (16 and above)."""

    LOAD = 1  # ({"source", "filename", "module", "seed", "forbidden_...": operators, imports, jobs},)
    CALL = 2  # (target, name, args, kwargs, state, freed, grad, counted): call `name` of `target`, or `target` itself
    GET = 3  # (target, name, state)
    SET = 4  # (target, name, value, state)
    BACKWARD = 5  # (graph, upstream gradients, freed): their vector-Jacobian products, one per input

    READY = 16  # (): the worker is locked down, and nothing of the learner's has run
    RETURN = (
        17  # (value, state, mutated, graph, advanced, forbidden); after a counted call, value is (value, operations)
    )
    RAISE = 18  # (type, bases, text, lines, causes, forbidden)


ROOT = 0  # the handle of the learner's module itself
