"""The suite of kata 13: honest splits by brute force, a GRU beside torch's own, and thirteen years of real forecasts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from grader.checks import (
    Uniform,
    assert_agrees,
    assert_beats,
    assert_close,
    assert_drawn,
    assert_parts,
    assert_shape,
    assert_state,
    assert_that,
    assert_trained,
    assert_unchanged,
    descend,
    load_state,
    normal,
    state_of,
    text,
)

# Carbon dioxide in the air over Mauna Loa in ppm: twelve months a year, from January 1965 to December 2001.
TABLE = np.loadtxt(Path(__file__).with_name("mauna_loa_co2.csv"), delimiter=",", skiprows=1)
SERIES = torch.from_numpy(TABLE[:, 1:].flatten())

# Windows, steps read, steps forecast, features and hidden units of each case; all that are not 1 differ within a case.
SIZES = [(4, 6, 3, 2, 5), (1, 5, 4, 3, 2), (3, 2, 7, 4, 5), (2, 1, 4, 5, 3), (5, 7, 1, 3, 4)]
BACK = [(2, 40, 3, 1, 4), (2, 3, 40, 1, 4)]  # for gradients, which must come back from there
MANY, LONG = (5001, 2, 3, 1, 4), (2, 5001, 3, 1, 4)
MANY_READ, LONG_READ, LONG_FORECAST = (1101, 2, 3, 1, 4), (2, 1101, 3, 1, 4), (2, 3, 1101, 1, 4)
FAR = 100.0  # times what is usual: nothing has a bound that the formula does not give
CUTS = [(9, 5), (14, 11), (23, 8), (12, 12), (31, 3), (3, 3), (5003, 2500)]  # length of a series, and of its past
# Length of the series, steps read, steps forecast, start and stop: first and last windows, gaps, a single window.
SPLITS = [(19, 4, 3, 0, 11), (19, 4, 3, 11, 19), (19, 5, 2, 3, 12), (13, 6, 1, 0, 13), (12, 3, 4, 5, 9)]
SPLITS += [(2, 1, 1, 0, 2), (9, 1, 2, 4, 9), (5003, 3, 2, 4990, 5003)]
SEASONS = [(3, 7, 4, 5), (1, 5, 9, 3), (4, 6, 13, 6), (2, 8, 5, 1), (5, 9, 6, 4), (2, 4, 7, 2)]  # N, T, K, period
SEASONS += [(3, 1, 4, 1), (4, 5, 1, 3), (3, 6, 6, 4), (5001, 3, 4, 2), (2, 5001, 5, 4900)]
WEIGHTS = ("w_ih", "w_hh", "b_ih", "b_hh")
ORACLE = dict(zip(WEIGHTS, ("gru.weight_ih_l0", "gru.weight_hh_l0", "gru.bias_ih_l0", "gru.bias_hh_l0"), strict=True))
ORACLE |= {"head.weight": "head.weight", "head.bias": "head.bias"}
TOL = 1e-9  # what was rounded to float32 on its way is seen
SAME = 1e-9  # relative tolerance between two runs of the learner's own code

YEAR, CUT = 12, 288  # months of a year; January 1989, the first month that training never sees
TRAINING_STEPS, BATCH, HIDDEN, LEARNING_RATE, LARGEST_GRADIENT = 60, 24, 20, 0.03, 0.5
# The part of the seasonal naive error (1.65 ppm) that is allowed: right solutions need 0.5, the last value has 1.96.
BAR = 0.75


def _shapes(hidden, features=1):
    shapes = ((3 * hidden, features), (3 * hidden, hidden), (3 * hidden,), (3 * hidden,))
    return dict(zip(WEIGHTS, shapes, strict=True)) | {"head.weight": (1, hidden), "head.bias": (1,)}


def _weights(rng, hidden, features=1):
    """Six tensors whose pre-activations are of order one, no bias zero, the state rather kept than replaced."""
    shapes = _shapes(hidden, features)
    weights = {name: normal(rng, *size) / (size[1] ** 0.5 if len(size) > 1 else 2) for name, size in shapes.items()}
    weights["b_ih"][hidden : 2 * hidden] += 2.0
    return weights


def _cases(*sizes):
    """Each size with numbers of order one, and the first with far ones too."""
    return [*((size, 1.0) for size in sizes), (sizes[0], FAR)]


def _inputs(rng, size, far=1.0):
    """The arguments of gru, by name and in order."""
    count, steps, _, features, hidden = size
    weights = _weights(rng, hidden, features)
    given = {"x": far * normal(rng, count, steps, features), "h": far * normal(rng, count, hidden)}
    return given | {name: weights[name] for name in WEIGHTS}


def _of_step(given):
    return given | {"x": given["x"][:, 0]}


def _window(rng, size, far=1.0):
    """What a forecaster reads and what comes next, around 3; of several windows the last two are the same."""
    count, steps, horizon, *_ = size
    x, y = (3 + far * normal(rng, count, length) for length in (steps, horizon))
    x[-1], y[-1] = x[-2:][0].clone(), y[-2:][0].clone()
    return {"x": x, "y": y}


class Oracle(nn.Module):
    """torch's own GRU and a linear head: the slow way, which reads everything again before each step."""

    def __init__(self, hidden):
        super().__init__()
        self.gru = nn.GRU(1, hidden, batch_first=True, dtype=torch.float64)
        self.head = nn.Linear(hidden, 1, dtype=torch.float64)

    def forward(self, x, horizon):
        path = x
        for _ in range(horizon):
            path = torch.cat([path, self.after(path, x)[:, -1:]], dim=1)
        return path[:, x.shape[1] :]

    def after(self, path, x):
        """What follows each value of a path that began with x."""
        outputs, _ = self.gru((path - x[:, -1:])[:, :, None])
        return path + self.head(outputs)[:, :, 0]

    def loss(self, x, y):
        return F.mse_loss(self(x, y.shape[1]), y)


def _gru(x, h, **weights):
    """What gru should return, by torch's GRU."""
    gru = nn.GRU(x.shape[2], h.shape[1], batch_first=True, dtype=torch.float64)
    weights = {ORACLE[name].removeprefix("gru."): value for name, value in weights.items()}
    outputs, h = functional_call(gru, weights, (x, h.contiguous()[None]))
    return outputs, h[0]


def _cell(x, h, **weights):
    return torch.gru_cell(x, h, *weights.values())


def _in_order(function):
    """A function of the learner's as one of arguments by name, whatever its own call them."""
    return lambda **given: function(*given.values())


def _make(solution, hidden, **options):
    """The learner's new forecaster, found to have the six parameters that the statement names."""
    model = solution.GRUForecaster(hidden, **options)
    return assert_state(model, _shapes(hidden), dtype=options.get("dtype", torch.float32), name="GRUForecaster")


def _models(solution, rng, hidden):
    """The learner's forecaster in float64, and the oracle with the same weights."""
    weights, oracle = _weights(rng, hidden), Oracle(hidden)
    load_state(oracle, {ORACLE[name]: value for name, value in weights.items()})
    return load_state(_make(solution, hidden, dtype=torch.float64), weights), oracle


def _scale(solution, series, cut):
    """(scaled, level, unit) of the learner's scale, of the right form; the numbers as tensors."""
    result = assert_parts(solution.scale(series, cut), ("scaled", "level", "unit"), name="scale")
    assert_shape(result[0], tuple(series.shape), dtype=series.dtype, name="scaled", help="scale past and future alike")
    numbers = [torch.as_tensor(value, dtype=torch.float64) for value in result[1:]]
    for value, name in zip(numbers, ("level", "unit"), strict=True):
        assert_shape(value, (), name=name)
    return result[0], *numbers


def _windows(solution, series, steps, horizon, start, stop):
    """(x, y) of the learner's windows, of the right form."""
    result = assert_parts(solution.windows(series, steps, horizon, start, stop), "xy", name="windows")
    count = stop - horizon - max(start, steps) + 1
    given = {"length": len(series), "steps": steps, "horizon": horizon, "start": start, "stop": stop, "count": count}
    help = text(
        "L {length}, steps {steps}, horizon {horizon}, start {start}, stop {stop}: {count} windows fit", **given
    )
    for value, width, name in zip(result, (steps, horizon), "xy", strict=True):
        assert_shape(value, (count, width), dtype=series.dtype, name=text("{part} of windows", part=name), help=help)
    return result


@pytest.mark.shape
def test_shapes(solution, rng):
    """Every result has the stated shape and dtype, for one window and for several, and depends on the input."""
    for index, size in enumerate(SIZES):
        count, steps, horizon, _, hidden = size
        dtype = (torch.float32, torch.float64)[index % 2]
        model, given = _make(solution, hidden, dtype=dtype), _inputs(rng, size)
        given, other = ({name: value.to(dtype) for name, value in each.items()} for each in (given, _inputs(rng, size)))
        series = normal(rng, 2, steps + horizon + count).to(dtype)[0]
        _scale(solution, series, steps + horizon)
        _windows(solution, series, steps, horizon, 0, len(series))
        seen = []
        for each in (given, given | {"x": other["x"]}):
            outputs, last = assert_parts(solution.gru(*each.values()), ("outputs", "h"), name="gru")
            x = each["x"][:, :, 0]
            seen.append({"outputs": outputs, "h": last, "gru_step": solution.gru_step(*_of_step(each).values())})
            seen[-1] |= {"seasonal_naive": solution.seasonal_naive(x, horizon, steps), "forecast": model(x, horizon)}
        shapes = {"outputs": (count, steps, hidden)} | dict.fromkeys(("seasonal_naive", "forecast"), (count, horizon))
        for name, value in seen[0].items():
            assert_shape(value, shapes.get(name, (count, hidden)), dtype=dtype, name=name)
            help = text("K = {horizon}: are these real numbers, or shares of something?", horizon=horizon)
            help = help if name == "forecast" else ""
            differs = (value != seen[1][name]).any()
            assert_that(differs, "two different inputs give the same {name}", name=name, help=help)
        help = "one number: the mean over windows and steps alike"
        assert_shape(model.loss(x, normal(rng, count, horizon).to(dtype)), (), dtype=dtype, name="loss", help=help)


@pytest.mark.value
def test_scale_fitted_on_the_past(solution, rng):
    """Level and unit come from series[:cut] alone: no value of the future moves them."""
    for length, cut in CUTS:
        series = 20 + 0.5 * torch.arange(length) + normal(rng, length)
        past = series[:cut].numpy()
        later = series.clone()
        later[cut:] += 50 + normal(rng, length - cut)
        whole, future = _scale(solution, series, cut), _scale(solution, later, cut)
        help = text("only values from index {cut} on were changed, and this number must not notice", cut=cut)
        for value, other, name in zip(whole[1:], future[1:], ("level", "unit"), strict=True):
            assert_close(other, value, tol=SAME, name=text("{name} with another future", name=name), help=help)
        level, unit = past.mean(), np.diff(past).std()
        assert_close(whole[1], torch.tensor(level), tol=TOL, name="level", help="the mean of series[:cut]")
        help = text("the standard deviation of the {n} changes within series[:cut], divided by {n}", n=cut - 1)
        assert_close(whole[2], torch.tensor(unit), tol=TOL, name="unit", help=help)
        help = "(series - level) / unit for every value, computed in the dtype of the series or a wider one"
        for value, given in ((whole[0], series), (future[0], later)):
            assert_close(value, (given - level) / unit, tol=TOL, name="scaled", help=help)


@pytest.mark.value
def test_windows_respect_the_split(solution, rng):
    """All targets lie between start and stop, and every window that fits is there; what is read may lie before start."""
    for length, steps, horizon, start, stop in SPLITS:
        fitting = [t for t in range(length) if t >= steps and start <= t and t + horizon <= stop]
        index = torch.tensor([list(range(t - steps, t + horizon)) for t in fitting])
        counting = torch.arange(length, dtype=torch.float64) + int(rng.integers(1, 100))
        for series in (counting, normal(rng, 2, length)[1]):
            x, y = _windows(solution, series, steps, horizon, start, stop)
            where = text("the same windows of another series")
            if series is counting:
                begins = {"first": int(counting[0]), "stands": int(counting[0]) + start}
                where = text("the series counts up from {first}, and {stands} stands at start", **begins)
            help = text("series[start] is the first target allowed, series[stop] is not; {where}", where=where)
            assert_close(y, series[index[:, steps:]], tol=TOL, name="y", help=help)
            help = text("the values right before the targets; {where}", where=where)
            assert_close(x, series[index[:, :steps]], tol=TOL, name="x", help=help)


@pytest.mark.value
def test_naive_forecasts(solution, rng):
    """The seasonal naive forecast repeats the last season, and with a period of 1 the last value."""
    for count, steps, horizon, period in SEASONS:
        x = FAR * normal(rng, count, steps)
        expected = torch.from_numpy(np.stack([np.resize(row[-period:], horizon) for row in x.numpy()]))
        said = {"period": period, "horizon": horizon}
        help = text("period {period}, horizon {horizon}: step 0 is what stood {period} before it, and so on", **said)
        forecast = solution.seasonal_naive(x, horizon, period)
        assert_close(forecast, expected, tol=TOL, name="forecast", help=help)


@pytest.mark.value
def test_one_step(solution, rng):
    """One step from any state gives the hidden state of torch's GRUCell."""
    for size, far in _cases(*SIZES, MANY):
        given = _of_step(_inputs(rng, size, far))
        help = "the order r, z, n; r acts after the product with w_hh and its bias; z says how much of the old h stays"
        assert_agrees(_in_order(solution.gru_step), _cell, given, rng, gradients=False, name="h", help=help)
        given["x"] = 1e4 * given["x"]
        help = "small inputs are right; of large ones, exp overflows, and infinity over infinity is NaN"
        options = {"gradients": False, "name": "h after a large input", "help": help}
        assert_agrees(_in_order(solution.gru_step), _cell, given, rng, **options)


@pytest.mark.value
def test_sequences(solution, rng):
    """Whole sequences give the outputs and the final state of torch's GRU, from any initial state."""
    help = "where the first step starts, what one step hands the next, and that no step is left out"
    for size, far in _cases(*SIZES, MANY, LONG):
        given = _inputs(rng, size, far)
        assert_agrees(_in_order(solution.gru), _gru, given, rng, gradients=False, name=("outputs", "h"), help=help)


@pytest.mark.value
def test_forecasts_with_given_weights(solution, rng):
    """With given weights, forecasts and loss are those of torch's GRU, which rereads everything before each step."""
    for size, far in _cases(*SIZES, MANY_READ, LONG_READ):
        models, given = _models(solution, rng, size[-1]), _window(rng, size, far)
        model, oracle = models
        options = {"modules": models, "gradients": False, "tol": TOL}
        help = "x[:, -1] + head(h), h after all of x - x[:, -1:] was read, each step once"
        first = model(given["x"], 1)
        with torch.no_grad():
            assert_close(first, oracle(given["x"], 1), tol=TOL, name="first forecast", help=help)
        help = "the first is right: what the next is added to, what the GRU is fed, and from which state it goes on"
        past = {"x": given["x"], "horizon": size[2]}
        assert_agrees(_in_order(model), oracle, past, rng, **options, name="forecast", help=help)
        help = "forward is right: this is the mean squared error over windows and steps, of forecasts that never see y"
        assert_agrees(_in_order(model.loss), oracle.loss, given, rng, **options, name="loss", help=help)
    model, oracle = _models(solution, rng, LONG_FORECAST[-1])
    x, y = _window(rng, LONG_FORECAST).values()
    forecast = model(x, y.shape[1])
    assert_shape(forecast, tuple(y.shape), dtype=x.dtype, name="forecast")
    with torch.no_grad():
        expected = oracle.after(torch.cat([x, forecast], dim=1), x)[:, x.shape[1] - 1 : -1]
    help = "every step goes on from the one before it, however many there are"
    assert_close(forecast, expected, tol=TOL, name="forecast", help=help)
    assert_close(model.loss(x, y), F.mse_loss(forecast, y), tol=TOL, name="loss", help=help)


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients reach every input, the initial state and every parameter, through what was read and what was forecast."""
    help = "nothing may cut the graph, between two forecasts either: no detach, no .data, no .item(), no no_grad"
    for size, far in _cases(*SIZES[:2], *BACK):
        given, batch, models = _inputs(rng, size, far), _window(rng, size, far), _models(solution, rng, size[-1])
        assert_agrees(_in_order(solution.gru_step), _cell, _of_step(given), rng, name="gru_step", help=help)
        assert_agrees(_in_order(solution.gru), _gru, given, rng, name=("outputs", "h"), help=help)
        model, oracle = models
        options = {"modules": models, "parameters": ORACLE, "help": help}
        past = {"x": batch["x"], "horizon": size[2]}
        assert_agrees(_in_order(model), oracle, past, rng, name="forecast", **options)
        assert_agrees(_in_order(model.loss), oracle.loss, batch, rng, name="loss", **options)


@pytest.mark.gradient
def test_training_steps(solution, rng):
    """From given weights, a dozen steps of gradient descent give the oracle's losses, and its weights after them."""
    for size in SIZES[:3]:
        model, oracle = _models(solution, rng, size[-1])
        batches = [_window(rng, size) for _ in range(12)]
        optimiser, oracles = (torch.optim.SGD(module.parameters(), lr=0.01) for module in (model, oracle))
        losses = descend((model.loss(*batch.values()) for batch in batches), optimiser)
        steps = (oracle.loss(**batch) for batch in batches)
        help = "the first loss is the mean squared error of the forecasts; the others depend on the gradients too"
        assert_trained(losses, model, oracle, steps, oracles, parameters=ORACLE, weights_tol=1e-6, help=help)


@pytest.mark.behaviour
def test_forecasts_keep_to_their_window(solution, rng, mutated):
    """A forecast rises with its window, minds no neighbour and no earlier call, and no call changes its arguments."""
    for size in SIZES:
        count, steps, horizon, *_, hidden = size
        model, _ = _models(solution, rng, hidden)
        before, x = state_of(model, ORACLE), normal(rng, count, steps)
        whole = model(x, horizon)
        model(normal(rng, count, steps + 1), horizon)
        help = "no state outlives a call"
        assert_close(model(x, horizon), whole, tol=SAME, name="the same call made again", help=help)
        height = 5 * normal(rng, count, 1)
        help = "the GRU reads distances from the window's own last value, which forecasts are then added to"
        assert_close(
            model(x + height, horizon), whole + height, tol=SAME, name="forecast of a raised window", help=help
        )
        help = "the first forecasts do not depend on how many are asked for"
        longer = model(x, horizon + 13)[:, :horizon]
        assert_close(longer, whole, tol=SAME, name="beginning of a longer forecast", help=help)
        for rows in [torch.tensor([n]) for n in range(count)] + [torch.from_numpy(rng.permutation(count))]:
            help = "a window's forecast depends on its own past alone"
            assert_close(model(x[rows], horizon), whole[rows], tol=SAME, name="forecast in another batch", help=help)
        given, series = _inputs(rng, size), normal(rng, steps + horizon + 4)
        solution.scale(series, steps + 2), solution.windows(series, steps, horizon, 0, len(series))
        solution.seasonal_naive(x, horizon, steps)
        solution.gru_step(*_of_step(given).values()), solution.gru(*given.values())
        model.loss(x, normal(rng, count, horizon))
        assert_unchanged(mutated)
        for name, value in state_of(model, ORACLE).items():
            assert_close(value, before[name], tol=SAME, name=text("{name} after these calls", name=name))


@pytest.mark.behaviour
def test_fresh_parameters(solution):
    """A new forecaster draws all its parameters uniformly between -1/sqrt(H) and 1/sqrt(H), in the dtype asked for."""
    for hidden, options in ((211, {}), (211, {"dtype": torch.float64}), (3, {})):
        _make(solution, hidden, **options)
    laws = dict.fromkeys(_shapes(29), Uniform(29**-0.5))
    assert_drawn(lambda: solution.GRUForecaster(29), laws, name="GRUForecaster")


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
        loss = model.loss(x[rows], y[rows])
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), LARGEST_GRADIENT)
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
    held_out = SERIES[CUT - YEAR :].unfold(0, 2 * YEAR, 1)
    before, after = held_out[:, :YEAR], held_out[:, YEAR:]
    with torch.no_grad():
        forecast = model(scaled[CUT - YEAR :].unfold(0, 2 * YEAR, 1)[:, :YEAR], YEAR).double() * unit + level
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
