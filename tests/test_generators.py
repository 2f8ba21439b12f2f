"""Where a generator may stand after a call: asked of torch's and numpy's own, after draws of every kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from grader.judge.generators import moved_on

TORCH: dict[str, Callable[[torch.Generator], Any]] = {
    "nothing": lambda g: None,
    "one number": lambda g: torch.rand(1, generator=g),
    "a block less one": lambda g: torch.rand(623, generator=g),
    "a block": lambda g: torch.rand(624, generator=g),
    "a block and one": lambda g: torch.rand(625, generator=g),
    "three normal ones": lambda g: torch.randn(3, generator=g),
    "a million": lambda g: torch.randn(1000, 1000, generator=g),
    "doubles": lambda g: torch.rand(777, dtype=torch.float64, generator=g),
    "a permutation": lambda g: torch.randperm(1000, generator=g),
    "coins": lambda g: torch.bernoulli(torch.full((999,), 0.5), generator=g),
    "a choice": lambda g: torch.multinomial(torch.ones(9), 3, generator=g),
}
NUMPY: dict[str, Callable[[np.random.Generator], Any]] = {
    "nothing": lambda g: None,
    "one number": lambda g: g.random(),
    "half a word": lambda g: g.integers(0, 9, dtype=np.int32),
    "a million": lambda g: g.normal(size=1_000_000),
    "a permutation": lambda g: g.permutation(1000),
    "a choice": lambda g: g.choice(9, 3, replace=False),
}


def twister(state: torch.Tensor | None = None) -> torch.Generator:
    """A generator in the middle of a block, or in a given state."""
    made = torch.Generator().manual_seed(3)
    if state is None:
        torch.rand(7, generator=made)
    else:
        made.set_state(state)
    return made


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("draw", TORCH)
def test_torch_draws_move_a_generator_on_and_never_back(draw: str, fresh: bool) -> None:
    generator = torch.Generator().manual_seed(3) if fresh else twister()
    before = twister(generator.get_state())
    TORCH[draw](generator)
    assert moved_on(before, generator)
    assert moved_on(generator, before) == (draw == "nothing")


@pytest.mark.parametrize("draw", NUMPY)
def test_numpy_draws_move_a_generator_on_and_never_back(draw: str) -> None:
    before, generator = np.random.default_rng(3), np.random.default_rng(3)
    NUMPY[draw](generator)
    assert moved_on(before, generator)
    assert moved_on(generator, before) == (draw == "nothing")


def edited(place: int, content: bytes) -> torch.Generator:
    state = twister().get_state()
    state[place : place + len(content)] = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    return twister(state)


SET: dict[str, Callable[[], torch.Generator]] = {
    "another seed": lambda: torch.Generator().manual_seed(4),
    "its own seed again": lambda: torch.Generator().manual_seed(3),
    "only zeros from here": lambda: edited(24, bytes(624 * 8)),
    "another word": lambda: edited(24 + 8 * 100, b"\1\2\3\4"),
    "a word again": lambda: edited(16, (3).to_bytes(8, "little")),
}


@pytest.mark.parametrize("how", SET)
def test_a_torch_generator_that_was_set_is_seen(how: str) -> None:
    assert not moved_on(twister(), SET[how]())


def test_a_numpy_generator_that_was_set_is_seen() -> None:
    before, still = np.random.default_rng(3), np.random.default_rng(3)
    still.bit_generator.state = {**still.bit_generator.state, "state": {"state": 0, "inc": 0}}
    assert len(set(still.random(100))) == 1, "what a file could wish for: every draw is the same"
    assert not moved_on(before, still)
    assert not moved_on(before, np.random.default_rng(4))
    far = np.random.default_rng(3)
    far.bit_generator.advance(1 << 60)
    assert not moved_on(before, far)
