"""What suites compare with: exact in kind, shape and dtype first, and never fooled by NaN or broadcasting."""

from grader.checks.agreement import as_view, assert_agrees
from grader.checks.behaviour import assert_raises, assert_unchanged
from grader.checks.claims import assert_that
from grader.checks.close import assert_close, assert_shape
from grader.checks.convergence import assert_beats, assert_trajectory
from grader.checks.draws import Constant, Normal, Uniform, assert_drawn, layer_laws
from grader.checks.failure import CheckFailure
from grader.checks.gradients import assert_gradients, assert_numpy_gradients
from grader.checks.inputs import normal, normal_array
from grader.checks.results import assert_parts
from grader.checks.state import assert_state, load_state, renamed, state_of, tensors_of
from grader.checks.training import assert_trained, descend
from grader.messages import text

__all__ = [
    "CheckFailure",
    "Constant",
    "Normal",
    "Uniform",
    "as_view",
    "assert_agrees",
    "assert_beats",
    "assert_close",
    "assert_drawn",
    "assert_gradients",
    "assert_numpy_gradients",
    "assert_parts",
    "assert_raises",
    "assert_shape",
    "assert_state",
    "assert_that",
    "assert_trained",
    "assert_trajectory",
    "assert_unchanged",
    "descend",
    "layer_laws",
    "load_state",
    "normal",
    "normal_array",
    "renamed",
    "state_of",
    "tensors_of",
    "text",
]
