"""Shape and value checks: every lying comparison is refused, every honest answer passes, no array is shown."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from grader.checks import CheckFailure, assert_close, assert_shape
from grader.checks.observations import Observation, drain

FINITE = st.floats(-1e6, 1e6)
ARRAYS = hnp.arrays(np.float64, hnp.array_shapes(max_dims=3, max_side=4, min_side=1), elements=FINITE)


def failure(check, *args, **kwargs) -> CheckFailure:
    with pytest.raises(CheckFailure) as caught:
        check(*args, **kwargs)
    return caught.value


class Favourable:
    """Every comparison and conversion goes the learner's way."""

    __array_priority__ = 1000
    __class__ = property(lambda self: np.ndarray)
    shape, dtype, ndim = (2,), np.dtype("float64"), 1

    def __eq__(self, other):
        return True

    __lt__ = __le__ = __gt__ = __ge__ = __ne__ = __eq__
    __hash__ = None

    def __sub__(self, other):
        return self

    __abs__ = __rsub__ = lambda self, *other: self

    def __float__(self):
        return 1.0

    def __array__(self, *args, **kwargs):
        return np.ones(2)


class Agreeable(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return True


class Chameleon(float):
    def __eq__(self, other):
        return True

    __hash__ = float.__hash__


class NumpyChameleon(np.float64):
    pass


class Masked(np.ndarray):
    pass


ONES = np.ones(2)
T_ONES = torch.ones(2, dtype=torch.float64)
LEAKED: list[torch.Tensor] = []
torch.func.vmap(lambda t: LEAKED.append(t) or t)(T_ONES[None])


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (torch.ones(1), torch.ones(3, 3)),
        (np.ones(1), np.ones((3, 3))),
        (1.0, np.ones((3, 3))),
        (np.zeros(0), np.ones(1)),
        (torch.zeros(0), torch.ones(1)),
        (torch.zeros(0, 3), torch.zeros(0)),
        (np.ones((2, 1)), np.ones(2)),
        (np.ones((2, 3)).T, np.ones((2, 3))),
    ],
)
def test_nothing_is_broadcast_and_empty_is_not_everything(actual, expected):
    word = "kind" if type(actual) is float else "shape"
    assert word in failure(assert_close, actual, expected).message


@pytest.mark.parametrize(
    "actual",
    [
        np.array([1.0, np.nan]),
        np.full(2, np.nan),
        np.array([1.0, np.inf]),
        np.array([-np.inf, 1.0]),
    ],
)
def test_nan_and_infinity_never_pass(actual):
    for tol in (0.0, 1e-6, 0.9):
        assert "not finite" in failure(assert_close, actual, ONES, tol=tol).message
        assert "not finite" in failure(assert_close, torch.tensor(actual), T_ONES, tol=tol).message
    assert "not finite" in failure(assert_shape, actual, (2,)).message
    assert "not finite" in failure(assert_close, math.nan, 1.0).message


@pytest.mark.parametrize(
    "actual",
    [
        Favourable(),
        ONES.tolist(),
        tuple(ONES),
        "11",
        b"11",
        None,
        {0: 1.0, 1: 1.0},
        np.ma.masked_array([9.0, 9.0], mask=True),
        ONES.view(Masked),
        np.array([1.0, 1.0], dtype=object),
        np.array(["1", "1"]),
        np.array([(1.0,), (1.0,)], dtype=[("x", float)]),
        T_ONES,
        T_ONES.as_subclass(Agreeable),
        T_ONES.to_sparse(),
        T_ONES.to("meta"),
        T_ONES.to(torch.float8_e4m3fn),
        torch.ones(2).to_mkldnn(),
        LEAKED[0],
    ],
    ids=lambda value: type(value).__name__,
)
def test_only_the_exact_family_is_an_answer(actual):
    assert "wrong kind" in failure(assert_close, actual, ONES).message
    if actual is not T_ONES:
        assert "wrong kind" in failure(assert_close, actual, T_ONES).message
        assert "wrong kind" in failure(assert_shape, actual, (2,)).message


@pytest.mark.parametrize(
    "actual", [Chameleon(3.0), NumpyChameleon(3.0), "1.0", None, [1.0], torch.tensor(1.0), 1 << 4000]
)
def test_a_number_is_exactly_a_number(actual):
    assert "wrong kind" in failure(assert_close, actual, 1.0).message


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (True, 1),
        (1, True),
        (True, 1.0),
        (np.True_, 1),
        (1.0, 1),
        (1 + 0j, 1.0),
        (1.0, True),
        (np.array([1, 1]), ONES),
        (np.array([True, True]), np.array([1, 1])),
        (ONES.astype(complex), ONES),
        (ONES.astype(np.float32), ONES),
        (ONES, ONES.astype(np.float32)),
        (T_ONES.float(), T_ONES),
        (T_ONES.bfloat16(), T_ONES),
        (T_ONES.long(), T_ONES),
        (T_ONES.int(), T_ONES.long()),
    ],
)
def test_right_numbers_in_a_wrong_dtype_fail(actual, expected):
    wrong = failure(assert_close, actual, expected)
    assert "dtype" in wrong.message and wrong.actual != wrong.expected


@pytest.mark.parametrize(
    ("actual", "expected", "options"),
    [
        (True, np.True_, {}),
        (np.float32(0.5), 0.5, {}),
        (np.int64(3), 3, {}),
        (1, 1.0, {}),
        (np.array(0.5), 0.5, {}),
        (np.float64(0.5), np.array(0.5), {}),
        (10**30, 10**30, {}),
        (ONES.astype(np.float32), ONES, {"dtype": False}),
        (T_ONES.half(), T_ONES, {"dtype": False}),
        (T_ONES.int(), T_ONES.long(), {"dtype": False}),
        (torch.nn.Parameter(T_ONES.clone()), T_ONES, {}),
        (T_ONES, T_ONES.clone().requires_grad_(), {}),
        (torch.ones(2, dtype=torch.complex64).conj(), torch.ones(2, dtype=torch.complex64), {}),
        (np.zeros((0, 3)), np.zeros((0, 3)), {}),
        (np.arange(6.0).reshape(2, 3).T, np.array([[0.0, 3], [1, 4], [2, 5]]), {}),
        (np.arange(3.0)[::-1], np.array([2.0, 1, 0]), {}),
        (T_ONES.expand(3, 2), torch.ones(3, 2, dtype=torch.float64), {}),
    ],
)
def test_honest_answers_pass(actual, expected, options):
    assert_close(actual, expected, **options)


def test_dtype_false_frees_the_width_but_not_the_kind():
    failure(assert_close, np.array([1, 1]), ONES, dtype=False)
    failure(assert_close, np.array([True, True]), np.array([1, 1]), dtype=False)


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (np.array([1, 2, 3]), np.array([1, 2, 4])),
        (torch.tensor([1, 2, 3]), torch.tensor([1, 2, 4])),
        (np.array([1, 255], dtype=np.uint8), np.array([1, 0], dtype=np.uint8)),
        (np.array([2**63], dtype=np.uint64), np.array([2**63 + 1], dtype=np.uint64)),
        (torch.tensor([-(2**63)]), torch.tensor([2**63 - 1])),
        (np.array([-128], dtype=np.int8), np.array([0], dtype=np.int8)),
        (np.array([True, False]), np.array([True, True])),
        (10**30, 10**30 + 1),
        (False, True),
    ],
)
def test_whole_numbers_and_truth_values_are_compared_exactly(actual, expected):
    drain()
    assert "not equal" in failure(assert_close, actual, expected, tol=0.9).message
    (seen,) = drain()
    assert seen.tolerance == 0 and seen.error >= 1


def test_tolerance_follows_the_scale_of_what_is_expected():
    assert_close(np.array([1e6 + 0.5, 0.0]), np.array([1e6, 0.0]))
    failure(assert_close, np.array([1e6 + 1.5, 0.0]), np.array([1e6, 0.0]))
    failure(assert_close, np.zeros(3), np.full(3, 1e-8))
    assert_close(np.full(3, 0.9e-9), np.zeros(3))
    failure(assert_close, np.full(3, 1.1e-9), np.zeros(3))


def test_overflow_of_the_difference_fails():
    failure(assert_close, np.array([np.finfo(np.longdouble).max]), np.array([1.0]), dtype=False)
    failure(assert_close, np.array([-1.7e308]), np.array([1.7e308]), tol=0.9)


@settings(max_examples=200, deadline=None)
@given(array=ARRAYS, tol=st.sampled_from([1e-3, 1e-6, 1e-9]), data=st.data())
def test_agrees_with_the_definition(array, tol, data):
    """Against numpy's own allclose with the same absolute tolerance, on either side of it."""
    index = tuple(data.draw(st.integers(0, n - 1)) for n in array.shape)
    scale = max(np.abs(array).max(), 1e-3)
    for factor, passes in ((0.5, True), (2.0, False)):
        actual = array.copy()
        actual[index] += factor * tol * scale
        assert np.allclose(actual, array, rtol=0, atol=tol * scale) is passes
        for cast in (np.asarray, torch.tensor):
            if passes:
                assert_close(cast(actual), cast(array), tol=tol)
            else:
                wrong = failure(assert_close, cast(actual), cast(array), tol=tol)
                assert array.ndim == 0 or f"({', '.join(map(str, index))})" in wrong.where


@settings(max_examples=100, deadline=None)
@given(array=ARRAYS)
def test_trivial_answers_fail_where_they_are_not_right(array):
    for trivial in (np.zeros_like(array), np.ones_like(array), np.full_like(array, np.nan), array.mean() + 0 * array):
        if not np.allclose(trivial, array, rtol=0, atol=1e-6 * max(np.abs(array).max(), 1e-3)):
            failure(assert_close, trivial, array)


def test_a_failure_names_the_largest_error_and_shows_no_array():
    expected = np.random.default_rng(0).standard_normal((30, 40))
    actual = expected.copy()
    actual[2, 3] += 0.5
    actual[4, 5] -= 0.25
    wrong = failure(assert_close, actual, expected, name="h", help="the forget gate")
    assert wrong.where == "index (2, 3), the largest of 2 errors in 1200 entries"
    assert (wrong.actual, wrong.expected) == (f"{actual[2, 3]:.6g}", f"{expected[2, 3]:.6g}")
    assert wrong.message.startswith("h is off by 0.5 ") and wrong.help == "the forget gate"
    assert str(wrong).splitlines()[1:] == [
        "  where     index (2, 3), the largest of 2 errors in 1200 entries",
        f"  got       {wrong.actual}",
        f"  expected  {wrong.expected}",
        "  look at   the forget gate",
    ]
    assert all(type(part) is str for part in (wrong.message, wrong.where, wrong.actual, wrong.expected, wrong.help))


def test_numbers_that_differ_late_are_told_apart():
    wrong = failure(assert_close, 1.00000123, 1.0, tol=1e-9)
    assert (wrong.actual, wrong.expected) == ("1.00000123", "1")


@pytest.mark.parametrize(
    ("factor", "told"), [(-1.0, "-1 times"), (0.5, "0.5 times"), (0.0, "zero everywhere"), (1.0 + 1e-5, "")]
)
def test_a_common_factor_is_told(factor, told):
    expected = np.random.default_rng(1).standard_normal((4, 5))
    message = failure(assert_close, factor * expected, expected).message
    assert told in message and ("everywhere" in message) == bool(told)
    assert "everywhere" not in failure(assert_close, factor * 3.0, 3.0, tol=1e-9).message


def test_faults_are_told_in_order_kind_shape_dtype_finiteness_values():
    expected = torch.zeros(2, 3, dtype=torch.float64)
    told = [
        failure(assert_close, bad, expected).message.removeprefix("the result ")
        for bad in (
            np.full((3, 3), np.nan, dtype=np.float32),
            torch.full((3, 3), math.nan),
            torch.full((2, 3), math.nan),
            torch.full((2, 3), math.nan, dtype=torch.float64),
            torch.ones(2, 3, dtype=torch.float64),
        )
    ]
    assert [text.split(" (")[0] for text in told] == [
        "is the wrong kind of object",
        "has the wrong shape",
        "has the wrong dtype",
        "is not finite",
        "is off by 1",
    ]


def test_a_missing_return_and_a_swapped_axis_are_named():
    assert "return missing" in failure(assert_close, None, ONES).message
    assert "wrong order" in failure(assert_close, np.ones((2, 3)), np.ones((3, 2))).message


@pytest.mark.parametrize(
    ("actual", "shape", "dtype"),
    [
        (torch.zeros(2, 3), (2, 3), None),
        (torch.zeros(2, 3), torch.Size([2, 3]), torch.float32),
        (np.zeros((2, 3)), [2, 3], np.float64),
        (np.zeros((2, 3)), (2, 3), np.dtype("float64")),
        (torch.zeros(2, dtype=torch.int64), (2,), "int64"),
        (np.zeros(2, dtype=np.int64), (2,), "int64"),
        (np.zeros(2), (2,), float),
        (0.5, (), None),
        (np.float64(0.5), (), np.float64),
        (torch.tensor(0.5), (), None),
        (np.zeros((0, 2)), (0, 2), None),
    ],
)
def test_assert_shape_accepts(actual, shape, dtype):
    assert_shape(actual, shape, dtype=dtype)


@pytest.mark.parametrize(
    ("actual", "shape", "dtype", "word"),
    [
        (torch.zeros(3, 2), (2, 3), None, "shape"),
        (torch.zeros(2, 3, 1), (2, 3), None, "shape"),
        (torch.zeros(1), (), None, "shape"),
        (torch.tensor(0.5), (1,), None, "shape"),
        (0.5, (1,), None, "kind"),
        (torch.zeros(2), (2,), np.float32, "kind"),
        (np.zeros(2), (2,), torch.float64, "kind"),
        (0.5, (), torch.float64, "kind"),
        (torch.zeros(2), (2,), torch.float64, "dtype"),
        (np.zeros(2, dtype=np.float32), (2,), "float64", "dtype"),
        (True, (), "int64", "dtype"),
        ([0.0, 0.0], (2,), None, "kind"),
    ],
)
def test_assert_shape_refuses(actual, shape, dtype, word):
    assert word in failure(assert_shape, actual, shape, dtype=dtype).message


@pytest.mark.parametrize(
    "call",
    [
        lambda: assert_close(ONES, [1.0, 1.0]),
        lambda: assert_close(ONES, np.array([1.0, np.nan])),
        lambda: assert_close(1.0, math.inf),
        lambda: assert_close(1.0, None),
        lambda: assert_close(ONES, ONES, tol=math.nan),
        lambda: assert_close(ONES, ONES, tol=-1e-6),
        lambda: assert_close(ONES, ONES, tol=2),
        lambda: assert_shape(ONES, 2),
        lambda: assert_shape(ONES, (2.0,)),
        lambda: assert_shape(ONES, (None,)),
        lambda: assert_shape(ONES, (2,), dtype="float65"),
    ],
)
def test_the_authors_faults_are_value_errors(call):
    with pytest.raises(ValueError):
        call()


def test_every_error_is_observed_also_of_a_failure():
    drain()
    assert_close(np.array([2.0 + 1e-8]), np.array([2.0]), name="a", tol=1e-6)
    failure(assert_close, np.array([2.5]), np.array([2.0]), name="b", tol=1e-3)
    failure(assert_close, np.zeros(3), np.zeros(2), name="shape only")
    near, far = drain()
    assert near == Observation("assert_close", "a", pytest.approx(5e-9), 1e-6)
    assert far == Observation("assert_close", "b", 0.25, 1e-3)
    assert drain() == []


def test_a_numpy_suite_needs_no_torch():
    program = (
        "import sys, numpy as np\n"
        "from grader.checks import *\n"
        "assert_close(np.ones(2), np.ones(2)); assert_shape(1.0, (), dtype=np.float64)\n"
        "assert_trajectory([1.0], np.ones(1)); assert_beats(1.0, 0.5, name='score'); assert_unchanged([])\n"
        "assert_raises(ValueError, int, 'x')\n"
        "x = np.ones(3)\n"
        "assert_numpy_gradients(lambda x: float(x @ x), {'x': x}, {'x': 2 * x}, np.random.default_rng(0))\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_of_errors_that_only_rounding_tells_apart_the_first_is_named() -> None:
    actual = np.array([0.0, 1.0, 1.0 + 1e-15, 0.5])
    assert failure(assert_close, actual, np.zeros(4)).where.startswith("index (1)")
    actual[2] = 1.0 + 1e-6
    assert failure(assert_close, actual, np.zeros(4)).where.startswith("index (2)")
