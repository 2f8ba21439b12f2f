"""Suite of a toy kata whose worker has numpy only."""

import numpy as np
import pytest

from grader.checks import assert_close, assert_raises, assert_shape, assert_unchanged


@pytest.mark.shape
def test_shape(solution, rng):
    """The result has the shape of the input."""
    assert_shape(solution.scale(rng.normal(size=(2, 3)), 2.0), (2, 3), dtype=np.float64)


@pytest.mark.value
def test_values(solution, rng):
    """Every entry is multiplied."""
    for factor in (2.0, -0.5, 3.0):
        x = rng.normal(size=(4, 3)).T
        assert_close(solution.scale(x, factor), x * factor, tol=1e-12, name="scale(x)")


@pytest.mark.value
def test_halves(solution, rng):
    """The two halves of an array of even length."""
    x = rng.normal(size=6)
    left, right = solution.halves(x)
    assert_close(left, x[:3], name="the left half")
    assert_close(right, x[3:], name="the right half")
    assert_raises(ValueError, solution.halves, x[:5])


@pytest.mark.behaviour
def test_pure(solution, rng, mutated):
    """The input stays as it was."""
    x = rng.normal(size=3)
    assert_close(solution.scale(x, 2.0), 2.0 * x)
    assert_unchanged(mutated)
