"""The kinds of worker: what a learner's process holds, each more than the one before. A manifest names one (`worker`).

They are the rungs of the ladder, from the lowest up. A new one is an entry here and a name in the schema of manifests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class WorkerKind:
    """One kind of worker."""

    name: str
    warm: Callable[[], None]  # what it imports beyond the kind below, and each library's first operation, on one thread
    torch: bool  # whether torch is there, to train with and to count the operations of
    hidden: tuple[str, ...] = ()  # packages that are out of its reach, by patterns of names in site-packages
    refused: tuple[str, ...] = ()  # what a learner's file may not import, whatever its kata says


def _numpy() -> None:
    import numpy

    numpy.linalg.norm(numpy.random.default_rng(0).normal(size=(2, 2)))


def _torch() -> None:
    import torch

    torch.set_num_threads(1)
    with torch.no_grad():  # a worker that was forked after a backward would have no threads for its own
        torch.nn.LSTM(2, 2)(torch.nn.Conv1d(1, 2, 1)(torch.ones(1, 1, 2)))
    import torch.fx.experimental.symbolic_shapes  # else the first backward of every worker imports it
    import torch.utils.flop_counter  # for calls whose operations are counted


def _sklearn() -> None:
    import sklearn.cluster  # type: ignore[import-untyped]

    sklearn.cluster.KMeans(1, n_init=1).fit([[0.0], [1.0]])


KINDS = {
    kind.name: kind
    for kind in (
        WorkerKind("numpy", _numpy, torch=False, hidden=("torch*", "functorch*"), refused=("torch", "functorch")),
        WorkerKind("torch", _torch, torch=True),
        WorkerKind("sklearn", _sklearn, torch=True),
    )
}


def kind_of(name: str) -> WorkerKind:
    """The kind of this name; ValueError if there is none."""
    if name not in KINDS:
        raise ValueError(f"no kind of worker is called {name!r}")
    return KINDS[name]


def up_to(*names: str) -> list[WorkerKind]:
    """The rungs from the lowest to the highest of these, the lowest at least."""
    kinds = list(KINDS.values())
    return kinds[: 1 + max((list(KINDS).index(name) for name in names), default=0)]
