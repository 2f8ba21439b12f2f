"""The suite of kata 11: a transformer beside torch's own, and weeks in which place and content both count."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from grader.checks import (
    assert_beats,
    assert_close,
    assert_gradients,
    assert_parts,
    assert_shape,
    assert_state,
    assert_trajectory,
    assert_unchanged,
    load_state,
    state_of,
    tensors_of,
)

# N series of T steps, S steps of memory, D features, H heads of E / H numbers each, M hidden units, blocks, K values.
SIZES = [
    (4, 3, 7, 5, 2, 4, 11, 2, 6),
    (1, 5, 4, 2, 3, 2, 9, 1, 7),
    (3, 6, 2, 4, 5, 2, 7, 3, 1),
    (2, 8, 5, 3, 1, 6, 10, 1, 4),
    (5, 4, 3, 1, 4, 3, 8, 2, 2),
]
SMALL = (2, 3, 4, 2, 2, 2, 5, 1, 3)
# The second has no block, since attention over so many steps takes its square.
LONG = (
    (1, 1100, 2, 3, 1, 2, 4, 1, 5),
    (1, 5001, 2, 3, 1, 2, 4, 0, 5),
)  # longer than any table of positions that somebody may have made for good
TOL, SAME = 1e-9, 1e-9
EXACT = 1e-11  # of forecasts: waves that were rounded to float32 on their way into float64 are seen
PROJECTIONS, ENDS = ("query", "key", "value"), ("weight", "bias")

DAYS, POOL, HELD_OUT = 7, 2000, 1000
WIDTH, HEADS, HIDDEN, STEPS, WARMUP, BATCH, PEAK = 32, 2, 64, 180, 30, 48, 0.02
BAR = 0.65  # mid-way between what can be explained without positions, 2/7, and the 99 % of a right solution


def _normal(rng, *shape):
    """Standard normal float64 numbers, laid out column by column, so never contiguous beyond one axis."""
    return torch.from_numpy(rng.normal(size=shape[::-1])).permute(*reversed(range(len(shape))))


def _linear_shapes(**layers):
    return {f"{name}.{end}": size[: 2 - (end == "bias")] for name, size in layers.items() for end in ENDS}


def _attention_shapes(width):
    return _linear_shapes(**dict.fromkeys((*PROJECTIONS, "out"), (width, width)))


def _block_shapes(width, hidden):
    shapes = {f"attention.{name}": shape for name, shape in _attention_shapes(width).items()}
    shapes |= {f"{norm}.{end}": (width,) for norm in ("norm1", "norm2") for end in ENDS}
    return shapes | _linear_shapes(up=(hidden, width), down=(width, hidden))


def _model_shapes(size):
    _, _, _, features, heads, depth, hidden, blocks, horizon = size
    width = heads * depth
    shapes = _linear_shapes(embed=(width, features), head=(horizon, width))
    for block in range(blocks):
        shapes |= {f"blocks.{block}.{name}": shape for name, shape in _block_shapes(width, hidden).items()}
    return shapes


def _weights(rng, shapes):
    """Matrices ~ 1 / sqrt(fan-in), no bias is zero, no norm's weight is one."""
    weights = {}
    for name, shape in shapes.items():
        drawn = _normal(rng, *shape) * (shape[1] ** -0.5 if len(shape) == 2 else 0.5)
        weights[name] = drawn + 1 if "norm" in name and name.endswith("weight") else drawn
    return weights


def _make(solution, size, dtype):
    _, _, _, features, heads, depth, hidden, blocks, horizon = size
    model = solution.Forecaster(features, heads * depth, heads, hidden, blocks, horizon, dtype=dtype)
    return assert_state(model, _model_shapes(size), dtype=dtype, name="Forecaster")


def _make_attention(solution, width, heads, dtype):
    layer = solution.MultiHeadAttention(width, heads, dtype=dtype)
    return assert_state(layer, _attention_shapes(width), dtype=dtype, name="MultiHeadAttention")


def _make_block(solution, width, heads, hidden, dtype):
    block = solution.EncoderBlock(width, heads, hidden, dtype=dtype)
    return assert_state(block, _block_shapes(width, hidden), dtype=dtype, name="EncoderBlock")


def _model(solution, rng, size):
    """The learner's forecaster in float64 with given weights, and those weights."""
    weights = _weights(rng, _model_shapes(size))
    return load_state(_make(solution, size, torch.float64), weights), weights


def _attention(solution, rng, heads, depth):
    """The learner's attention in float64 with given weights, and torch's own with the same."""
    layer = _make_attention(solution, heads * depth, heads, torch.float64)
    weights = _weights(rng, _attention_shapes(heads * depth))
    return load_state(layer, weights), _torch_attention(weights, heads)


def _block(solution, rng, heads, depth, hidden):
    """The learner's block in float64 with given weights, and torch's own with the same."""
    block = _make_block(solution, heads * depth, heads, hidden, torch.float64)
    weights = _weights(rng, _block_shapes(heads * depth, hidden))
    return load_state(block, weights), _torch_block(weights, heads)


def _joined(weights):
    """The weights of an attention layer under torch's names."""
    joined = {f"in_proj_{end}": torch.cat([weights[f"{name}.{end}"] for name in PROJECTIONS]) for end in ENDS}
    return joined | {f"out_proj.{end}": weights[f"out.{end}"] for end in ENDS}


def _torch_attention(weights, heads):
    layer = nn.MultiheadAttention(len(weights["out.bias"]), heads, batch_first=True, dtype=torch.float64)
    layer.load_state_dict(_joined(weights))
    return layer


def _torch_block(weights, heads):
    """Torch's encoder layer as it is unless told otherwise: the norms behind the sums, a ReLU."""
    own = {name.removeprefix("attention."): value for name, value in weights.items() if name.startswith("attention.")}
    named = {f"self_attn.{name}": value for name, value in _joined(own).items()}
    for ours, theirs in (("norm1", "norm1"), ("norm2", "norm2"), ("up", "linear1"), ("down", "linear2")):
        named |= {f"{theirs}.{end}": weights[f"{ours}.{end}"] for end in ENDS}
    width, hidden = weights["down.weight"].shape
    layer = nn.TransformerEncoderLayer(width, heads, hidden, 0.0, batch_first=True, dtype=torch.float64)
    layer.load_state_dict(named)
    return layer  # in training mode, where torch takes no short cut


def _waves(steps, width):
    """The positions, number by number."""
    rows = []
    for t in range(steps):
        angles = [t / 10000 ** (2 * i / width) for i in range(width // 2)]
        rows.append([value for angle in angles for value in (math.sin(angle), math.cos(angle))])
    return torch.tensor(rows, dtype=torch.float64)


class _Oracle(nn.Module):
    """The same network of torch's own parts."""

    def __init__(self, weights, size):
        super().__init__()
        _, _, _, features, heads, depth, _, blocks, horizon = size
        self.embed = nn.Linear(features, heads * depth, dtype=torch.float64)
        self.head = nn.Linear(heads * depth, horizon, dtype=torch.float64)
        for name in ("embed", "head"):
            getattr(self, name).load_state_dict({end: weights[f"{name}.{end}"] for end in ENDS})
        prefixes = [f"blocks.{block}." for block in range(blocks)]
        own = [{n.removeprefix(p): value for n, value in weights.items() if n.startswith(p)} for p in prefixes]
        self.blocks = nn.ModuleList(_torch_block(part, heads) for part in own)

    def forward(self, series):
        x = self.embed(series)
        x = x + _waves(*x.shape[1:])
        for block in self.blocks:
            x = block(x)
        return self.head(x[:, -1])


def _named(oracle):
    """The parameters of an oracle and their gradients, as the statement calls them; torch joins three projections."""
    named = {f"{name}.{end}": getattr(getattr(oracle, name), end) for name in ("embed", "head") for end in ENDS}
    for number, block in enumerate(oracle.blocks):
        layers = {"norm1": block.norm1, "norm2": block.norm2, "up": block.linear1, "down": block.linear2}
        layers["attention.out"] = block.self_attn.out_proj
        for name, layer in layers.items():
            named |= {f"blocks.{number}.{name}.{end}": getattr(layer, end) for end in ENDS}
        for end in ENDS:
            joined = getattr(block.self_attn, f"in_proj_{end}")
            for name, part, slope in zip(PROJECTIONS, joined.detach().chunk(3), joined.grad.chunk(3), strict=True):
                part.grad = slope
                named[f"blocks.{number}.attention.{name}.{end}"] = part
    return named


def _look(layer, x, memory, heads):
    """(y, weights) of the learner's attention, both of the right form."""
    result = layer(x, memory)
    y, weights = assert_parts(result, ("y", "weights"), name="MultiHeadAttention.forward")
    assert_shape(y, tuple(x.shape), dtype=x.dtype, name="y")
    help = "one matrix for each head: who asks in the rows, who answers in the columns"
    size = len(x), heads, x.shape[1], memory.shape[1]
    assert_shape(weights, size, dtype=x.dtype, name="weights of attention", help=help)
    return y, weights


def _through(block, x):
    y = block(x)
    assert_shape(y, tuple(x.shape), dtype=x.dtype, name="the result of a block")
    return y


def _forecast(model, series):
    forecast = model(series)
    size = len(series), len(tensors_of(model, ["head.bias"])["head.bias"])
    assert_shape(forecast, size, dtype=series.dtype, name="forecast", help="one row per series, from one step of it")
    return forecast


def _fit(solution, model, series, targets, batches, rates):
    losses = solution.fit(model, series, targets, batches, rates)
    assert isinstance(losses, list) and len(losses) == len(batches), "fit must return a list with one loss per step"
    assert all(isinstance(loss, float) for loss in losses), "fit must return Python floats, not tensors"
    return losses


def _rates(solution, steps, warmup, peak):
    rates = solution.learning_rates(steps, warmup, peak)
    assert isinstance(rates, list) and len(rates) == steps, f"learning_rates must return a list, here of {steps} rates"
    assert all(isinstance(rate, float) for rate in rates), "learning_rates must return Python floats"
    return rates


@pytest.mark.shape
def test_shapes(solution, rng):
    """Every result has the stated shape and dtype, for one series and for several, and depends on the input"""
    for index, size in enumerate(SIZES):
        count, steps, memory, features, heads, depth, hidden, _, horizon = size
        width, dtype = heads * depth, (torch.float32, torch.float64)[index % 2]
        even = 2 * width
        positions = solution.positional_encoding(steps, even, dtype=dtype)
        assert_shape(positions, (steps, even), dtype=dtype, name="positions")
        layer = _make_attention(solution, width, heads, dtype)
        block = _make_block(solution, width, heads, hidden, dtype)
        model = _make(solution, size, dtype)
        seen = []
        for _ in range(2):
            x, others = (_normal(rng, count, n, width).to(dtype) for n in (steps, memory))
            series = _normal(rng, count, steps, features).to(dtype)
            seen.append((*_look(layer, x, others, heads), _through(block, x), _forecast(model, series)))
            _forecast(model, series[:, :1])
        different = all((a != b).any() for a, b in zip(*seen, strict=True))
        assert different, "two different inputs give the same result"
        batches, rates = torch.zeros(3, 2, dtype=torch.int64), _rates(solution, 3, 2, 0.01)
        _fit(solution, model, series, _normal(rng, count, horizon).to(dtype), batches, rates)
    block = _block_shapes(4, 5)
    assert_state(solution.EncoderBlock(4, 2, 5), block, dtype=torch.float32, name="EncoderBlock without a dtype")
    whole = _model_shapes((1, 1, 1, 3, 2, 2, 5, 1, 2))
    made = solution.Forecaster(3, 4, 2, 5, 1, 2)
    assert_state(made, whole, dtype=torch.float32, name="Forecaster without a dtype")
    assert_shape(solution.positional_encoding(3, 4), (3, 4), dtype=torch.float32, name="positions without a dtype")


@pytest.mark.value
def test_positions(solution):
    """Positions are sines and cosines side by side, each pair slower than the one before it, from step 0 on"""
    for steps, width in ((300, 10), (40, 16), (9, 2), (1, 4), (5, 6)):
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
    for count, steps, length, _, heads, depth, *_ in SIZES:
        layer, oracle = _attention(solution, rng, heads, depth)
        x, memory = _normal(rng, count, steps, heads * depth), _normal(rng, count, length, heads * depth)
        for asks, answers, what in (
            (x, memory, "on a memory"),
            (x, x, "on itself"),
            (1000 * x, memory, "at large scores"),
        ):
            with torch.no_grad():
                expected = oracle(asks, answers, answers, average_attn_weights=False)
            y, weights = _look(layer, asks, answers, heads)
            help = "x asks and the memory answers; the root of the numbers in a head; the softmax over the memory"
            assert_close(weights, expected[1], tol=TOL, name=f"weights {what}", help=help)
            help = "the weights are right: the values are the memory's; the heads lie side by side; then `out`"
            assert_close(y, expected[0], tol=TOL, name=f"y {what}", help=help)


@pytest.mark.value
def test_block(solution, rng):
    """With given weights, a block is torch's own encoder layer"""
    for count, steps, _, _, heads, depth, hidden, _, _ in SIZES:
        block, oracle = _block(solution, rng, heads, depth, hidden)
        x = 2 * _normal(rng, count, steps, heads * depth) + 1
        help = "each sum first, its norm then; the second sum starts from what norm1 gave; a ReLU between up and down"
        expected = oracle(x).detach()
        assert_close(_through(block, x), expected, tol=TOL, name="the result of a block", help=help)


@pytest.mark.value
def test_forecasts_with_given_weights(solution, rng):
    """With given weights, forecasts are those of torch's encoder layers on numbers and positions"""
    for size in SIZES:
        model, weights = _model(solution, rng, size)
        series = _normal(rng, size[0], size[1], size[3])
        expected = _Oracle(weights, size)(series).detach()
        help = "positions in the dtype of x, once, row t to step t; all blocks in order; the head reads the last step, bare"
        assert_close(_forecast(model, series), expected, tol=EXACT, name="forecast", help=help)
    for size in LONG:
        model, weights = _model(solution, rng, size)
        series = _normal(rng, *size[:2], size[3])
        with torch.no_grad():
            expected, found = _Oracle(weights, size)(series), _forecast(model, series)
        help = f"a series of {size[1]} steps: T has no upper bound, so no table of positions is long enough"
        assert_close(found, expected, tol=TOL, name="forecast of a long series", help=help)


@pytest.mark.value
def test_learning_rates(solution, rng):
    """Learning rates climb to the peak in a straight line, and go down in another that ends above zero"""
    cases = (9, 3), (5, 1), (4, 4), (1, 1), (20, 7)
    for (steps, warmup), peak in zip(cases, rng.uniform(0.001, 3.0, 5).tolist(), strict=True):
        up, down = np.arange(1, warmup + 1) / warmup, np.arange(steps - warmup, 0, -1) / (steps + 1 - warmup)
        rates = _rates(solution, steps, warmup, peak)
        help = f"steps {steps}, warmup {warmup}: the first is peak / {warmup}, and number {warmup} is the peak itself"
        assert_close(np.array(rates), peak * np.concatenate([up, down]), tol=1e-6, name="rates", help=help)


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients are right: by who asks and who answers, by the series, and by every parameter"""
    count, steps, length, features, heads, depth, hidden, _, _ = SMALL
    help = "nothing may cut the graph: no detach, no .data, no .item(), no new tensor made from old numbers"
    layer, oracle = _attention(solution, rng, heads, depth)
    x, memory = _normal(rng, count, steps, heads * depth), _normal(rng, count, length, heads * depth)

    def look(x, memory):
        return _look(layer, x, memory, heads)

    with torch.no_grad():
        assert_close(look(x, memory)[0], oracle(x, memory, memory)[0], name="y")
    inputs, parameters = {"x": x, "memory": memory}, tensors_of(layer, _attention_shapes(heads * depth))
    assert_gradients(look, inputs, rng, parameters=parameters, name="gradient of attention", help=help)

    block, oracle = _block(solution, rng, heads, depth, hidden)
    upstream, x = _normal(rng, count, steps, heads * depth), x.contiguous().requires_grad_()
    expected = torch.autograd.grad((oracle(x) * upstream).sum(), x)[0]
    found = torch.autograd.grad((_through(block, x) * upstream).sum(), x)[0]
    assert_close(found, expected, name="gradient of a block by x", help="through both sums and both norms")

    model, weights = _model(solution, rng, SMALL)
    oracle, series = _Oracle(weights, SMALL), _normal(rng, count, steps, features).requires_grad_()
    upstream = _normal(rng, count, SMALL[-1])
    expected = torch.autograd.grad((oracle(series) * upstream).sum(), series)[0]
    (_forecast(model, series) * upstream).sum().backward()
    help = "a forecast hears every step of its series"
    assert_close(series.grad, expected, name="gradient of the forecast by the series", help=help)
    (oracle(series.detach()) * upstream).sum().backward()
    wanted = _named(oracle)
    for name, parameter in tensors_of(model, weights).items():
        found = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        assert_close(found, wanted[name].grad, name=f"gradient of the forecast by {name}", help="is it used, and once?")


@pytest.mark.gradient
def test_three_training_steps(solution, rng):
    """From given weights, batches and rates, the first three losses are the right ones, and so are all weights then"""
    for size in SIZES:
        model, weights = _model(solution, rng, size)
        count = size[0] + 4
        series, targets = _normal(rng, count, size[1], size[3]), _normal(rng, count, size[-1])
        batches = torch.from_numpy(rng.integers(0, count, (3, size[0] + 1)))
        rates = [float(rate) for rate in rng.uniform(0.01, 0.03, 3) * [1, 2, 0.5]]
        losses = _fit(solution, model, series, targets, batches, rates)
        oracle, expected = _Oracle(weights, size), []
        adam = torch.optim.Adam(oracle.parameters())
        for rows, rate in zip(batches, rates, strict=True):
            loss = F.mse_loss(oracle(series[rows]), targets[rows])
            adam.param_groups[0]["lr"] = rate
            adam.zero_grad()
            loss.backward()
            adam.step()
            expected.append(loss.item())
        help = "the mean over all values, before each update; gradients cleared; one Adam; the rate of each step"
        assert_trajectory(losses, expected, name="squared error", help=help)
        help = "the losses agree: look at the third update, and at whether everything moves"
        found, wanted = _forecast(model, series).detach(), oracle(series).detach()
        assert_close(found, wanted, name="forecast after three steps", help=help)
        trained = _named(oracle)
        for name, value in state_of(model, weights).items():
            assert_close(value, trained[name].detach(), name=f"{name} after three steps", help=help)


@pytest.mark.behaviour
def test_place_and_content(solution, rng):
    """Attention and blocks are blind to order, a forecast is not, and it hears what stands at every step"""
    for size in SIZES:
        count, steps, length, features, heads, depth, hidden, _, _ = size
        (layer, _), (block, _) = _attention(solution, rng, heads, depth), _block(solution, rng, heads, depth, hidden)
        x, memory = _normal(rng, count, steps, heads * depth), _normal(rng, count, length, heads * depth)
        order, other = torch.arange(steps).roll(1), torch.arange(length).roll(1)
        help = "nothing in attention or a block may know where a step stands: no arange, no mask, no recurrence"
        y, weights = _look(layer, x, memory, heads)
        new_y, new_weights = _look(layer, x[:, order], memory[:, other], heads)
        assert_close(new_y, y[:, order], tol=TOL, name="attention of steps in another order", help=help)
        expected = weights[:, :, order][:, :, :, other]
        assert_close(new_weights, expected, tol=TOL, name="weights of steps in another order", help=help)
        new_y = _through(block, x[:, order])
        expected = _through(block, x)[:, order]
        assert_close(new_y, expected, tol=TOL, name="block of steps in another order", help=help)

        model, _ = _model(solution, rng, size)
        series = _normal(rng, count, steps, features)
        forecast = _forecast(model, series)
        swapped = torch.cat([series[:, 1:-1], series[:, :1], series[:, -1:]], 1)  # the last step stays the last one
        moved = (_forecast(model, swapped) - forecast).abs().amax(1) > 1e-6
        assert moved.all(), "steps in another order give the same forecast: where did the positions go?"
        for step in range(steps):
            changed = series.clone()
            changed[:, step] += 1
            heard = (_forecast(model, changed) - forecast).abs().amax(1) > 1e-9
            assert heard.all(), f"what stands at step {step} of {steps} changes no forecast"


@pytest.mark.behaviour
def test_calls_leave_no_trace(solution, rng, mutated):
    """No forecast minds its neighbours, earlier calls or the mode, and no call changes its arguments"""
    for size in SIZES:
        count, steps, length, features, heads, depth, hidden, _, horizon = size
        model, weights = _model(solution, rng, size)
        series, longer = _normal(rng, count, steps, features), _normal(rng, count, steps + 3, features)
        forecast, further = _forecast(model, series), _forecast(model, longer)
        help = "series of another length were read before: what was kept from that call?"
        assert_close(_forecast(model, series), forecast, tol=SAME, name="the same call made again", help=help)
        fresh = _forecast(load_state(_make(solution, size, torch.float64), weights), longer)
        assert_close(further, fresh, tol=SAME, name="forecast of longer series after shorter ones", help=help)
        help = "a forecast depends on its own series alone: what is axis 0, and what is axis 1?"
        for rows in [torch.tensor([n]) for n in range(count)] + [torch.from_numpy(rng.permutation(count))]:
            got = _forecast(model, series[rows])
            assert_close(got, forecast[rows], tol=SAME, name="forecast in another batch", help=help)
        help = "there is no dropout, so train() and eval() give the same forecast"
        for mode in (model.eval, model.train):
            mode()
            assert_close(_forecast(model, series), forecast, tol=SAME, name="forecast in another mode", help=help)
        (layer, _), (block, _) = _attention(solution, rng, heads, depth), _block(solution, rng, heads, depth, hidden)
        _look(layer, _normal(rng, count, steps, heads * depth), _normal(rng, count, length, heads * depth), heads)
        _through(block, _normal(rng, count, steps, heads * depth))
        for name, value in state_of(model, weights).items():
            assert_close(value, weights[name], tol=SAME, name=f"{name} after the calls")
        batches = torch.from_numpy(rng.integers(0, count, (2, 3)))
        _fit(solution, model, series, _normal(rng, count, horizon), batches, [0.01, 0.02])
    assert_unchanged(mutated, but=["model of fit"])


def _weeks(rng, count):
    """Seven independent values each; the last step announces in numbers 1 to 7 which day tomorrow repeats."""
    values, lag = rng.normal(size=(count, DAYS)), rng.integers(1, DAYS + 1, count)
    series = np.zeros((count, DAYS, 1 + DAYS))
    series[:, :, 0] = values
    series[np.arange(count), -1, lag] = 1
    tomorrow = values[np.arange(count), DAYS - lag]
    return torch.from_numpy(series).float(), torch.from_numpy(tomorrow[:, None]).float(), lag


def _first_weights(rng, shapes):
    """Matrices uniform between -1 / sqrt(fan-in) and 1 / sqrt(fan-in), norms that change nothing, biases of zero."""
    weights = {}
    for name, shape in shapes.items():
        matrix = torch.from_numpy(rng.uniform(-1, 1, shape) / shape[-1] ** 0.5)
        weights[name] = matrix if len(shape) == 2 else torch.full(shape, float("norm" in name and "weight" in name))
    return weights


@pytest.mark.convergence
def test_tomorrow_repeats_a_day(solution, rng, record):
    """Told which day of the week tomorrow repeats, it finds that day, for which place and content must meet"""
    series, targets, _ = _weeks(rng, POOL)
    size = (BATCH, DAYS, DAYS, 1 + DAYS, HEADS, WIDTH // HEADS, HIDDEN, 1, 1)
    model = _make(solution, size, torch.float32)
    load_state(model, _first_weights(rng, _model_shapes(size)))
    batches = torch.from_numpy(rng.integers(0, POOL, (STEPS, BATCH)))
    losses = _fit(solution, model, series, targets, batches, _rates(solution, STEPS, WARMUP, PEAK))
    record.curve("squared error while training, beside that of the week's mean", losses, baseline=1 - 1 / DAYS)

    series, targets, lag = _weeks(rng, HELD_OUT)
    with torch.no_grad():
        forecast = _forecast(model, series)
        x = model.embed(series) + solution.positional_encoding(DAYS, WIDTH)
        weights = _look(model.blocks[0].attention, x, x, HEADS)[1][:, :, -1]
    ago = [f"{n} ago" if n else "today" for n in range(DAYS - 1, -1, -1)]
    for head in range(HEADS):
        looks = np.stack([weights[lag == n + 1, head].double().mean(0).numpy() for n in range(DAYS - 1, -1, -1)])
        record.matrix(f"where head {head + 1} looks (columns), for each day that is announced (rows)", looks, ago)
    told = (f"{ago[DAYS - lag[n]]}: was {targets[n].item():+.2f}, you say {forecast[n].item():+.2f}" for n in range(8))
    record.text("new weeks: the announced day, its value, your forecast", "\n".join(told))
    explained = 1 - ((forecast - targets).square().mean() / targets.square().mean()).item()
    help = "do positions reach the blocks, does attention find the day, do the rates rise before they fall?"
    assert_beats(explained, BAR, name="share of the variance explained", help=help)
