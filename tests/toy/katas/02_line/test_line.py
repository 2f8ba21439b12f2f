"""Suite of a toy kata whose worker has torch."""

import pytest
import torch

from grader.checks import assert_beats, assert_close, assert_gradients, assert_trajectory, assert_unchanged


def _data(generator, n=32):
    x = torch.randn(n, 3, generator=generator, dtype=torch.float64)
    return x, x @ torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64) + 0.25


@pytest.mark.value
def test_predict(solution, generator):
    """A line through given weights."""
    x, _ = _data(generator)
    w, b = torch.randn(3, generator=generator, dtype=torch.float64), torch.tensor(0.5, dtype=torch.float64)
    assert_close(solution.predict(x, w, b), x @ w + b, tol=1e-12, name="predict(x, w, b)")


@pytest.mark.gradient
def test_gradients(solution, generator, rng):
    """Gradients reach the input and both parameters."""
    x, _ = _data(generator, 4)
    w, b = torch.randn(3, generator=generator, dtype=torch.float64), torch.tensor(0.5, dtype=torch.float64)
    assert_gradients(solution.predict, {"x": x, "w": w, "b": b}, rng)


@pytest.mark.gradient
def test_gradcheck(solution, generator):
    """torch.autograd.gradcheck agrees."""
    x, _ = _data(generator, 4)
    w = torch.randn(3, generator=generator, dtype=torch.float64, requires_grad=True)
    b = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(solution.predict, (x, w, b)), "gradcheck"


@pytest.mark.value
def test_three_steps(solution, generator):
    """Three steps of Adam from the same weights give the same losses."""
    model, oracle = solution.Line(3).double(), torch.nn.Linear(3, 1).double()
    with torch.no_grad():
        oracle.weight.copy_(model.w)
        oracle.bias.copy_(model.b)
    x, y = _data(generator)

    def losses(model, predict):
        optimiser = torch.optim.Adam(model.parameters(), lr=0.1)
        for _ in range(3):
            optimiser.zero_grad()
            loss = (predict(x) - y).pow(2).mean()
            loss.backward()
            optimiser.step()
            yield loss.item()

    assert_trajectory(list(losses(model, model)), list(losses(oracle, lambda x: oracle(x)[:, 0])))


@pytest.mark.convergence
def test_fit(solution, generator, record):
    """Your own loop fits the line."""
    model = solution.Line(3).double()
    x, y = _data(generator)
    history = solution.fit(model, x, y, 60)
    record.curve("loss", history, baseline=float(y.var()))
    with torch.no_grad():
        assert_beats(float((model(x) - y).pow(2).mean()), 0.1, name="mean squared error", higher=False)


@pytest.mark.behaviour
def test_pure(solution, generator, mutated):
    """The input stays as it was."""
    x, _ = _data(generator)
    model = solution.Line(3).double()
    assert model.training, "a new model is in training mode"
    model.eval()
    assert_close(model(x).detach(), (x @ model.w[0] + model.b[0]).detach(), name="model(x)")
    assert_unchanged(mutated)
