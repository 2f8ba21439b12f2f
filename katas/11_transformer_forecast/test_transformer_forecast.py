"""The suite of kata 11: a transformer beside torch's own, and weeks in which place and content both count."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from grader.checks import (
    assert_agrees,
    assert_beats,
    assert_close,
    assert_parts,
    assert_shape,
    assert_state,
    assert_that,
    assert_trained,
    assert_unchanged,
    load_state,
    normal,
    state_of,
    text,
)

# N series of T steps, S steps of memory, D features, H heads of E / H numbers each, M hidden units, blocks, K values.
SIZES = [(4, 3, 7, 5, 2, 4, 11, 2, 6), (1, 5, 4, 2, 3, 2, 9, 1, 7), (3, 6, 2, 4, 5, 2, 7, 3, 1)]
SIZES += [(2, 8, 5, 3, 1, 6, 10, 1, 4), (5, 4, 3, 2, 4, 3, 8, 2, 1), (3, 1, 1, 4, 2, 1, 5, 1, 6)]
MANY, LONG = (1101, 2, 3, 1, 2, 2, 5, 1, 4), (1, 1101, 1102, 3, 1, 2, 4, 1, 5)
VERY_LONG = (1, 5001, 1, 3, 1, 2, 4, 0, 5)  # without a block, since attention over so many steps takes its square
BACK = (2, 40, 41, 3, 2, 3, 5, 1, 4)  # for gradients, which must come back from there
FAR = 100.0  # times what is usual: nothing has a bound that the formula does not give
TOL, SAME = 1e-9, 1e-9
EXACT = 1e-11  # of forecasts: waves that were rounded to float32 on their way into float64 are seen

DAYS, POOL, HELD_OUT = 7, 2000, 1000
WIDTH, HEADS, HIDDEN, STEPS, WARMUP, BATCH, PEAK = 32, 2, 64, 180, 30, 48, 0.02
BAR = 0.65  # mid-way between what can be explained without positions, 2/7, and the 99 % of a right solution


def _linear(inputs, outputs):
    return nn.Linear(inputs, outputs, dtype=torch.float64)


class Attention(nn.Module):
    """torch's attention, with its parameters under the statement's names."""

    def __init__(self, width, heads):
        super().__init__()
        self.sizes = width, heads
        self.query, self.key, self.value, self.out = (_linear(width, width) for _ in range(4))

    def named(self):
        """The parameters under torch's names; it joins three layers into one."""
        layers = self.query, self.key, self.value
        joined = {f"in_proj_{end}": torch.cat([getattr(each, end) for each in layers]) for end in ("weight", "bias")}
        return joined | {f"out_proj.{end}": value for end, value in self.out.named_parameters()}

    def forward(self, x, memory):
        layer = nn.MultiheadAttention(*self.sizes, batch_first=True, dtype=torch.float64)
        return functional_call(layer, self.named(), (x, memory, memory), {"average_attn_weights": False})


class Block(nn.Module):
    """torch's encoder layer as it is unless told otherwise, with its parameters under the statement's names."""

    def __init__(self, width, heads, hidden):
        super().__init__()
        self.sizes = width, heads, hidden
        self.attention = Attention(width, heads)
        self.norm1, self.norm2 = (nn.LayerNorm(width, dtype=torch.float64) for _ in range(2))
        self.up, self.down = _linear(width, hidden), _linear(hidden, width)

    def forward(self, x):
        named = {f"self_attn.{name}": value for name, value in self.attention.named().items()}
        layers = {"norm1": self.norm1, "norm2": self.norm2, "linear1": self.up, "linear2": self.down}
        for name, layer in layers.items():
            named |= {f"{name}.{end}": value for end, value in layer.named_parameters()}
        layer = nn.TransformerEncoderLayer(*self.sizes, 0.0, batch_first=True, dtype=torch.float64)
        return functional_call(layer, named, (x,))  # in training mode, where torch takes no short cut


class Oracle(nn.Module):
    """The forecaster of torch's parts."""

    def __init__(self, features, width, heads, hidden, blocks, horizon):
        super().__init__()
        self.embed, self.head = _linear(features, width), _linear(width, horizon)
        self.blocks = nn.ModuleList(Block(width, heads, hidden) for _ in range(blocks))

    def forward(self, series):
        x = self.embed(series)
        x = x + _waves(*x.shape[1:])
        for block in self.blocks:
            x = block(x)
        return self.head(x[:, -1])


def _waves(steps, width):
    """The positions, number by number."""
    rows = []
    for t in range(steps):
        angles = [t / 10000 ** (2 * i / width) for i in range(width // 2)]
        rows.append([value for angle in angles for value in (math.sin(angle), math.cos(angle))])
    return torch.tensor(rows, dtype=torch.float64)


def _names(module):
    return [name for name, _ in module.named_parameters()]


def _weights(rng, module, far=1.0):
    """Matrices ~ 1 / sqrt(fan-in), no bias is zero, no norm's weight is one; far: how much larger the last layer's is."""
    weights = {}
    for name, parameter in module.named_parameters():
        shape = parameter.shape
        drawn = normal(rng, *shape) * (shape[1] ** -0.5 if len(shape) == 2 else 0.5)
        weights[name] = drawn + 1 if "norm" in name and name.endswith("weight") else drawn
        if name in ("out.weight", "norm2.weight", "head.weight"):
            weights[name] *= far
    return weights


def _found(made, oracle, dtype, name):
    """The learner's new module, found to have the parameters that the oracle has."""
    shapes = {key: tuple(parameter.shape) for key, parameter in oracle.named_parameters()}
    return assert_state(made, shapes, dtype=dtype, name=name)


def _pairs(solution, size, dtype=torch.float64):
    """The learner's attention, block and forecaster, each with its oracle."""
    _, _, _, features, heads, depth, hidden, blocks, horizon = size
    width = heads * depth
    for name, oracle, sizes in (
        ("MultiHeadAttention", Attention, (width, heads)),
        ("EncoderBlock", Block, (width, heads, hidden)),
        ("Forecaster", Oracle, (features, width, heads, hidden, blocks, horizon)),
    ):
        right = oracle(*sizes)
        yield _found(getattr(solution, name)(*sizes, dtype=dtype), right, dtype, name), right


def _models(solution, rng, size, far=1.0):
    """The same in float64, each with weights that its oracle has too."""
    for pair in _pairs(solution, size):
        weights = _weights(rng, pair[1], far)
        yield tuple(load_state(module, weights) for module in pair)


def _inputs(rng, size, far=1.0):
    """What attention, a block and the forecaster are given."""
    count, steps, length, features, heads, depth, *_ = size
    x, memory = (far * normal(rng, count, n, heads * depth) for n in (steps, length))
    return {"x": x, "memory": memory}, {"x": 2 * x + 1}, {"series": far * normal(rng, count, steps, features)}


def _cases(*sizes):
    """Each size with numbers of order one, and the first with far ones too."""
    return [*((size, 1.0) for size in sizes), (sizes[0], FAR)]


def _look(layer):
    """What attention gives, the weights first, since y is made of them."""
    return lambda x, memory: assert_parts(layer(x, memory), ("y", "weights"), name="MultiHeadAttention.forward")[::-1]


def _rates(solution, steps, warmup, peak):
    rates = solution.learning_rates(steps, warmup, peak)
    assert isinstance(rates, list), "learning_rates must return a list"
    assert_that(
        len(rates) == steps, "learning_rates must return {steps} rates, found {found}", steps=steps, found=len(rates)
    )
    assert all(isinstance(rate, float) for rate in rates), "learning_rates must return Python floats"
    return rates


@pytest.mark.shape
def test_shapes(solution, rng):
    """Every result has the stated shape and dtype, for one series and for several, and depends on the input"""
    for index, size in enumerate(SIZES):
        count, steps, length, _, heads, depth, *_, horizon = size
        width, dtype = heads * depth, (torch.float32, torch.float64)[index % 2]
        positions = solution.positional_encoding(steps, 2 * width, dtype=dtype)
        assert_shape(positions, (steps, 2 * width), dtype=dtype, name="positions")
        shapes = {"y": (count, steps, width), "weights": (count, heads, steps, length)}
        shapes |= {"block": (count, steps, width), "forecast": (count, horizon)}
        (layer, _), (block, _), (model, _) = _pairs(solution, size, dtype)
        seen = []
        for _ in range(2):
            looks, passes, (series,) = ([value.to(dtype) for value in each.values()] for each in _inputs(rng, size))
            weights, y = _look(layer)(*looks)
            seen.append({"y": y, "weights": weights, "block": block(*passes), "forecast": model(series)})
        for name, shape in shapes.items():
            value, other = (each[name] for each in seen)
            assert_shape(value, shape, dtype=dtype, name=name)
            differs = steps == 1 or (value != other).any()  # a width of two, normalised, has two values at most
            assert_that(differs, "two different inputs give the same {name}", name=name)
    for name, arguments in (("EncoderBlock", (4, 2, 5)), ("Forecaster", (3, 4, 2, 5, 1, 2))):
        right = {"EncoderBlock": Block, "Forecaster": Oracle}[name](*arguments)
        _found(getattr(solution, name)(*arguments), right, torch.float32, text("{name} without a dtype", name=name))
    name = text("{name} without a dtype", name="positions")
    assert_shape(solution.positional_encoding(3, 4), (3, 4), dtype=torch.float32, name=name)


@pytest.mark.value
def test_positions(solution):
    """Positions are sines and cosines side by side, each pair slower than the one before it, from step 0 on"""
    for steps, width in ((300, 10), (40, 16), (9, 2), (1, 4), (5, 6), (5001, 4)):
        positions = solution.positional_encoding(steps, width, dtype=torch.float64)
        assert_shape(positions, (steps, width), dtype=torch.float64, name="positions")
        expected = _waves(steps, width)
        help = "step 0 has the angle 0 in every pair: 0, 1, 0, 1, ... Do sine and cosine alternate?"
        assert_close(positions[0], expected[0], tol=TOL, name="positions of step 0", help=help)
        help = "pair i has the angle t / 10000 ** (2i / E); and is it computed in float64 where float64 is asked for?"
        assert_close(positions, expected, tol=TOL, name="positions", help=help)
        narrow = solution.positional_encoding(min(steps, 9), width, dtype=torch.float32)
        assert_close(narrow, expected[:9].float(), tol=1e-5, name="positions in float32", help=help)


@pytest.mark.value
def test_attention(solution, rng):
    """With given weights, attention equals torch's: on a memory of another length, on itself, and for large scores"""
    help = (
        "for the weights: x asks, the memory answers, the root of the numbers in a head, the softmax over the memory; "
        "for y: the memory's values, the heads side by side, then `out`"
    )
    options = {"gradients": False, "tol": TOL, "name": ("weights", "y"), "help": help}
    for size, far in _cases(*SIZES, MANY, LONG):
        models, given = next(_models(solution, rng, size, far)), _inputs(rng, size)[0]
        layer, oracle = map(_look, models)
        assert_agrees(layer, oracle, given, rng, modules=models, **options)
        assert_agrees(layer, oracle, given | {"memory": given["x"]}, rng, modules=models, **options)
        assert_agrees(layer, oracle, given | {"x": 1000 * given["x"]}, rng, modules=models, **options)


@pytest.mark.value
def test_block(solution, rng):
    """With given weights, a block is torch's own encoder layer"""
    help = "each sum first, its norm then; the second sum starts from what norm1 gave; a ReLU between up and down"
    for size, far in _cases(*SIZES, MANY, LONG):
        _, models, _ = _models(solution, rng, size, far)
        given = _inputs(rng, size, far)[1]
        assert_agrees(*models, given, rng, modules=models, gradients=False, tol=TOL, name="block", help=help)


@pytest.mark.value
def test_forecasts_with_given_weights(solution, rng):
    """With given weights, forecasts of series of any length are those of torch's encoder layers on numbers and positions"""
    help = "positions in the dtype of x, once, row t to step t, whatever T is; all blocks in order; the head reads the last"
    for size, far in _cases(*SIZES, MANY, LONG, VERY_LONG):
        *_, models = _models(solution, rng, size, far)
        given, tol = _inputs(rng, size, far)[2], TOL if size in (LONG, VERY_LONG) else EXACT
        assert_agrees(*models, given, rng, modules=models, gradients=False, tol=tol, name="forecast", help=help)


@pytest.mark.value
def test_learning_rates(solution, rng):
    """Learning rates climb to the peak in a straight line, and go down in another that ends above zero"""
    for steps, warmup in ((9, 3), (5, 1), (4, 4), (1, 1), (20, 7), (5001, 1200)):
        up, down = np.arange(1, warmup + 1) / warmup, np.arange(steps - warmup, 0, -1) / (steps + 1 - warmup)
        help = text("the first of {steps} is peak / {warmup}, number {warmup} the peak", steps=steps, warmup=warmup)
        for peak in (*rng.uniform(0.001, 3.0, 2).tolist(), FAR, 0.0):
            rates = np.array(_rates(solution, steps, warmup, peak))
            assert_close(rates, peak * np.concatenate([up, down]), tol=TOL, name="rates", help=help)


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients are right: by who asks and who answers, by every step of a series, and by every parameter"""
    help = "nothing may cut the graph: no detach, no .data, no .item(), no new tensor made from old numbers"
    for size, far in _cases(*SIZES[:3], SIZES[-1], BACK):
        pairs, given = _models(solution, rng, size), _inputs(rng, size, far)
        for models, inputs, name in zip(pairs, given, (("weights", "y"), "block", "forecast"), strict=True):
            learner, oracle = map(_look, models) if "memory" in inputs else models
            options = {"modules": models, "parameters": _names(models[1]), "name": name, "help": help}
            assert_agrees(learner, oracle, inputs, rng, **options)


@pytest.mark.gradient
def test_training_steps(solution, rng):
    """From given weights, batches and rates, the losses of a dozen steps are the right ones, and so are all weights then"""
    help = "the mean over all values, before each update; gradients cleared; one Adam; the rate of each step"
    # series, steps of training, and rows of a batch
    for size, count, steps, rows in (
        (SIZES[0], 8, 12, 5),
        (SIZES[2], 7, 12, 4),
        (SIZES[-1], 1, 1, 3),
        (LONG, 1101, 1, 1),
    ):
        *_, (model, oracle) = _models(solution, rng, size)
        series, targets = normal(rng, count, size[1], size[3]), 10 * normal(rng, count, size[-1])
        batches = torch.from_numpy(rng.integers(0, count, (rows, steps))).T
        batches[:, -1] = batches[:, 0]  # a batch may name a row twice, which then counts twice
        rates = [float(rate) for rate in rng.uniform(0.01, 0.03, steps)]
        rates[4:5] = [0.0][: steps - 4]
        model.train(rows != 4)
        losses = solution.fit(model, series, targets, batches, rates)
        assert isinstance(losses, list), "fit must return a list"
        assert all(isinstance(loss, float) for loss in losses), "fit must return Python floats, not tensors"
        adam = torch.optim.Adam(oracle.parameters())

        def truth(oracle=oracle, adam=adam, series=series, targets=targets, batches=batches, rates=rates):
            for rows, rate in zip(batches, rates, strict=True):
                adam.param_groups[0]["lr"] = rate
                yield F.mse_loss(oracle(series[rows]), targets[rows])

        options = {"parameters": _names(oracle), "weights_tol": 1e-6, "help": help}
        assert_trained(losses, model, oracle, truth(), adam, **options)


@pytest.mark.behaviour
def test_place_and_content(solution, rng):
    """Attention and blocks are blind to order, a forecast is not, and it hears what stands at every step"""
    for size in SIZES[:-1]:
        _, steps, length, *_ = size
        (layer, _), (block, _), (model, _) = _models(solution, rng, size)
        (x, memory), _, (series,) = (each.values() for each in _inputs(rng, size))
        order, other = torch.arange(steps).roll(1), torch.arange(length).roll(1)
        help = "nothing in attention or a block may know where a step stands: no arange, no mask, no recurrence"
        weights, y = _look(layer)(x, memory)
        found = *_look(layer)(x[:, order], memory[:, other]), block(x[:, order])
        expected = weights[:, :, order][:, :, :, other], y[:, order], block(x)[:, order]
        for name, value, want in zip(("weights", "y", "block"), found, expected, strict=True):
            said = text("{name} of steps in another order", name=name)
            assert_close(value, want, tol=TOL, name=said, help=help)

        forecast = model(series)
        swapped = torch.cat([series[:, 1:-1], series[:, :1], series[:, -1:]], 1)  # the last step stays the last one
        moved = (model(swapped) - forecast).abs().amax(1) > 1e-6
        assert moved.all(), "steps in another order give the same forecast: where did the positions go?"
        for step in range(steps):
            changed = series.clone()
            changed[:, step] += 1
            heard = (model(changed) - forecast).abs().amax(1) > 1e-9
            assert_that(
                heard.all(), "what stands at step {step} of {steps} changes no forecast", step=step, steps=steps
            )


@pytest.mark.behaviour
def test_calls_leave_no_trace(solution, rng, mutated):
    """No forecast minds its neighbours or earlier calls, and no call changes its arguments"""
    for size in SIZES:
        count, horizon = size[0], size[-1]
        (layer, _), (block, _), (model, oracle) = _models(solution, rng, size)
        looks, passes, (series,) = (each.values() for each in _inputs(rng, size))
        before, longer = state_of(oracle, _names(oracle)), torch.cat([series, series, series], dim=1)
        forecast, further = model(series), model(longer)
        help = "series of another length were read before: what was kept from that call?"
        assert_close(model(series), forecast, tol=SAME, name="the same call made again", help=help)
        *_, (fresh, _) = _pairs(solution, size)
        expected = load_state(fresh, before)(longer)
        assert_close(further, expected, tol=SAME, name="forecast of longer series after shorter ones", help=help)
        help = "a forecast depends on its own series alone: what is axis 0, and what is axis 1?"
        for rows in [torch.tensor([n]) for n in range(count)] + [torch.from_numpy(rng.permutation(count))]:
            assert_close(model(series[rows]), forecast[rows], tol=SAME, name="forecast in another batch", help=help)
        layer(*looks), block(*passes)
        for name, value in state_of(model, before).items():
            assert_close(value, before[name], tol=SAME, name=text("{name} after the calls", name=name))
        batches = torch.from_numpy(rng.integers(0, count, (2, 3)))
        solution.fit(model, series, normal(rng, count, horizon), batches, [0.01, 0.02])
    assert_unchanged(mutated, but=["model of fit"])


def _weeks(rng, count):
    """Seven independent values each; the last step announces in numbers 1 to 7 which day tomorrow repeats."""
    values, lag = rng.normal(size=(count, DAYS)), rng.integers(1, DAYS + 1, count)
    series = np.zeros((count, DAYS, 1 + DAYS))
    series[:, :, 0] = values
    series[np.arange(count), -1, lag] = 1
    tomorrow = values[np.arange(count), DAYS - lag]
    return torch.from_numpy(series).float(), torch.from_numpy(tomorrow[:, None]).float(), lag


def _first_weights(rng, module):
    """Matrices uniform between -1 / sqrt(fan-in) and 1 / sqrt(fan-in), norms that change nothing, biases of zero."""
    weights = {}
    for name, parameter in module.named_parameters():
        shape = parameter.shape
        matrix = torch.from_numpy(rng.uniform(-1, 1, shape) / shape[-1] ** 0.5)
        weights[name] = matrix if len(shape) == 2 else torch.full(shape, float("norm" in name and "weight" in name))
    return weights


@pytest.mark.convergence
def test_tomorrow_repeats_a_day(solution, rng, record):
    """Told which day of the week tomorrow repeats, it finds that day, for which place and content must meet"""
    series, targets, _ = _weeks(rng, POOL)
    size = (BATCH, DAYS, DAYS, 1 + DAYS, HEADS, WIDTH // HEADS, HIDDEN, 1, 1)
    *_, (model, oracle) = _pairs(solution, size, torch.float32)
    load_state(model, _first_weights(rng, oracle))
    batches = torch.from_numpy(rng.integers(0, POOL, (STEPS, BATCH)))
    losses = solution.fit(model, series, targets, batches, _rates(solution, STEPS, WARMUP, PEAK))
    record.curve("squared error while training, beside that of the week's mean", losses, baseline=1 - 1 / DAYS)

    series, targets, lag = _weeks(rng, HELD_OUT)
    with torch.no_grad():
        forecast = model(series)
        x = model.embed(series) + solution.positional_encoding(DAYS, WIDTH)
        weights = _look(model.blocks[0].attention)(x, x)[0][:, :, -1]
    ago = [str(-n) for n in range(DAYS - 1, -1, -1)]
    names = (
        "where the first head looks (columns), for each day that is announced (rows)",
        "where the second head looks (columns), for each day that is announced (rows)",
    )
    for head, name in enumerate(names):
        looks = np.stack([weights[lag == n + 1, head].double().mean(0).numpy() for n in range(DAYS - 1, -1, -1)])
        record.matrix(name, looks, ago)
    told = (f"{ago[DAYS - lag[n]]}: {targets[n].item():+.2f} → {forecast[n].item():+.2f}" for n in range(8))
    record.text("new weeks: the announced day, its value → your forecast", "\n".join(told))
    explained = 1 - ((forecast - targets).square().mean() / targets.square().mean()).item()
    help = "do positions reach the blocks, does attention find the day, do the rates rise before they fall?"
    assert_beats(explained, BAR, name="share of the variance explained", help=help)
