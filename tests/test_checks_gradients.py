"""Gradient checks: torch's own layers pass, every kind of wrong gradient is caught and named."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import rosen, rosen_der
from torch import nn
from torch.nn import functional as F

from grader.checks import CheckFailure, assert_gradients, assert_numpy_gradients
from grader.checks.observations import drain
from grader.checks.slopes import Slopes


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def normal(rng, *shape):
    return torch.from_numpy(np.asarray(rng.standard_normal(shape)))


def failure(check, *args, **kwargs) -> CheckFailure:
    with pytest.raises(CheckFailure) as caught:
        check(*args, **kwargs)
    return caught.value


def scaled(factor, only=None):
    """The identity, whose backward multiplies by factor: everywhere, or at one position."""

    class Scaled(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            return x.clone()

        @staticmethod
        def backward(context, upstream):
            if only is None:
                return factor * upstream
            changed = upstream.clone()
            changed[only] *= factor
            return changed

    return Scaled.apply


SMOOTH = {
    "softmax": (lambda x: x.softmax(-1), {"x": (3, 5)}),
    "attention": (F.scaled_dot_product_attention, {"query": (2, 3, 4), "key": (2, 5, 4), "value": (2, 5, 6)}),
    "convolution": (
        lambda x, w, b: F.conv2d(x, w, b, stride=2, padding=1),
        {"x": (2, 3, 7, 6), "w": (4, 3, 3, 2), "b": (4,)},
    ),
    "layer norm": (lambda x, w, b: F.layer_norm(x, (5,), w, b), {"x": (3, 5), "w": (5,), "b": (5,)}),
    "batch norm": (lambda x: F.batch_norm(x, None, None, training=True), {"x": (6, 4)}),
    "scalar": (lambda x, s: (x * s.exp()).sum(), {"x": (4,), "s": ()}),
    "two outputs": (lambda x, w: (x @ w, (x**3).mean(0)), {"x": (3, 4), "w": (4, 2)}),
    "one of one": (lambda x: x**2, {"x": (1,)}),
}


@pytest.mark.parametrize("case", SMOOTH)
def test_right_gradients_pass_with_room_to_spare(case, rng):
    function, shapes = SMOOTH[case]
    drain()
    for _ in range(5):
        assert_gradients(function, {key: normal(rng, *shape) for key, shape in shapes.items()}, rng)
    seen = drain()
    assert {o.name for o in seen} == {f"gradient of {key}" for key in shapes} and len(seen) == 5 * len(shapes)
    assert all(o.check == "assert_gradients" and o.tolerance == 1e-6 and o.error < 1e-7 for o in seen)


def test_gradients_that_are_zero_by_symmetry_pass(rng):
    """A bias of the keys moves every score of a query alike, so softmax does not see it."""

    def attend(q, k, bias):
        return (q @ (k + bias).T).softmax(-1)

    assert_gradients(attend, {"q": normal(rng, 3, 4), "k": normal(rng, 5, 4), "bias": normal(rng, 4)}, rng)


def test_kinks_pass_with_a_smaller_step(rng):
    x = normal(rng, 6, 5)
    x = x + x.sign() * 1e-4
    assert_gradients(F.relu, {"input": x}, rng, eps=1e-6, tol=1e-5)


@pytest.mark.parametrize("shape", [(3, 4), (9, 12)], ids=["every coordinate", "directions"])
@pytest.mark.parametrize("factor", [-1.0, 0.0, 0.5, 1.0 + 1e-5])
def test_a_wrong_factor_is_caught_and_its_tensor_named(shape, factor, rng):
    inputs = {"x": normal(rng, *shape), "w": normal(rng, *shape)}
    wrong = failure(assert_gradients, lambda x, w: x.tanh() * scaled(factor)(w), inputs, rng, name="grad", help="h")
    assert wrong.message.startswith("grad of w is wrong") and wrong.help == "h"
    if shape == (9, 12):
        assert wrong.where == "along a random direction of w"
    else:
        assert wrong.where.startswith("index (") and wrong.where.endswith(") of w")
    told = {-1.0: "-1 times", 0.0: "zero everywhere", 0.5: "0.5 times"}.get(factor, "")
    assert told in wrong.message


def test_one_wrong_coordinate_is_named(rng):
    inputs = {"x": normal(rng, 3, 4)}
    wrong = failure(assert_gradients, lambda x: scaled(2.0, only=(1, 2))(x), inputs, rng)
    assert wrong.where == "index (1, 2) of x"
    assert float(wrong.actual) == pytest.approx(2 * float(wrong.expected), rel=1e-5)


def test_one_wrong_coordinate_among_many_is_caught(rng):
    inputs = {"x": normal(rng, 30, 40)}
    wrong = failure(assert_gradients, lambda x: scaled(1.1, only=(17, 3))(x), inputs, rng)
    assert wrong.where == "along a random direction of x"


def test_the_upstream_gradient_is_random(rng):
    """A backward that hands the upstream gradient to the wrong places is right where that gradient is all ones."""

    class Reversed(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            return x.clone()

        @staticmethod
        def backward(context, upstream):
            return upstream.flip(0)

    failure(assert_gradients, Reversed.apply, {"x": normal(rng, 4)}, rng)


def test_the_worst_tensor_leads_and_the_others_follow(rng):
    inputs = {"a": normal(rng, 3), "b": normal(rng, 3), "c": normal(rng, 3)}
    wrong = failure(assert_gradients, lambda a, b, c: scaled(1.1)(a) + b + scaled(-3.0)(c), inputs, rng)
    assert wrong.message.startswith("gradient of c is wrong") and wrong.where.endswith("; also wrong: a")


def test_a_small_gradient_beside_large_ones_is_still_checked(rng):
    inputs = {"x": normal(rng, 3), "w": normal(rng, 3)}
    wrong = failure(assert_gradients, lambda x, w: x + 1e-6 * scaled(2.0)(w), inputs, rng)
    assert "of w" in wrong.message


@pytest.mark.parametrize(
    ("function", "unreached"),
    [
        (lambda x, w: x @ w.detach(), "w"),
        (lambda x, w: x @ w.data, "w"),
        (lambda x, w: x.detach() @ w.detach(), "x, w"),
        (lambda x, w: torch.from_numpy(x.detach().numpy() @ w.detach().numpy()), "x, w"),
        (lambda x, w: torch.zeros(3, 5, dtype=torch.float64), "x, w"),
        (lambda x, w: x * 1, "w"),
    ],
)
def test_an_input_without_gradient_is_named(function, unreached, rng):
    wrong = failure(assert_gradients, function, {"x": normal(rng, 3, 4), "w": normal(rng, 4, 5)}, rng)
    assert wrong.message == f"no gradient reaches {unreached} from the result: is something detached?"


def test_a_detached_output_among_several_is_named(rng):
    wrong = failure(assert_gradients, lambda x: (x * 2, x.detach()), {"x": normal(rng, 3)}, rng)
    assert wrong.message.startswith("no gradient reaches x from output 1")


def test_a_constant_result_has_nothing_to_differentiate(rng):
    wrong = failure(assert_gradients, lambda x, w: 0 * x + 0 * w, {"x": normal(rng, 3), "w": normal(rng, 3)}, rng)
    assert "does not depend on x, w" in wrong.message


def test_a_forward_for_gradients_and_another_for_values_is_caught(rng):
    def two_faced(x):
        return x * 1 if x.requires_grad else x.tanh()

    assert "different results" in failure(assert_gradients, two_faced, {"x": normal(rng, 3)}, rng).message


def test_state_between_calls_is_caught(rng):
    noise = torch.Generator().manual_seed(0)
    noisy = failure(assert_gradients, lambda x: x + torch.rand(3, generator=noise), {"x": normal(rng, 3)}, rng)
    assert "two calls" in noisy.message


@pytest.mark.parametrize(
    "result",
    [None, 1.0, "x", (), (None,), {"y": 1}, np.ones(3), torch.ones(3, dtype=torch.int64), [torch.ones(3), 2.0]],
    ids=repr,
)
def test_a_result_of_another_kind_fails(result, rng):
    failure(assert_gradients, lambda x: result, {"x": normal(rng, 3)}, rng)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_results_and_gradients_that_are_not_finite_fail(bad, rng):
    x = {"x": normal(rng, 2, 3)}
    assert failure(assert_gradients, lambda x: x * bad, x, rng).message == "the result is not finite"
    wrong = failure(assert_gradients, scaled(bad, only=(1, 1)), x, rng)
    assert (wrong.message, wrong.where) == ("gradient of x is not finite", "index (1, 1)")


@pytest.mark.parametrize("size", [1e200, 1.5e308])
def test_results_too_large_to_compare_fail(size, rng):
    failure(assert_gradients, lambda x, w: size * x.tanh() + w, {"x": normal(rng, 3), "w": normal(rng, 3)}, rng)


@pytest.mark.parametrize("numeric", [[np.nan, 1.0], [1.0, np.nan], [np.inf, 1.0], [1e308, -1e308]])
def test_a_difference_that_overflows_is_an_infinite_error(numeric):
    with np.errstate(all="ignore"):
        assert Slopes("w", (2,), np.array([-1e308, 1e308]), np.array(numeric), 1.0, True).error == np.inf


def test_a_shape_that_changes_from_call_to_call_fails(rng):
    wrong = failure(assert_gradients, lambda x: x if x.requires_grad else x[:1], {"x": normal(rng, 3)}, rng)
    assert "shape of the result changed" in wrong.message


def test_lost_precision_is_told(rng):
    wrong = failure(assert_gradients, lambda x: x.float().tanh(), {"x": normal(rng, 3)}, rng)
    assert "float32 though the inputs are float64" in wrong.message


def test_single_precision_passes_where_the_author_allows_for_it(rng):
    assert_gradients(lambda x: x.float().tanh(), {"x": normal(rng, 3)}, rng, eps=1e-3, tol=1e-2)


def test_parameters_of_modules_are_checked_and_put_back_exactly(rng):
    model = nn.LSTM(3, 4, num_layers=2).double()
    with torch.no_grad():
        model.bias_hh_l0.fill_(1e-20)  # far below the step: adding and subtracting it would lose these
    before = {key: value.clone() for key, value in model.state_dict().items()}
    inputs = {"x": normal(rng, 5, 2, 3), "h": normal(rng, 2, 2, 4), "c": normal(rng, 2, 2, 4)}

    def run(x, h, c):
        out, (h, c) = model(x, (h, c))
        return out, h, c

    drain()
    assert_gradients(run, inputs, rng, parameters=dict(model.named_parameters()))
    assert len(drain()) == 3 + 8
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_parameters_are_put_back_when_the_function_fails(rng):
    model, calls = nn.Linear(3, 2).double(), []
    before = model.weight.detach().clone()

    def breaks():
        calls.append(1)
        if len(calls) == 6:
            raise ZeroDivisionError
        return model(torch.ones(1, 3, dtype=torch.float64))

    with pytest.raises(ZeroDivisionError):
        assert_gradients(breaks, {}, rng, parameters=dict(model.named_parameters()))
    assert torch.equal(model.weight, before)


class Half(nn.Module):
    """Trains its bias only: the weight is used, but cut from the graph."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3, dtype=torch.float64))
        self.bias = nn.Parameter(torch.ones(3, dtype=torch.float64))
        self.spare = nn.Parameter(torch.ones(3, dtype=torch.float64))

    def forward(self, x):
        return x * self.weight.detach() + self.bias


def test_a_detached_parameter_is_named_and_a_spare_one_is_free(rng):
    model, x = Half(), {"x": normal(rng, 2, 3)}
    parameters = dict(model.named_parameters())
    assert "reaches weight" in failure(assert_gradients, model, x, rng, parameters=parameters).message
    del parameters["weight"]
    assert_gradients(model, x, rng, parameters=parameters)


@pytest.mark.parametrize(
    ("parameter", "word"),
    [
        (nn.Parameter(torch.ones(2)), "dtype"),
        (torch.ones(2, dtype=torch.float64), "nn.Parameter"),
        (np.ones(2), "kind"),
        (nn.Parameter(torch.full((2,), float("nan"), dtype=torch.float64)), "finite"),
    ],
    ids=["float32", "no parameter", "an array", "nan"],
)
def test_a_parameter_that_cannot_be_checked_is_the_learners_failure(parameter, word, rng):
    wrong = failure(assert_gradients, lambda x: x, {"x": normal(rng, 2)}, rng, parameters={"p": parameter})
    assert "p" in wrong.message and word in wrong.message


def test_the_arguments_are_left_alone(rng):
    inputs = {"x": normal(rng, 3), "w": normal(rng, 3)}
    before = {key: value.clone() for key, value in inputs.items()}

    def overwrites(x, w):
        y = x.exp() + w.tanh()
        with torch.no_grad():
            x.zero_()
            w.zero_()
        return y

    assert_gradients(overwrites, inputs, rng)
    assert all(torch.equal(value, before[key]) and not value.requires_grad for key, value in inputs.items())


def test_non_contiguous_inputs_stay_so(rng):
    strides = set()

    def look(x):
        strides.add(x.stride())
        return x**2

    assert_gradients(look, {"x": normal(rng, 4, 3).T}, rng)
    assert strides == {(1, 3)}


@pytest.mark.parametrize(
    "fault",
    [
        {"inputs": {}},
        {"inputs": {"x": torch.ones(2)}},
        {"inputs": {"x": np.ones(2)}},
        {"inputs": {"x": torch.full((2,), float("nan"), dtype=torch.float64)}},
        {"tol": float("nan")},
        {"eps": 0.0},
        {"parameters": {"x": nn.Parameter(torch.ones(2, dtype=torch.float64))}},
    ],
    ids=str,
)
def test_the_authors_faults_are_value_errors(fault, rng):
    call = {"inputs": {"x": torch.ones(2, dtype=torch.float64)}, **fault}
    with pytest.raises(ValueError):
        assert_gradients(lambda x: x, rng=rng, **call)


def quadratic(a, b):
    return float(((a @ b) ** 2).sum())


def quadratic_gradients(a, b):
    return {"a": 2 * np.outer(a @ b, b), "b": 2 * a.T @ (a @ b)}


@pytest.mark.parametrize("shape", [(3, 4), (20, 30)], ids=["every coordinate", "directions"])
def test_numpy_gradients_pass_and_wrong_ones_are_named(shape, rng):
    inputs = {"a": rng.standard_normal(shape), "b": rng.standard_normal(shape[1])}
    right = quadratic_gradients(**inputs)
    drain()
    assert_numpy_gradients(quadratic, inputs, right, rng)
    assert all(o.check == "assert_numpy_gradients" and o.error < 1e-8 for o in drain())
    wrong = failure(assert_numpy_gradients, quadratic, inputs, {**right, "b": right["b"] / 2}, rng)
    assert wrong.message.startswith("gradient of b is wrong: it is 0.5 times") and " of b" in wrong.where


def test_numpy_gradients_agree_with_scipy(rng):
    x = rng.standard_normal(40)
    assert_numpy_gradients(rosen, {"x": x}, {"x": rosen_der(x)}, rng)
    assert_numpy_gradients(rosen, {"x": x[:2]}, {"x": rosen_der(x[:2])}, rng)


@pytest.mark.parametrize(
    ("claim", "word"),
    [
        (None, "kind"),
        ([1.0], "kind"),
        ({}, "missing"),
        ({"x": None}, "kind"),
        ({"x": [2.0, 2.0]}, "kind"),
        ({"x": torch.ones(2)}, "kind"),
        ({"x": np.ones((2, 1))}, "shape"),
        ({"x": np.ones(0)}, "shape"),
        ({"x": 2.0}, "kind"),
        ({"x": np.array([2, 2])}, "dtype"),
        ({"x": np.array([2.0, np.nan])}, "finite"),
        ({"x": np.zeros(2)}, "zero everywhere"),
    ],
    ids=str,
)
def test_a_claim_of_another_form_fails(claim, word, rng):
    wrong = failure(assert_numpy_gradients, lambda x: float(x @ x), {"x": np.ones(2)}, claim, rng)
    assert word in wrong.message


@pytest.mark.parametrize("loss", [None, "1", np.ones(2), float("nan"), 1])
def test_a_loss_that_is_no_number_fails(loss, rng):
    failure(assert_numpy_gradients, lambda x: loss, {"x": np.ones(2)}, {"x": np.zeros(2)}, rng)


def test_a_scalar_bias_has_a_scalar_gradient(rng):
    bias = np.array(0.5)
    assert_numpy_gradients(lambda b: float(b**2), {"b": bias}, {"b": np.float64(1.0)}, rng)


@pytest.mark.parametrize("place", range(0, 60, 7))
def test_one_wrong_coordinate_of_sixty_is_seen_far_outside_the_tolerance_and_named(place):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        index = tuple(int(i) for i in np.unravel_index(place, (6, 10)))
        drain()
        wrong = failure(assert_gradients, scaled(1.1, only=index), {"x": normal(rng, 6, 10)}, rng)
        assert wrong.where == f"index {index} of x"
        (seen,) = drain()
        assert seen.error > 10 * 1e-6
