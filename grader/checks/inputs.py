"""Inputs for suites: drawn by the test's own generator, and laid out as no careless `view` survives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def normal_array(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Standard normal float64 numbers as an array, laid out with the axes in reverse: never contiguous beyond one axis."""
    return rng.normal(size=shape[::-1]).T


def normal(rng: np.random.Generator, *shape: int) -> torch.Tensor:
    """Standard normal float64 numbers as a tensor, laid out with the axes in reverse: never contiguous beyond one axis."""
    import torch

    return torch.from_numpy(normal_array(rng, *shape))
