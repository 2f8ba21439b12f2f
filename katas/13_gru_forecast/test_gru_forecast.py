"""The suite of kata 13: honest splits by brute force, a GRU beside torch's own, and thirteen years of real forecasts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from grader.checks import (
    Uniform,
    assert_beats,
    assert_close,
    assert_drawn,
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

# Carbon dioxide in the air over Mauna Loa in ppm: twelve months a year, from January 1965 to December 2001.
TABLE = np.loadtxt(Path(__file__).with_name("mauna_loa_co2.csv"), delimiter=",", skiprows=1)
SERIES = torch.from_numpy(TABLE[:, 1:].flatten())

# Windows, steps read, steps forecast, features and hidden units of each case; all five differ within a case.
SIZES = [(4, 6, 3, 2, 5), (1, 5, 4, 3, 2), (3, 2, 7, 4, 5), (2, 1, 4, 5, 3), (5, 7, 1, 3, 4)]
SMALL = (2, 3, 4, 1, 5)
# Length of the series, steps read, steps forecast, start and stop: first and last windows, gaps, a single window.
SPLITS = [(19, 4, 3, 0, 11), (19, 4, 3, 11, 19), (19, 5, 2, 3, 12), (13, 6, 1, 0, 13), (12, 3, 4, 5, 9)]
SEASONS = [(3, 7, 4, 5), (1, 5, 9, 3), (4, 6, 13, 6), (2, 8, 5, 1), (5, 9, 6, 4), (2, 4, 7, 2)]  # N, T, K, period
WEIGHTS = ("w_ih", "w_hh", "b_ih", "b_hh")
ORACLE = dict(zip(WEIGHTS, ("0.weight_ih_l0", "0.weight_hh_l0", "0.bias_ih_l0", "0.bias_hh_l0"), strict=True))
ORACLE |= {"head.weight": "1.weight", "head.bias": "1.bias"}
TOL = 1e-9  # of scaled series: what was rounded to float32 on its way is seen
SAME = 1e-9  # relative tolerance between two runs of the learner's own code

YEAR, CUT = 12, 288  # months of a year; January 1989, the first month that training never sees
TRAINING_STEPS, BATCH, HIDDEN, LEARNING_RATE, LARGEST_GRADIENT = 60, 24, 20, 0.03, 0.5
# The part of the seasonal naive error (1.65 ppm) that is allowed: right solutions need 0.5, the last value has 1.96.
BAR = 0.75


def _normal(rng, *shape):
    """Standard normal float64 numbers, laid out column by column, so never contiguous beyond one axis."""
    return torch.from_numpy(rng.normal(size=shape[::-1])).permute(*reversed(range(len(shape))))


def _shapes(hidden, features=1):
    gates = 3 * hidden
    cell = dict(zip(WEIGHTS, ((gates, features), (gates, hidden), (gates,), (gates,)), strict=True))
    return cell | {"head.weight": (1, hidden), "head.bias": (1,)}


def _weights(rng, hidden, features=1):
    """Six tensors whose pre-activations are of order one; no bias is zero."""
    shapes = _shapes(hidden, features)
    return {name: _normal(rng, *size) / (size[1] ** 0.5 if len(size) > 1 else 2) for name, size in shapes.items()}


def _gates(weights):
    return [weights[name] for name in WEIGHTS]


def _make(solution, hidden, **options):
    """The learner's new forecaster, found to have the six parameters that the statement names."""
    model = solution.GRUForecaster(hidden, **options)
    return assert_state(model, _shapes(hidden), dtype=options.get("dtype", torch.float32), name="GRUForecaster")


def _model(solution, rng, hidden):
    """The learner's forecaster in float64 with given weights, and those weights."""
    model, weights = _make(solution, hidden, dtype=torch.float64), _weights(rng, hidden)
    return load_state(model, weights), weights


def _scale(solution, series, cut):
    """(scaled, level, unit) of the learner's scale, of the right form; the numbers as tensors."""
    result = solution.scale(series, cut)
    assert_parts(result, ("scaled", "level", "unit"), name="scale")
    assert_shape(result[0], tuple(series.shape), dtype=series.dtype, name="scaled", help="scale past and future alike")
    numbers = [torch.as_tensor(value, dtype=torch.float64) for value in result[1:]]
    for value, name in zip(numbers, ("level", "unit"), strict=True):
        assert_shape(value, (), name=name)
    return result[0], *numbers


def _windows(solution, series, steps, horizon, start, stop):
    """(x, y) of the learner's windows, of the right form."""
    result = solution.windows(series, steps, horizon, start, stop)
    assert_parts(result, "xy", name="windows")
    count = stop - horizon - max(start, steps) + 1
    help = f"L = {len(series)}, steps {steps}, horizon {horizon}, start {start}, stop {stop}: {count} windows fit"
    for value, width, name in zip(result, (steps, horizon), "xy", strict=True):
        assert_shape(value, (count, width), dtype=series.dtype, name=f"{name} of windows", help=help)
    return result


def _naive(solution, x, horizon, period):
    forecast = solution.seasonal_naive(x, horizon, period)
    assert_shape(forecast, (len(x), horizon), dtype=x.dtype, name="forecast of seasonal_naive")
    return forecast


def _step(solution, x, h, weights):
    new = solution.gru_step(x, h, *_gates(weights))
    assert_shape(new, tuple(h.shape), dtype=x.dtype, name="h of gru_step")
    return new


def _run(solution, x, h, weights):
    """(outputs, h) of the learner's gru, both of the right form."""
    result = solution.gru(x, h, *_gates(weights))
    assert_parts(result, ("outputs", "h"), name="gru")
    assert_shape(result[0], (*x.shape[:2], h.shape[1]), dtype=x.dtype, name="outputs of gru")
    assert_shape(result[1], tuple(h.shape), dtype=x.dtype, name="h of gru")
    return result


def _forecast(model, x, horizon):
    forecast = model(x, horizon)
    assert_shape(forecast, (len(x), horizon), dtype=x.dtype, name="forecast")
    return forecast


def _loss(model, x, y):
    loss = model.loss(x, y)
    assert_shape(loss, (), dtype=x.dtype, name="loss", help="one number: the mean over windows and steps alike")
    return loss


def _torch_gru(weights):
    """torch's own GRU with these weights."""
    rows, features = weights["w_ih"].shape
    gru = nn.GRU(features, rows // 3, batch_first=True, dtype=torch.float64)
    gru.load_state_dict({ORACLE[name][2:]: weights[name] for name in WEIGHTS})
    return gru


def _oracle(weights):
    """torch's own GRU and a linear head, with these weights."""
    oracle = nn.ModuleList([_torch_gru(weights), nn.Linear(weights["head.weight"].shape[1], 1, dtype=torch.float64)])
    oracle.load_state_dict({ORACLE[name]: value for name, value in weights.items()})
    return oracle


def _expected_forecast(oracle, x, horizon):
    """The slow way: for each step, read everything from the start, the forecasts so far included."""
    path = x
    for _ in range(horizon):
        outputs, _ = oracle[0]((path - x[:, -1:])[:, :, None])
        path = torch.cat([path, path[:, -1:] + oracle[1](outputs[:, -1])], dim=1)
    return path[:, x.shape[1] :]


@pytest.mark.shape
def test_shapes(solution, rng):
    """Every result has the stated shape and dtype, for one window and for several, and depends on the input."""
    for index, (count, steps, horizon, features, hidden) in enumerate(SIZES):
        dtype = (torch.float32, torch.float64)[index % 2]
        weights = {name: value.to(dtype) for name, value in _weights(rng, hidden, features).items()}
        h, model = _normal(rng, count, hidden).to(dtype), _make(solution, hidden, dtype=dtype)
        series = _normal(rng, 2, steps + horizon + count).to(dtype)
        _scale(solution, series[0], steps + horizon)
        _windows(solution, series[0], steps, horizon, 0, series.shape[1])
        seen = []
        for x in (_normal(rng, count, steps, features).to(dtype), _normal(rng, count, steps, features).to(dtype)):
            results = _step(solution, x[:, 0], h, weights), *_run(solution, x, h, weights)
            past = x[:, :, 0]
            seen.append((*results, _naive(solution, past, horizon, steps), _forecast(model, past, horizon)))
            _loss(model, past, _normal(rng, count, horizon).to(dtype))
        names = "h of gru_step", "outputs of gru", "h of gru", "forecast of seasonal_naive", "forecast"
        for one, other, name in zip(*seen, names, strict=True):
            why = (
                f"here K = {horizon}: are forecasts real numbers, or shares of something?" if name == "forecast" else ""
            )
            assert (one != other).any(), f"two different inputs give the same {name}; {why}".removesuffix("; ")


@pytest.mark.value
def test_scale_fitted_on_the_past(solution, rng):
    """Level and unit come from series[:cut] alone: no value of the future moves them."""
    for length, cut in ((9, 5), (14, 11), (23, 8), (12, 12), (31, 3)):
        series = 20 + 0.5 * torch.arange(length) + _normal(rng, length)
        past = series[:cut].numpy()
        later = series.clone()
        later[cut:] += 50 + _normal(rng, length - cut)
        whole, future = _scale(solution, series, cut), _scale(solution, later, cut)
        for value, other, name in zip(whole[1:], future[1:], ("level", "unit"), strict=True):
            help = f"only values from index {cut} on were changed, cut is {cut}, and this number must not notice"
            assert_close(other, value, tol=SAME, name=f"{name} with another future", help=help)
        level, unit = past.mean(), np.diff(past).std()
        assert_close(whole[1], torch.tensor(level), tol=TOL, name="level", help="the mean of series[:cut]")
        help = f"the standard deviation of the {cut - 1} changes within series[:cut], divided by {cut - 1}"
        assert_close(whole[2], torch.tensor(unit), tol=TOL, name="unit", help=help)
        for value, given in ((whole[0], series), (future[0], later)):
            help = "(series - level) / unit for every value, computed in the dtype of the series or a wider one"
            assert_close(value, (given - level) / unit, tol=TOL, name="scaled", help=help)


@pytest.mark.value
def test_windows_respect_the_split(solution, rng):
    """All targets lie between start and stop, and every window that fits is there; what is read may lie before start."""
    for length, steps, horizon, start, stop in SPLITS:
        fitting = [t for t in range(length) if t >= steps and start <= t and t + horizon <= stop]
        index = torch.tensor([list(range(t - steps, t + horizon)) for t in fitting])
        counting = torch.arange(length, dtype=torch.float64) + int(rng.integers(1, 100))
        for series in (counting, _normal(rng, 2, length)[1]):
            x, y = _windows(solution, series, steps, horizon, start, stop)
            where = f"the series begins {counting[0]:g}, {counting[1]:g}, ...; start stands at {counting[0] + start:g}"
            where = where if series is counting else "the same windows of another series"
            help = f"series[start] is the first target allowed, series[stop] the first forbidden; {where}"
            assert_close(y, series[index[:, steps:]], name="y", help=help)
            assert_close(x, series[index[:, :steps]], name="x", help=f"the values right before the targets; {where}")


@pytest.mark.value
def test_naive_forecasts(solution, rng):
    """The seasonal naive forecast repeats the last season, and with a period of 1 the last value."""
    for count, steps, horizon, period in SEASONS:
        x = _normal(rng, count, steps)
        expected = np.stack([np.resize(row[-period:], horizon) for row in x.numpy()])
        help = f"period {period}, horizon {horizon}: step 0 is what stood {period} before it, and so on"
        assert_close(_naive(solution, x, horizon, period), torch.from_numpy(expected), name="forecast", help=help)


@pytest.mark.value
def test_one_step(solution, rng):
    """One step from any state gives the hidden state of torch's GRUCell."""
    for count, steps, _, features, hidden in SIZES:
        weights, x = _weights(rng, hidden, features), _normal(rng, count, steps, features)
        h = _normal(rng, count, hidden)
        cell = nn.GRUCell(features, hidden, dtype=torch.float64)
        cell.load_state_dict(dict(zip(cell.state_dict(), _gates(weights), strict=True)))
        with torch.no_grad():
            expected = cell(x[:, 0], h)
            saturated = cell(1e4 * x[:, 0], h)
        help = "the order r, z, n; r acts after the product with w_hh and its bias; z says how much of the old h stays"
        assert_close(_step(solution, x[:, 0], h, weights), expected, name="h", help=help)
        help = "small inputs are right; of large ones, exp overflows, and infinity over infinity is NaN"
        assert_close(_step(solution, 1e4 * x[:, 0], h, weights), saturated, name="h after a large input", help=help)


@pytest.mark.value
def test_sequences(solution, rng):
    """Whole sequences give the outputs and the final state of torch's GRU, from any initial state."""
    for count, steps, _, features, hidden in SIZES:
        weights, x = _weights(rng, hidden, features), _normal(rng, count, steps, features)
        h = _normal(rng, count, hidden)
        with torch.no_grad():
            outputs, last = _torch_gru(weights)(x, h.contiguous()[None])
        results = _run(solution, x, h, weights)
        help = "where the first step starts, what one step hands the next, and that no step is left out"
        for value, want, name in zip(results, (outputs, last[0]), ("outputs", "h"), strict=True):
            assert_close(value, want, name=name, help=help)


@pytest.mark.value
def test_forecasts_with_given_weights(solution, rng):
    """With given weights, forecasts and loss are those of torch's GRU, which rereads everything before each step."""
    for count, steps, horizon, _, hidden in SIZES:
        model, weights = _model(solution, rng, hidden)
        x, y, oracle = 3 + _normal(rng, count, steps), 3 + _normal(rng, count, horizon), _oracle(weights)
        with torch.no_grad():
            expected = _expected_forecast(oracle, x, horizon)
        forecast = _forecast(model, x, horizon)
        help = "the first forecast is x[:, -1] + head(h), h after all of x - x[:, -1:] was read, each step once"
        assert_close(forecast[:, :1], expected[:, :1], name="first forecast", help=help)
        help = "the first is right: what the next is added to, what the GRU is fed, and from which state it goes on"
        assert_close(forecast, expected, name="forecast", help=help)
        help = "forward is right: this is the mean squared error over windows and steps, of forecasts that never see y"
        assert_close(_loss(model, x, y), F.mse_loss(expected, y), name="loss", help=help)
    model, weights = _model(solution, rng, 4)
    x = _normal(rng, 2, 5)
    with torch.no_grad():
        expected = _expected_forecast(_oracle(weights), x, 30)
    help = "30 steps from 5 values: every step goes on from the one before it, however many there are"
    assert_close(_forecast(model, x, 30), expected, name="forecast of 30 steps", help=help)


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients reach every input, the initial state and every parameter, through what was read and what was forecast."""
    count, steps, horizon, features, hidden = SMALL
    model, weights = _model(solution, rng, hidden)
    given = {name: value for name, value in _weights(rng, hidden, features).items() if name in WEIGHTS}
    x, h, past = _normal(rng, count, steps, features), _normal(rng, count, hidden), _normal(rng, count, steps)

    def run(x, h, **weights):
        return _run(solution, x, h, weights)

    def forecast(x):
        return _forecast(model, x, horizon)

    with torch.no_grad():
        assert_close(run(x, h, **given)[0], _torch_gru(given)(x, h.contiguous()[None])[0], name="outputs")
        assert_close(forecast(past), _expected_forecast(_oracle(weights), past, horizon), name="forecast")
    help = "nothing may cut the graph, between two forecasts either: no detach, no .data, no .item(), no no_grad"
    assert_gradients(run, {"x": x, "h": h, **given}, rng, name="gradient of gru", help=help)
    parameters = tensors_of(model, weights)
    name = "gradient of the forecast"
    assert_gradients(forecast, {"x": past}, rng, parameters=parameters, name=name, help=help)


@pytest.mark.gradient
def test_three_training_steps(solution, rng):
    """From given weights, three steps of gradient descent give the oracle's losses, and its weights after them."""
    for count, steps, horizon, _, hidden in SIZES:
        model, weights = _model(solution, rng, hidden)
        oracle = _oracle(weights)
        optimisers = [torch.optim.SGD(module.parameters(), lr=0.02) for module in (model, oracle)]
        losses, expected = [], []
        for _ in range(3):
            x, y = _normal(rng, count, steps), _normal(rng, count, horizon)
            both = _loss(model, x, y), F.mse_loss(_expected_forecast(oracle, x, horizon), y)
            for loss, optimiser, history in zip(both, optimisers, (losses, expected), strict=True):
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                history.append(loss.item())
        help = "the first loss is the mean squared error of the forecasts; the others depend on the gradients too"
        assert_trajectory(losses, expected, help=help)
        trained = oracle.state_dict()
        for name, value in state_of(model, weights).items():
            assert_close(value, trained[ORACLE[name]], name=f"{name} after three steps")


@pytest.mark.behaviour
def test_forecasts_keep_to_their_window(solution, rng, mutated):
    """A forecast rises with its window, minds no neighbour and no earlier call, and no call changes its arguments."""
    for count, steps, horizon, features, hidden in SIZES:
        model, weights = _model(solution, rng, hidden)
        x = _normal(rng, count, steps)
        whole = _forecast(model, x, horizon)
        _forecast(model, _normal(rng, count, steps + 1), horizon)
        help = "no state outlives a call"
        assert_close(_forecast(model, x, horizon), whole, tol=SAME, name="the same call made again", help=help)
        height = 5 * _normal(rng, count, 1)
        help = "the GRU reads distances from the window's own last value, which forecasts are then added to"
        raised = _forecast(model, x + height, horizon)
        assert_close(raised, whole + height, tol=SAME, name="forecast of a raised window", help=help)
        help = "the first forecasts do not depend on how many are asked for"
        longer = _forecast(model, x, horizon + 13)[:, :horizon]
        assert_close(longer, whole, tol=SAME, name="beginning of a longer forecast", help=help)
        for rows in [torch.tensor([n]) for n in range(count)] + [torch.from_numpy(rng.permutation(count))]:
            part = _forecast(model, x[rows], horizon)
            help = "a window's forecast depends on its own past alone"
            assert_close(part, whole[rows], tol=SAME, name="forecast in another batch", help=help)
        series = _normal(rng, steps + horizon + 4)
        _scale(solution, series, steps + 2)
        _windows(solution, series, steps, horizon, 0, len(series))
        _naive(solution, x, horizon, steps)
        state, cell = _normal(rng, count, hidden), _weights(rng, hidden, features)
        _step(solution, _normal(rng, count, features), state, cell)
        _run(solution, _normal(rng, count, steps, features), state, cell)
        _loss(model, x, _normal(rng, count, horizon))
        assert_unchanged(mutated)
        for name, value in state_of(model, weights).items():
            assert_close(value, weights[name], tol=SAME, name=f"{name} after these calls")


@pytest.mark.behaviour
def test_fresh_parameters(solution):
    """A new forecaster draws all its parameters uniformly between -1/sqrt(H) and 1/sqrt(H), in the dtype asked for."""
    for hidden, options in ((211, {}), (211, {"dtype": torch.float64}), (3, {})):
        fresh = state_of(_make(solution, hidden, **options), _shapes(hidden))
        for name, shape in _shapes(hidden).items():
            assert_shape(fresh[name], shape, dtype=options.get("dtype", torch.float32), name=name)
    hidden = 29
    laws = dict.fromkeys(_shapes(hidden), Uniform(hidden**-0.5))
    assert_drawn(lambda: solution.GRUForecaster(hidden), laws, name="GRUForecaster")


@pytest.mark.convergence
def test_beats_the_seasonal_naive_forecast(solution, generator, record):
    """Trained on carbon dioxide up to 1988, you forecast 1989 to 2001 a year ahead with 25 % less error than last year's values."""
    scaled, level, unit = _scale(solution, SERIES, CUT)
    scaled = scaled.float()
    x, y = _windows(solution, scaled, YEAR, YEAR, 0, CUT)
    model, losses = _make(solution, HIDDEN), []
    optimiser = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.05, TRAINING_STEPS)
    for _ in range(TRAINING_STEPS):
        rows = torch.randint(len(x), (BATCH,), generator=generator)
        loss = _loss(model, x[rows], y[rows])
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), LARGEST_GRADIENT)
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
    held_out = SERIES[CUT - YEAR :].unfold(0, 2 * YEAR, 1)
    before, after = held_out[:, :YEAR], held_out[:, YEAR:]
    with torch.no_grad():
        forecast = _forecast(model, scaled[CUT - YEAR :].unfold(0, 2 * YEAR, 1)[:, :YEAR], YEAR).double() * unit + level
    naive = (before - after).square().mean().sqrt().item()  # last year's value of the same month
    training = (x - y).double().square().mean().sqrt() * unit
    record.curve("error in ppm while training", np.sqrt(losses) * unit.item(), baseline=training.item())
    error = (forecast - after).square()
    record.curve("error in ppm, 1 to 12 months ahead", error.mean(0).sqrt(), baseline=naive)
    record.curve("2001 as you forecast it in December 2000, ppm", forecast[-1], baseline=before[-1, -1].item())
    record.curve("2001 as it was, ppm", after[-1], baseline=before[-1, -1].item())
    help = "are the errors of forecasts in the picture falling, and does the gradient reach back through all of x?"
    score = error.mean().sqrt().item() / naive
    assert_beats(score, BAR, name="error as a part of the seasonal naive error", higher=False, help=help)
