"""First values by distribution: right draws pass on any seed, and what only has the right spread does not."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from grader.checks import CheckFailure, Constant, Normal, Uniform, assert_drawn, layer_laws

SIZE = 40


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(1)


class Drawn(nn.Module):
    """One tensor, drawn by a function of its size."""

    def __init__(self, draw, size=SIZE):
        super().__init__()
        self.w = nn.Parameter(draw(size))


def check(draw, law, size=SIZE):
    assert_drawn(lambda: Drawn(draw, size), {"w": law}, name="Drawn")


def uniform(bound):
    return lambda *size: torch.empty(*size).uniform_(-bound, bound)


def normal(std):
    return lambda *size: torch.empty(*size).normal_(0, std)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("size", [1, 7, 40, 5000])
def test_right_draws_pass(seed, size):
    torch.manual_seed(seed)
    check(uniform(0.3), Uniform(0.3), size)
    check(normal(0.02), Normal(0.02), size)
    check(lambda n: torch.ones(n), Constant(1.0), size)


UNIFORM_WRONGS = {
    "zeros": torch.zeros,
    "two values of the same spread": lambda n: torch.randint(2, (n,)).mul(2).sub(1) * 3**-0.5,
    "normal of the same spread": normal(3**-0.5),
    "half as wide": uniform(0.5),
    "a tenth narrower": uniform(0.9),
    "a tenth wider": uniform(1.1),
    "one side": lambda n: uniform(1.0)(n).abs(),
    "shifted": lambda n: uniform(0.7)(n) + 0.3,
    "some zeros": lambda n: uniform(1.0)(n) * (torch.arange(n) % 2),
}
NORMAL_WRONGS = {
    "zeros": torch.zeros,
    "uniform of the same spread": uniform(3**0.5),
    "uniform of the same largest value": uniform(3.0),
    "cut at two": lambda n: nn.init.trunc_normal_(torch.empty(n), std=1.0, a=-2, b=2),
    "half as wide": normal(0.5),
    "twice as wide": normal(2.0),
    "heavy tails": lambda n: torch.empty(n).cauchy_(0, 0.6),
    "not around zero": lambda n: normal(1.0)(n) + 0.5,
}


@pytest.mark.parametrize("wrong", UNIFORM_WRONGS)
@pytest.mark.parametrize("seed", range(3))
def test_what_is_not_uniform_fails(wrong, seed):
    torch.manual_seed(seed)
    with pytest.raises(CheckFailure, match="w of a new Drawn is not drawn as the statement says: 400 values from"):
        check(UNIFORM_WRONGS[wrong], Uniform(1.0))


@pytest.mark.parametrize("wrong", NORMAL_WRONGS)
@pytest.mark.parametrize("seed", range(3))
def test_what_is_not_normal_fails(wrong, seed):
    torch.manual_seed(seed)
    with pytest.raises(CheckFailure, match="w of a new Drawn is not drawn as the statement says: 400 values from"):
        check(NORMAL_WRONGS[wrong], Normal(1.0))


def test_the_failure_says_what_was_found():
    with pytest.raises(CheckFailure) as caught:
        check(torch.zeros, Uniform(0.25))
    failure = caught.value
    assert failure.message.endswith("400 values from 0 to 0, mean 0, standard deviation 0")
    assert failure.expected == "uniform between -0.25 and 0.25"
    assert failure.actual == "0 % of them below 0, where 50 % should be"
    with pytest.raises(CheckFailure) as caught:
        check(lambda n: torch.arange(n) * 1.0, Constant(0.0))
    failure = caught.value
    assert (failure.expected, failure.actual, failure.where) == ("0 everywhere", "1", "index (1)")


def test_a_single_number_that_is_always_zero_is_not_drawn():
    with pytest.raises(CheckFailure, match="40 values from 0 to 0"):
        check(torch.zeros, Uniform(1.0), size=1)


def test_what_is_not_finite_fails():
    with pytest.raises(CheckFailure, match="w of a new Drawn is not finite"):
        check(lambda n: uniform(1.0)(n) / 0, Uniform(1.0))
    with pytest.raises(CheckFailure, match="does not start as"):
        check(lambda n: torch.full((n,), math.nan), Constant(1.0))


def test_every_model_draws_anew():
    kept = uniform(1.0)(SIZE)
    with pytest.raises(CheckFailure, match="two new models have the same w"):
        check(lambda n: kept.clone(), Uniform(1.0))

    def seeded(n):
        torch.manual_seed(0)
        return uniform(1.0)(n)

    with pytest.raises(CheckFailure, match="two new models have the same w"):
        check(seeded, Uniform(1.0))


def test_every_entry_is_a_draw_of_its_own():
    with pytest.raises(CheckFailure, match="repeats its values: of 400, "):
        check(lambda n: normal(3**-0.5)(n).clamp(-1, 1), Uniform(1.0))
    with pytest.raises(CheckFailure, match="w of a new Drawn repeats its values"):
        check(lambda n: uniform(1.0)(n // 4).repeat(4), Uniform(1.0))


def test_no_two_tensors_start_with_the_same_values():
    class Mirror(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Parameter(uniform(1.0)(20, 30))
            self.b = nn.Parameter(self.a.detach().t().clone())

    with pytest.raises(CheckFailure, match="a and b of a new model start with the same values"):
        assert_drawn(Mirror, {"a": Uniform(1.0), "b": Uniform(1.0)})


class Layers(nn.Module):
    """One of each kind of layer."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(30, 20)
        self.lin = nn.Linear(20, 30)
        self.conv = nn.Conv2d(20, 40, 3)
        self.up = nn.ConvTranspose2d(20, 40, 3)
        self.norm = nn.LayerNorm(20)


def test_layers_are_drawn_as_torch_draws_them():
    shapes = {name: tuple(value.shape) for name, value in Layers().named_parameters()}
    laws = layer_laws(shapes, embeddings=["words"], norms=["norm"])
    assert laws["lin.bias"] == laws["lin.weight"] == Uniform(20**-0.5)
    assert laws["up.bias"] == Uniform((40 * 9) ** -0.5) and laws["norm.weight"] == Constant(1.0)
    for seed in range(10):
        torch.manual_seed(seed)
        assert_drawn(Layers, laws)

    class Zeroed(Layers):
        def __init__(self):
            super().__init__()
            nn.init.zeros_(self.conv.bias)

    with pytest.raises(CheckFailure, match=r"conv\.bias of a new model is not drawn"):
        assert_drawn(Zeroed, laws)


def test_what_is_no_layer_is_the_authors_fault():
    with pytest.raises(ValueError, match="question belongs to no layer"):
        layer_laws({"question": (3,)})
    with pytest.raises(ValueError, match=r"norm\.weight belongs to no layer"):
        layer_laws({"norm.weight": (3,)})
