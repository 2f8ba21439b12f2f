"""Claims and texts of a suite's own."""

import numpy as np
import pytest

from grader.checks import CheckFailure, assert_that, normal, normal_array, text


def test_a_claim_that_holds_says_nothing():
    assert_that(True, "{name} must be so", name="w")


def test_a_claim_that_does_not_hold_says_its_sentence():
    with pytest.raises(CheckFailure, match=r"^w1 of the 2nd layer must be so") as failure:
        assert_that(np.False_, "{name} must be so", name=text("w1 of the {n}nd layer", n=2), help="the layer")
    assert failure.value.help == "the layer"


def test_drawn_inputs_are_never_contiguous_beyond_one_axis():
    one, other = normal_array(np.random.default_rng(0), 3, 4), normal(np.random.default_rng(0), 3, 4)
    assert one.shape == other.shape == (3, 4)
    assert not one.flags.c_contiguous and not other.is_contiguous()
    assert (one == other.numpy()).all()
