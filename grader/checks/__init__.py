"""What suites compare with: exact in kind, shape and dtype first, and never fooled by NaN or broadcasting."""

from grader.checks.behaviour import assert_raises, assert_unchanged
from grader.checks.close import assert_close, assert_shape
from grader.checks.convergence import assert_beats, assert_trajectory
from grader.checks.failure import CheckFailure
from grader.checks.gradients import assert_gradients, assert_numpy_gradients

__all__ = [
    "CheckFailure",
    "assert_beats",
    "assert_close",
    "assert_gradients",
    "assert_numpy_gradients",
    "assert_raises",
    "assert_shape",
    "assert_trajectory",
    "assert_unchanged",
]
