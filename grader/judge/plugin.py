"""The pytest plugin of every suite: kinds, seeds and fixtures.

Under `grade` the fixture `solution` is a bridge to a locked process (`grader.judge.judging`). Under plain `pytest
katas/04_lstm`, for an IDE or a debugger, it is the learner's module itself, called by value as through the bridge
(`grader.judge.local`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from grader.judge.job import global_seed
from grader.seeding import seed

if TYPE_CHECKING:
    import numpy
    import torch

    from grader.judge.pictures import Recorder

KINDS = {
    "shape": "shapes, dtypes and the form of results",
    "value": "results against an independent oracle",
    "gradient": "gradients against central differences or an oracle",
    "convergence": "a model that learns, measured on held-out data",
    "behaviour": "what must hold whatever the values are",
}


class Source(Protocol):
    """Where the fixtures of a test come from."""

    def solution(self, item: pytest.Item) -> Any: ...
    def reference(self, item: pytest.Item) -> Any: ...
    def mutated(self, item: pytest.Item) -> list[str]: ...
    def operations(self, function: Any, *args: Any, **kwargs: Any) -> int: ...
    def recorder(self, item: pytest.Item) -> Recorder: ...
    def seed(self, item: pytest.Item) -> int: ...


SOURCE = pytest.StashKey[Source]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("gradkata")
    group.addoption(
        "--from", dest="gradkata_from", metavar="DIR", help="take learners' files from DIR, as `grade` does"
    )
    group.addoption(
        "--course-seed", type=int, default=0, metavar="N", help="the seed that all tests' seeds derive from"
    )


def pytest_configure(config: pytest.Config) -> None:
    for kind, meaning in KINDS.items():
        config.addinivalue_line("markers", f"{kind}: {meaning}")


def _source(request: pytest.FixtureRequest) -> Source:
    found = request.config.stash.get(SOURCE, None)
    if found is None:
        from grader.judge.local import LocalSource

        folder = request.config.getoption("gradkata_from")
        found = LocalSource(Path(folder) if folder else None, request.config.getoption("course_seed"))
        request.config.stash[SOURCE] = found
    return found


@pytest.fixture
def solution(request: pytest.FixtureRequest) -> Any:
    """The learner's module. Its functions, classes and values are called by value, in a locked process; tensors keep their
    gradients on the way, and a class of `nn.Module` is one here too. Every test has a fresh one."""
    source = _source(request)
    seed(global_seed(source.seed(request.node)))
    return source.solution(request.node)


@pytest.fixture
def reference(request: pytest.FixtureRequest) -> Any:
    """The author's module, as an oracle that a suite need not show. A release has its recorded answers in place of it, drawn
    from the course seed 0, so that a test with it asks for the same inputs each time."""
    return _source(request).reference(request.node)


@pytest.fixture
def mutated(request: pytest.FixtureRequest, solution: Any) -> list[str]:
    """The arguments that calls of this test have changed in place, as `x of forward`: a list that grows as calls are made.
    `assert_unchanged(mutated)` at the end of a test refuses any."""
    return _source(request).mutated(request.node)


@pytest.fixture
def operations(request: pytest.FixtureRequest, solution: Any) -> Callable[..., int]:
    """`operations(solution.generate, model, ...)`: how many multiplications and additions the call spends in torch's
    convolutions and matrix products. They are counted where the learner's code runs, and not by it, so that a limit on work
    can be asked for where one on time would hang on the machine. A kata whose worker is numpy has none."""
    return _source(request).operations


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Recorder:
    """Pictures for the report, made by the learner's own model, each under a name: `record.curve(name, values, baseline)`,
    `record.image(name, pixels)`, `record.images(name, images)`, `record.matrix(name, values, labels)` and
    `record.text(name, text)`. They decide nothing."""
    return _source(request).recorder(request.node)


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> numpy.random.Generator:
    """A numpy generator with the test's own seed."""
    import numpy

    return numpy.random.default_rng(_source(request).seed(request.node))


@pytest.fixture
def generator(request: pytest.FixtureRequest) -> torch.Generator:
    """A torch generator with the test's own seed."""
    import torch

    return torch.Generator().manual_seed(_source(request).seed(request.node))
