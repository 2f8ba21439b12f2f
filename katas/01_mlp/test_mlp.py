"""Six functions, graded one by one against PyTorch in float64; then two tasks that need a hidden layer."""

import numpy as np
import pytest
import torch

from grader.checks import (
    assert_beats,
    assert_close,
    assert_parts,
    assert_shape,
    assert_that,
    assert_trajectory,
    assert_unchanged,
    normal_array,
    text,
)

NAMES = ("w1", "b1", "w2", "b2")
# N, D, H, K, and how large the inputs are, for which w1 makes up. Every size comes twice, each time with other numbers.
CASES = 2 * (
    (5003, 5, 3, 2, 1.0),
    (6, 1, 4, 2, 10_000.0),
    (5, 3, 4, 2, 1.0),
    (1, 2, 5, 3, 0.01),
    (7, 4, 3, 1, 1.0),
    (4, 5, 2, 3, 1.0),
)
RATES = 2 * (0.3, 0.02, 1.0, 5.0, 3.0, 0.5)
TOL = 1e-9

# Bars midway between what a network without a hidden layer reaches and the worst right run of 50 seeds.
XOR_BAR = 0.125  # mean squared error: 0.25 is the best without a hidden layer, 0.0004 the worst run with one
MOONS_BAR = 0.94  # held-out accuracy: 0.902 is the best of 30 runs without a hidden layer, 0.991 the worst with one


def _weights(rng, d, h, k):
    """Weights ~ 1 / sqrt(fan-in) and biases that are not zero."""
    w1, w2 = normal_array(rng, d, h) / np.sqrt(d), normal_array(rng, h, k) / np.sqrt(h)
    return {"w1": w1, "b1": rng.normal(size=h) / 2, "w2": w2, "b2": rng.normal(size=k) / 2}


def _problem(rng, n, d, h, k, scale):
    """Weights, inputs and targets, none of them contiguous in memory; of several samples the last is the first again."""
    params, x, y = _weights(rng, d, h, k), scale * normal_array(rng, n, d), rng.uniform(size=(k, n)).T
    x[-1], y[-1] = x[0], y[0]
    return params | {"w1": params["w1"] / scale}, x, y


def _oracle(params, x, y):
    """Hidden, output, loss and gradients by PyTorch and its autograd."""
    p = {name: torch.tensor(params[name], requires_grad=True) for name in NAMES}
    hidden = torch.sigmoid(torch.tensor(x) @ p["w1"] + p["b1"])
    output = torch.sigmoid(hidden @ p["w2"] + p["b2"])
    loss = torch.nn.functional.mse_loss(output, torch.tensor(y))
    loss.backward()
    hidden, output = (np.asfortranarray(each.detach().numpy()) for each in (hidden, output))
    return hidden, output, loss.item(), {name: p[name].grad.numpy() for name in NAMES}


def _answers(params, x):
    """The outputs, (N,), of a network with one output."""
    return _oracle(params, x, np.zeros((len(x), 1)))[1][:, 0]


def _arrays(result, like, what):
    """The dict that a function returned: finite float64 arrays with the shapes of the parameters."""
    assert_that(isinstance(result, dict), "{what} must be a dict", what=what)
    for name in NAMES:
        assert_that(name in result, "{what} must hold {name}", what=what, name=name)
        assert_shape(
            result[name], like[name].shape, dtype=np.float64, name=text("{name} of {what}", name=name, what=what)
        )
    return result


def _step(solution, params, x, y, learning_rate):
    """(new_params, loss) of the learner's train_step, both of the right form."""
    result = solution.train_step(params, x, y, learning_rate)
    new, loss = assert_parts(result, ("new_params", "loss"), name="train_step")
    assert_shape(loss, (), name=text("the loss of train_step"))
    return _arrays(new, params, text("the new parameters")), float(loss)


def _fit(solution, params, x, y, learning_rate, steps):
    """(new_params, losses) of the learner's fit, both of the right form."""
    result = solution.fit(params, x, y, learning_rate, steps)
    new, losses = assert_parts(result, ("new_params", "losses"), name="fit")
    vector = isinstance(losses, np.ndarray) and losses.ndim == 1
    assert vector or isinstance(losses, list | tuple), "fit returns its losses as a list"
    said = "fit must return one loss per step: {steps}, not {found}"
    assert_that(len(losses) == steps, said, steps=steps, found=len(losses))
    for step, loss in enumerate(losses, start=1):
        assert_shape(loss, (), name=text("the loss after step {step}", step=step))
    return _arrays(new, params, text("the new parameters")), [float(loss) for loss in losses]


@pytest.mark.value
def test_sigmoid(solution, rng):
    """The sigmoid is right for every number, even for 1000 and -1000"""
    with np.errstate(all="ignore"):  # a warning about an overflow is no error: the result counts
        for shape in 2 * ((6,), (3, 4), (2, 1, 5), (5003, 2)):
            z = 4 * normal_array(rng, *shape)
            expected = torch.sigmoid(torch.tensor(z)).numpy()
            assert_close(solution.sigmoid(z), expected, tol=TOL, name="sigmoid(z)")
        z = np.array([-1000.0, -40.0, 0.0, 40.0, 1000.0])
        expected = torch.sigmoid(torch.tensor(z)).numpy()
        help = "what exp gives for 1000, and what infinity divided by infinity is"
        assert_close(solution.sigmoid(z), expected, tol=TOL, name=text("sigmoid of large numbers"), help=help)


@pytest.mark.shape
def test_forward_shapes(solution, rng):
    """forward gives one row per sample, and every number lies between 0 and 1"""
    for case in CASES:
        n, _, h, k, _ = case
        params, x, _ = _problem(rng, *case)
        parts = assert_parts(solution.forward(params, x), ("hidden", "output"), name="forward")
        for name, value, shape in zip(("hidden", "output"), parts, ((n, h), (n, k)), strict=True):
            assert_shape(value, shape, dtype=np.float64, name=name)
            inside = value.min() > 0 and value.max() < 1
            assert_that(inside, "{name} must lie between 0 and 1: it comes from a sigmoid", name=name)
        assert np.ptp(parts[0]) > 0, "all the entries of hidden are equal"


@pytest.mark.value
def test_forward(solution, rng):
    """Both layers give the right numbers"""
    for case in CASES:
        params, x, y = _problem(rng, *case)
        hidden, output, _, _ = _oracle(params, x, y)
        got = assert_parts(solution.forward(params, x), ("hidden", "output"), name="forward")
        assert_close(got[0], hidden, tol=TOL, name="hidden", help="x, w1, b1 and the sigmoid")
        assert_close(got[1], output, tol=TOL, name="output", help="hidden, w2, b2 and the sigmoid")


@pytest.mark.value
def test_mse_loss(solution, rng):
    """The loss is the mean of the squared errors"""
    for case in CASES:
        params, x, y = _problem(rng, *case)
        _, output, expected, _ = _oracle(params, x, y)
        n, k = y.shape
        help = text("the mean runs over all {n} * {k} entries, and nothing is halved", n=n, k=k)
        assert_close(solution.mse_loss(output, y), expected, tol=TOL, name="mse_loss", help=help)


def _check_gradients(solution, rng, names, help):
    for case in CASES:
        params, x, y = _problem(rng, *case)
        hidden, output, _, expected = _oracle(params, x, y)
        got = solution.backward(params, x, hidden, output, y)
        assert isinstance(got, dict), "backward returns a dict of gradients"
        for name in names:
            assert_that(name in got, "the gradients must hold {name}", name=name)
            said = text("the gradient of {name}", name=name)
            assert_close(got[name], expected[name], tol=TOL, name=said, help=help)


@pytest.mark.gradient
def test_output_layer_gradients(solution, rng):
    """backward: the gradients of w2 and b2 are right"""
    _check_gradients(solution, rng, ("w2", "b2"), help="the loss, the output's sigmoid, then what w2 and b2 touch")


@pytest.mark.gradient
def test_hidden_layer_gradients(solution, rng):
    """backward: the gradients of w1 and b1 are right"""
    _check_gradients(solution, rng, ("w1", "b1"), help="the way back through w2 and through the hidden sigmoid")


@pytest.mark.value
def test_train_step(solution, rng):
    """A step moves every parameter by minus the learning rate times its gradient"""
    for case, learning_rate in zip(CASES, RATES, strict=True):
        params, x, y = _problem(rng, *case)
        _, _, _, gradients = _oracle(params, x, y)
        new, _ = _step(solution, params, x, y, learning_rate)
        help = text("the step's direction, and its length at a learning rate of {rate}", rate=learning_rate)
        for name in NAMES:
            said = text("the change of {name}", name=name)
            assert_close(new[name] - params[name], -learning_rate * gradients[name], tol=1e-8, name=said, help=help)


@pytest.mark.value
def test_reported_loss(solution, rng):
    """The loss that train_step reports is the loss of the parameters that it returns"""
    for case in CASES:
        params, x, y = _problem(rng, *case)
        new, loss = _step(solution, params, x, y, 2.0)
        _, _, expected, _ = _oracle(new, x, y)
        assert_close(
            loss, expected, tol=TOL, name=text("the reported loss"), help="which parameters this loss belongs to"
        )


def _trainings(rng):
    """What fit is given. A target that is near and steps far too long; nothing left to learn; then all cases."""
    params, x, y = _problem(rng, 5, 3, 4, 2, 1.0)
    perfect = _oracle(params, x, y)[1]
    yield params, x, np.clip(perfect + 0.005 * rng.normal(size=y.shape), 0, 1), 300.0, 3
    yield params, x, perfect, 1.0, 3
    for case, learning_rate, steps in zip(CASES, RATES, 6 * [12] + 6 * [1], strict=True):
        yield *_problem(rng, *case), learning_rate, steps


@pytest.mark.value
def test_trajectory(solution, rng):
    """The first dozen steps of fit agree with PyTorch, loss by loss"""
    for params, x, y, learning_rate, steps in _trainings(rng):
        expected, losses = params, []
        for _ in range(steps):
            _, _, _, gradients = _oracle(expected, x, y)
            expected = {name: expected[name] - learning_rate * gradients[name] for name in NAMES}
            losses.append(_oracle(expected, x, y)[2])
        new, got = _fit(solution, params, x, y, learning_rate, steps)
        help = "losses[0] is the loss after the first update; each step starts where the last one ended"
        assert_trajectory(got, losses, tol=1e-8, name=text("the loss of fit"), help=help)
        for name in NAMES:
            said = text("{name} after {steps} steps", name=name, steps=steps)
            assert_close(new[name], expected[name], tol=1e-8, name=said)


@pytest.mark.behaviour
def test_pure(solution, rng, mutated):
    """Functions leave your arrays alone: the same call gives the same answer again"""
    params, x, y = _problem(rng, 5, 3, 4, 2, 1.0)
    hidden, output, _, _ = _oracle(params, x, y)
    first, _ = _step(solution, params, x, y, 0.01)
    solution.sigmoid(x)
    solution.forward(params, x)
    solution.mse_loss(output, y)
    solution.backward(params, x, hidden, output, y)
    _fit(solution, params, x, y, 1.0, 2)
    again, _ = _step(solution, params, x, y, 0.01)
    assert_unchanged(mutated)
    for name in NAMES:
        assert_close(again[name], first[name], tol=TOL, name=text("{name} of a repeated call", name=name))
    moved = max(np.abs(first[name] - params[name]).max() for name in NAMES)
    assert 0 < moved < 0.1, "a step at a learning rate of 0.01 must move the parameters, and only a little"


@pytest.mark.convergence
def test_xor(solution, rng, record):
    """Your network learns XOR, which no network without a hidden layer can"""
    x = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    y = np.array([[0.0], [1.0], [1.0], [0.0]])
    params, losses = _fit(solution, _weights(rng, 2, 8, 1), x, y, 8.0, 1000)
    record.curve("XOR: loss", losses, baseline=0.25)
    answers = _answers(params, x)
    record.matrix("XOR: answers", answers.reshape(2, 2), ["0", "1"])
    error = float(np.mean((answers - y[:, 0]) ** 2))
    assert_beats(error, XOR_BAR, name=text("the squared error on XOR"), higher=False)


def _two_moons(rng, n):
    """Two half circles that reach into each other, with Gaussian noise of 0.1; the classes take turns."""
    angle = rng.uniform(0, np.pi, size=n)
    lower = np.arange(n) % 2 == 1
    upper_moon = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    lower_moon = np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], axis=1)
    x = np.where(lower[:, None], lower_moon, upper_moon) + 0.1 * rng.normal(size=(n, 2))
    return x, lower[:, None].astype(np.float64)


@pytest.mark.convergence
def test_two_moons(solution, rng, record):
    """Your network tells two moons apart on points that it has never seen"""
    x, y = _two_moons(rng, 200)
    unseen, labels = _two_moons(rng, 1000)
    start = _weights(rng, 2, 16, 1)
    start["w1"] *= 3
    params, losses = _fit(solution, start, x, y, 10.0, 500)
    across, up = np.meshgrid(np.linspace(-1.5, 2.5, 80), np.linspace(1.5, -1.0, 50))
    surface = _answers(params, np.stack([across.ravel(), up.ravel()], axis=1)).reshape(across.shape)
    record.curve("Two moons: loss", losses, baseline=0.25)
    record.image("Two moons: where your network answers 1", surface)
    accuracy = float(np.mean((_answers(params, unseen) > 0.5) == (labels[:, 0] > 0.5)))
    assert_beats(accuracy, MOONS_BAR, name=text("the accuracy on unseen moons"))
