"""The suite of kata 50: dense powers of matrices, torch's own convolution and gate, every pair of experts, and a city."""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np
import pytest
import torch
from scipy.sparse.csgraph import shortest_path
from torch import nn
from torch.nn import functional as F

from grader.checks import (
    as_view,
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
    layer_laws,
    load_state,
    normal,
    state_of,
    text,
)

# Windows, steps, sensors, features, hidden units, hops, dilation.
SIZES = [
    (3, 5, 4, 2, 6, 1, 1),
    (1, 4, 7, 3, 2, 3, 2),
    (2, 6, 1, 5, 3, 2, 4),
    (4, 2, 5, 6, 4, 0, 1),
    (2, 7, 3, 4, 5, 5, 3),
]
LARGE = [(70, 4, 3, 2, 3, 2, 1), (1, 3, 101, 2, 1, 1, 2), (1, 1201, 2, 1, 2, 1, 1100), (1103, 2, 2, 1, 2, 1, 1)]
LONG = (1, 40, 2, 2, 3, 1, 1)
# Rows, experts, places of each.
CROWDS = [(3, 3, 2), (1, 2, 1), (7, 4, 4), (40, 3, 27), (9, 5, 9), (6, 2, 6), (90, 6, 31), (12, 8, 3)]
# Windows, steps of a window, steps ahead, sensors, hidden units, hops, experts, numbers of the clock.
MODELS = [(5, 4, 3, 6, 5, 2, 4, 3), (1, 6, 1, 3, 4, 1, 3, 2), (7, 5, 2, 1, 3, 0, 2, 4), (3, 4, 9, 4, 2, 1, 5, 1)]
MANY = [(70, 4, 1, 2, 2, 1, 2, 2), (1, 66, 2, 2, 2, 1, 2, 1), (1, 4, 66, 2, 2, 1, 2, 1)]
TOL, SAME = 1e-8, 1e-9
OF_ROUTE, OF_ERRORS, OF_ROLL = ("weights", "balance"), ("mae", "mape"), ("forecasts", "balance")
BLOCK, MIX = (
    "relu(diffusion(first half * sigmoid(second half))) + x[t]",
    "x, then ahead and behind, each at 1 to K steps",
)
# The city: one-way roads from sensor to sensor, a ring of eight and a street through it, and how long they are.
ROADS = np.array(
    [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (6, 7), (7, 0), (1, 8), (8, 9), (9, 10), (10, 11), (11, 5)]
)
KM = [1.1, 0.9, 1.3, 1.0, 1.2, 0.8, 1.4, 1.0, 0.9, 1.1, 0.8, 1.2, 1.0]
SENSORS, DAY, DAYS, TRAIN = 12, 72, 22, 14
LENGTH, AHEAD, STEPS, BATCH, LEARNING_RATE = 4, 3, 200, 16, 0.02
BAR = 0.7  # between nets that know no roads, 0.83 and more, and the worst right one of 14, 0.53


def _roads(rng, sensors):
    """Weights of a directed graph; some sensors have no road out and some none in, and no two rows sum to the same."""
    weights = torch.from_numpy(rng.uniform(0.1, 5, (sensors, sensors)) * (rng.random((sensors, sensors)) < 0.6))
    weights[sensors // 3 : sensors // 2] = 0
    weights[:, sensors // 5 : sensors // 3] = 0
    return weights


class _Mixed(nn.Module):
    """A term for each power of a matrix, without a step in between."""

    def __init__(self, features, outputs, hops):
        super().__init__()
        self.hops, self.mix = hops, nn.Linear((2 * hops + 1) * features, outputs, dtype=torch.float64)

    def forward(self, x, adjacency):
        walks = [(each / each.sum(1, keepdim=True)).nan_to_num(0.0) for each in (adjacency, adjacency.mT)]
        powers = [torch.eye(len(adjacency), dtype=x.dtype)]
        powers += [torch.linalg.matrix_power(walk, hop) for walk in walks for hop in range(1, self.hops + 1)]
        maps = self.mix.weight.reshape(len(self.mix.bias), len(powers), -1)
        return torch.einsum("kij,btjf,hkf->btih", torch.stack(powers), x, maps) + self.mix.bias


class _Gated(nn.Module):
    """torch's dilated convolution along time, and its gated linear unit."""

    def __init__(self, hidden, hops, dilation):
        super().__init__()
        self.dilation, self.gate = dilation, nn.Linear(2 * hidden, 2 * hidden, dtype=torch.float64)
        self.diffusion = _Mixed(hidden, hidden, hops)

    def forward(self, x, adjacency):
        kernel = torch.stack(self.gate.weight.chunk(2, 1), 2)[..., None]
        both = F.conv2d(x.permute(0, 3, 1, 2), kernel, self.gate.bias, dilation=(self.dilation, 1))
        return F.relu(self.diffusion(F.glu(both, 1).permute(0, 2, 3, 1), adjacency)) + x[:, self.dilation :]


class _Forecasting(nn.Module):
    def __init__(self, hidden, hops, experts, clock):
        super().__init__()
        linear = partial(nn.Linear, dtype=torch.float64)
        self.lift, self.router, self.experts = linear(2, hidden), linear(clock, experts), linear(hidden, experts)
        self.near, self.far = _Gated(hidden, hops, 1), _Gated(hidden, hops, 2)

    def forward(self, window, usual, clock, adjacency):
        read = (window != 0).to(window.dtype)
        x = self.lift(torch.stack([read * (window - usual[:, :-1]) / 10, read], 3))
        x = self.far(self.near(x, adjacency), adjacency)[:, -1]
        rows, experts = len(window), self.experts.out_features
        weights, balance = _routed(self.router(clock), -(-5 * rows // (2 * experts)) if self.training else rows)
        return usual[:, -1] + 10 * torch.einsum("bne,be->bn", self.experts(x), weights), balance


def _routed(scores, capacity):
    """The best of all pairs of experts that have room, row by row."""
    taken, pairs = [0] * scores.shape[1], []
    for row in scores.tolist():
        free = [expert for expert, places in enumerate(taken) if places < capacity]
        pairs.append(max(itertools.combinations(free, min(2, len(free))), key=lambda pair: sum(row[e] for e in pair)))
        for expert in pairs[-1]:
            taken[expert] += 1
    rows = []
    for row, pair in zip(scores, pairs, strict=True):
        rows.append(torch.zeros_like(row).index_put((torch.tensor(pair),), row[list(pair)].softmax(0)))
    first = torch.bincount(scores.argmax(1), minlength=scores.shape[1]).to(scores.dtype) / len(scores)
    return torch.stack(rows), scores.shape[1] * (first @ scores.softmax(1).mean(0))


def _errors(forecast, truth):
    """Step by step, over what was read and nothing else."""
    steps = []
    for one, true in zip(forecast.unbind(1), truth.unbind(1), strict=True):
        got, want = one[true != 0], true[true != 0]
        steps.append((F.l1_loss(got, want), 100 * (got / want - 1).abs().mean()) if len(want) else (0 * one.sum(),) * 2)
    return tuple(map(torch.stack, zip(*steps, strict=True)))


def _rolled(model, window, usual, clock, adjacency):
    """One series that grows by a forecast at a time."""
    series, balances, length = window, [], window.shape[1]
    for end in range(length, usual.shape[1]):
        after, balance = model(series[:, end - length :], usual[:, end - length : end + 1], clock[:, end], adjacency)
        series, balances = torch.cat([series, after[:, None]], 1), [*balances, balance]
    return series[:, length:], sum(balances) / len(balances)


def _shapes(module):
    return {name: tuple(value.shape) for name, value in module.state_dict().items()}


def _alike(rng, made, oracle, name):
    """The learner's module, held to its parameters, and the oracle, with the same weights; no bias is zero."""
    shapes = _shapes(oracle)
    assert_state(made, shapes, dtype=torch.float64, name=name)
    drawn = {key: normal(rng, *shape) * (shape[-1] ** -0.5 if len(shape) > 1 else 0.7) for key, shape in shapes.items()}
    return load_state(made, drawn), load_state(oracle, drawn)


def _layers(solution, rng, size):
    features, hidden, hops = size[3:6]
    made = solution.DiffusionConvolution(features, hidden, hops, dtype=torch.float64)
    return _alike(rng, made, _Mixed(features, hidden, hops), "DiffusionConvolution")


def _blocks(solution, rng, size):
    made = solution.GatedBlock(*size[4:], dtype=torch.float64)
    return _alike(rng, made, _Gated(*size[4:]), "GatedBlock")


def _forecasters(solution, rng, size):
    return _alike(rng, solution.Forecaster(*size[4:], dtype=torch.float64), _Forecasting(*size[4:]), "Forecaster")


def _scores(rng, rows, experts, far=1):
    """Most rows like the same experts, which are soon full."""
    return far * (normal(rng, rows, experts) + 2 * normal(rng, experts))


def _read(rng, *shape):
    """Speeds, some of them missing, as zeros."""
    return torch.from_numpy(rng.uniform(5, 80, shape) * (rng.random(shape) < 0.7))


def _week(rng, size):
    """What roll_out is asked with."""
    batch, length, ahead, sensors, *_, clock = size
    usual, times = _read(rng, batch, length + ahead, sensors) + 1, normal(rng, batch, length + ahead, clock)
    return {
        "window": _read(rng, batch, length, sensors),
        "usual": usual,
        "clock": times,
        "adjacency": _roads(rng, sensors),
    }


@pytest.mark.shape
def test_shapes(solution, rng):
    """Weights of roads are a table, features keep their sensors, errors have one number a step, weights one an expert"""
    for batch, steps, sensors, features, hidden, hops, dilation in SIZES:
        for dtype in (torch.float32, torch.float64):
            make = partial(assert_shape, dtype=dtype)
            x, roads = normal(rng, batch, steps, sensors, features).to(dtype), _roads(rng, sensors).to(dtype)
            far = torch.arange((sensors + 1.0) ** 2, dtype=dtype).reshape(-1, sensors + 1)
            make(solution.kernel_adjacency(far, 0.1), far.shape, name="adjacency")
            layer = solution.DiffusionConvolution(features, hidden, hops, dtype=dtype)
            make(layer(x, roads), (batch, steps, sensors, hidden), name="mixed")
            block = solution.GatedBlock(features, hops, dilation, dtype=dtype)
            make(block(x, roads), (batch, steps - dilation, sensors, features), name="block")
            make(solution.average_day(_read(rng, 9, sensors).to(dtype) + 1, steps, 8), (steps, sensors), name="usual")
            speeds = _read(rng, batch, steps, sensors).to(dtype)
            errors = solution.masked_errors(speeds + 1, speeds)
            for name, value in zip(OF_ERRORS, assert_parts(errors, OF_ERRORS, name="masked_errors"), strict=True):
                make(value, (steps,), name=name)
            routed = solution.route(normal(rng, batch, features).to(dtype), batch)
            weights, balance = assert_parts(routed, OF_ROUTE, name="route")
            make(weights, (batch, features), name="weights")
            make(balance, (), name="balance")
    state = solution.Forecaster(3, 1, 2, 4).state_dict().values()
    assert all(each.dtype == torch.float32 for each in state), "without a dtype, weights are float32"


@pytest.mark.value
def test_kernel_adjacency(solution, rng):
    """Near by road is near 1, far is 0, and what no road joins has no part in sigma"""
    help = "exp(-(d / sigma)^2), sigma over the finite distances, the diagonal among them; then the threshold"
    for case, sensors in enumerate((5, 2, 8, 3, 13, 70, 1103)):
        for threshold in (0.1, 0.0, 0.6, 1.0)[: 4 if sensors < 99 else 1]:
            far = rng.uniform(0.2, 4, (sensors, sensors)) * 1000.0 ** (case % 3 - 1)
            far[rng.random(far.shape) < (0, 0.4, 0.8)[case % 3]] = np.inf
            np.fill_diagonal(far, 0)
            far[0, 1] = far[1, 0] * 2 if np.isfinite(far[1, 0]) else 1.0
            kernel = np.exp(-np.square(far / np.std(far[np.isfinite(far)])))
            near = solution.kernel_adjacency(as_view(torch.from_numpy(far)), threshold)
            wanted = torch.from_numpy(np.where(kernel >= threshold, kernel, 0))
            assert_close(near, wanted, tol=TOL, name="adjacency", help=help)


@pytest.mark.value
def test_diffusion_convolution(solution, rng):
    """With given weights, the layer averages along directed roads, both ways, as powers of dense matrices do"""
    for size in [*SIZES, *SIZES[:2], *LARGE]:
        batch, steps, sensors, features = size[:4]
        for far in (1, 100):
            inputs = {"x": far * normal(rng, batch, steps, sensors, features), "adjacency": far * _roads(rng, sensors)}
            both = _layers(solution, rng, size)
            assert_agrees(*both, inputs, rng, modules=both, gradients=False, tol=TOL, name="mixed", help=MIX)


@pytest.mark.value
def test_gated_block(solution, rng):
    """With given weights, the block pairs the right steps, gates, diffuses, and adds the later one"""
    for size in [*SIZES, *SIZES[:2], *LARGE]:
        batch, steps, sensors, _, hidden = size[:5]
        for far in (1, 100):
            inputs = {"x": far * normal(rng, batch, steps, sensors, hidden), "adjacency": _roads(rng, sensors)}
            both = _blocks(solution, rng, size)
            assert_agrees(*both, inputs, rng, modules=both, gradients=False, tol=TOL, name="block", help=BLOCK)


@pytest.mark.value
def test_average_day(solution, rng):
    """The average day is that of the training steps, and a missing reading is no reading"""
    help = "only the first `train` rows, slot t % D; sums over readings that are not 0, divided by how many those are"
    for length, slots, train, sensors in [
        (40, 6, 31, 3),
        (9, 12, 5, 4),
        (500, 7, 499, 2),
        (25, 1, 20, 5),
        (6, 5, 1, 2),
        (4, 4, 4, 2),
        (1, 1, 1, 3),
        (5003, 24, 5003, 2),
    ]:
        for _ in range(2):
            readings = _read(rng, length, sensors)
            readings[rng.integers(train)] += 3
            past = torch.where(readings == 0, torch.nan, readings)[:train]
            usual = torch.stack([past[slot::slots].nanmean(0) for slot in range(slots)])
            wanted = torch.where(usual.isnan(), past.nanmean(0), usual)
            got = solution.average_day(as_view(readings), slots, train)
            assert_close(got, wanted, tol=TOL, name="usual", help=help)


@pytest.mark.value
def test_masked_errors(solution, rng):
    """MAE and MAPE of each step are means over what was read, and 0 where nothing was"""
    help = "mask by truth; divide by how many were read at this step; MAPE by the truth, in per cent"
    agree = {"tol": TOL, "name": OF_ERRORS, "help": help, "gradients": False}
    for batch, steps, sensors in [(3, 4, 5), (1, 2, 1), (8, 1, 3), (70, 3, 2), (2, 40, 6), (5003, 1, 2), (1, 1103, 2)]:
        for small in (1, 1e-3, 100):
            truth, kept = small * _read(rng, batch, steps, sensors), _read(rng, batch, steps, sensors) > 0
            truth[:, steps // 2] *= (batch + steps) % 2
            inputs = {"forecast": normal(rng, batch, steps, sensors) * kept, "truth": truth}
            assert_agrees(solution.masked_errors, _errors, inputs, rng, **agree)


@pytest.mark.value
def test_route(solution, rng):
    """Everyone goes to their two best experts that have room, by weights that sum to 1, and the balance says how evenly"""
    help = "row after row; a full expert sends on to the next best; weights are a softmax over the chosen scores alone"
    for rows, experts, capacity in [*CROWDS * 2, (1103, 4, 560)]:
        for far in (1, 500):
            inputs = {"scores": _scores(rng, rows, experts, far), "capacity": capacity}
            assert_agrees(solution.route, _routed, inputs, rng, gradients=False, tol=TOL, name=OF_ROUTE, help=help)


@pytest.mark.value
def test_roll_out(solution, rng):
    """Step after step, each forecast joins the window, beside the average day and the clock of its own step"""
    help = "the step after the window comes first; usual and clock move along; the oldest reading leaves"
    for size in [*MODELS, *MODELS[:2], *MANY]:
        both = model, oracle = _forecasters(solution, rng, size)
        ways = partial(solution.roll_out, model), partial(_rolled, oracle)
        agree = {"modules": both, "gradients": False, "tol": TOL, "name": OF_ROLL, "help": help}
        assert_agrees(*ways, _week(rng, size), rng, **agree)


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients reach features, parameters, scores through both results, forecasts where there is truth, and all steps"""
    agree = {"tol": TOL, "fixed": ["adjacency", "truth"], "help": "nothing may cut the graph, and nothing divide by 0"}
    for place, (size, crowd) in enumerate(zip([*SIZES, LARGE[0], LONG], CROWDS, strict=False)):
        batch, steps, sensors, features, hidden = size[:5]
        far = (1, 100)[place % 2]
        roads = {"adjacency": _roads(rng, sensors)}
        for both, width, name in (
            (_layers(solution, rng, size), features, "mixed"),
            (_blocks(solution, rng, size), hidden, "block"),
        ):
            inputs = {"x": far * normal(rng, batch, steps, sensors, width)} | roads
            assert_agrees(*both, inputs, rng, modules=both, parameters=list(_shapes(both[1])), name=name, **agree)
        truth = _read(rng, batch, steps, sensors)
        inputs = {"forecast": torch.where(truth == 0, truth, truth + 0.1 + normal(rng, *truth.shape)), "truth": truth}
        assert_agrees(solution.masked_errors, _errors, inputs, rng, name=OF_ERRORS, **agree)
        inputs = {"scores": _scores(rng, *crowd[:2], far), "capacity": crowd[2]}
        assert_agrees(solution.route, _routed, inputs, rng, name=OF_ROUTE, **agree)
    for size in MODELS:
        both = model, oracle = _forecasters(solution, rng, size)
        ways = partial(solution.roll_out, model), partial(_rolled, oracle)
        agree |= {"modules": both, "parameters": list(_shapes(oracle)), "name": OF_ROLL}
        assert_agrees(*ways, _week(rng, size), rng, **agree)


@pytest.mark.value
def test_training(solution, rng):
    """From given weights, the steps of the given fit have the right losses, and the weights after them"""
    help = "fit is given and right: its loss is your masked_errors of your roll_out, and your balance"
    for size, steps in zip(MODELS, (12, 3, 2, 1), strict=True):
        batch, length, ahead, sensors, *_, clock = size
        model, oracle = _forecasters(solution, rng, size)
        readings, usual, times = _read(rng, 60, sensors), _read(rng, 7, sensors) + 1, normal(rng, 7, clock)
        starts, roads = torch.from_numpy(rng.integers(0, 60 - length - ahead, (steps, batch))), _roads(rng, sensors)
        for module in (model, oracle):
            module.train(ahead > 1)
        losses = solution.fit(model, readings, usual, times, roads, starts, length, ahead, 0.02)

        def loss(start, *, oracle=oracle, readings=readings, usual=usual, times=times, roads=roads, size=size):
            at = torch.stack([start + step for step in range(sum(size[1:3]))], 1)
            given = readings[at[:, : size[1]]], usual[at % 7], times[at % 7]
            forecasts, balance = _rolled(oracle, *given, roads)
            return _errors(forecasts, readings[at[:, size[1] :]])[0].mean() + 0.1 * balance

        adam = torch.optim.Adam(oracle.parameters(), lr=0.02)
        trained = {"parameters": list(_shapes(oracle)), "name": "loss of fit", "help": help}
        assert_trained(losses, model, oracle, (loss(start) for start in starts), adam, **trained)


@pytest.mark.behaviour
def test_who_knows_what(solution, rng):
    """Names of sensors mean nothing, windows are their own, and nobody sees ahead"""
    for size in MODELS:
        model = _forecasters(solution, rng, size)[0].eval()
        week, sensors = _week(rng, size), size[3]
        forecasts, _ = solution.roll_out(model, **week)
        order = torch.from_numpy(rng.permutation(sensors))
        other = {"window": week["window"][..., order], "usual": week["usual"][..., order], "clock": week["clock"]}
        again, _ = solution.roll_out(model, **other, adjacency=week["adjacency"][order][:, order])
        assert_close(again, forecasts[..., order], tol=SAME, name="forecasts of renumbered sensors")
        alone = {key: value[-1:] for key, value in week.items() if key != "adjacency"}
        again, _ = solution.roll_out(model, **alone, adjacency=week["adjacency"])
        assert_close(again, forecasts[-1:], tol=SAME, name="forecast of one window alone", help="windows never mix")
        later = week | {"usual": week["usual"].clone(), "clock": week["clock"].clone()}
        later["usual"][:, -1] += 7
        later["clock"][:, -1] -= 2
        again, _ = solution.roll_out(model, **later)
        assert_close(again[:, :-1], forecasts[:, :-1], tol=SAME, name="forecasts before the last step is known")
        assert_that(
            not torch.equal(again[:, -1], forecasts[:, -1]), "the last step hangs on its average day, and has not moved"
        )


@pytest.mark.behaviour
def test_calls_leave_no_trace(solution, rng, mutated):
    """Arguments and weights stay as they were, an answer repeats, and first values are drawn as stated"""
    for size in MODELS[:3]:
        model, oracle = _forecasters(solution, rng, size)
        week, truth = _week(rng, size), _read(rng, size[0], size[2], size[3])
        first, balance = solution.roll_out(model, **week)
        solution.roll_out(model, **week | {"window": 2 * week["window"]})
        again = solution.roll_out(model, **week)
        for name, one, other in zip(OF_ROLL, again, (first, balance), strict=True):
            assert_close(
                one, other, tol=SAME, name=text("{name}, asked again", name=name), help="state outlives a call"
            )
        solution.masked_errors(first, truth)
        x = normal(rng, 2, 3, 5, 4)
        solution.DiffusionConvolution(4, 2, 1, dtype=torch.float64)(x, _roads(rng, 5))
        solution.GatedBlock(4, 1, 1, dtype=torch.float64)(x, _roads(rng, 5))
        solution.route(normal(rng, 6, 4), 3)
        solution.average_day(truth[:, 0] + 1, 3, 1)
        solution.kernel_adjacency(_roads(rng, 5), 0.2)
        for name, value in state_of(oracle, _shapes(oracle)).items():
            kept = text("{name} after the calls", name=name)
            assert_close(state_of(model, [name])[name], value, tol=SAME, name=kept)
    assert_unchanged(mutated)
    drawn = partial(assert_drawn, help="as nn.Linear draws them")
    drawn(
        lambda: solution.DiffusionConvolution(5, 12, 2),
        layer_laws(_shapes(_Mixed(5, 12, 2))),
        name="DiffusionConvolution",
    )
    drawn(lambda: solution.GatedBlock(10, 1, 2), layer_laws(_shapes(_Gated(10, 1, 2))), name="GatedBlock")


def _city(rng):
    """Speeds of a city: average days, jams that start anywhere, at rush hours crawl back against the traffic, else fade.

    Sensors are numbered by chance. Returns distances by road up to 5 km, speeds with 8 % missing, the clock, and numbers.
    """
    sensors = np.arange(SENSORS)
    free, dip = 45 + 30 * (sensors * 5 % 12) / 11, 0.2 + 0.25 * (sensors * 7 % 12) / 11
    names, hours = rng.permutation(SENSORS), np.arange(DAY) * 24 / DAY
    roads = np.zeros((SENSORS, SENSORS))
    roads[tuple(ROADS.T)] = KM
    far, ahead = shortest_path(roads), (roads > 0) / (roads > 0).sum(1, keepdims=True)
    rush = np.exp(-(((hours - 8) / 3) ** 4)) + np.exp(-(((hours - 17.5) / 3.5) ** 4))
    jam, rows = np.zeros(SENSORS), []
    for now in np.tile(rush, DAYS):
        start = (rng.random(SENSORS) < 0.015) * rng.uniform(15, 35, SENSORS)
        jam = (0.6 - 0.55 * now) * jam + 0.97 * now * (ahead @ jam) + start
        rows.append(np.maximum(5, free * (1 - dip * now) - jam + rng.normal(0, 0.5, SENSORS)))
    speeds = np.array(rows) * (rng.random((DAYS * DAY, SENSORS)) < 0.92)
    turns = [turn(2 * np.pi * times * hours / 24) for times in (1, 2) for turn in (np.cos, np.sin)]
    return names, np.where(far > 5, np.inf, far), speeds, np.stack(turns, 1)


def _drawn(speeds, free):
    """A map of the city: roads as lines, and each sensor the brighter the faster its traffic goes."""
    turn = np.arange(8) * np.pi / 4
    ring = np.stack([20 - 16 * np.cos(turn), 20 + 16 * np.sin(turn)], 1)
    places = np.concatenate([ring, np.linspace(ring[1], ring[5], 6)[1:5]])
    canvas = np.zeros((42, 42))
    for one, other in ROADS:
        canvas[tuple(np.linspace(places[one], places[other], 40).round().astype(int).T)] = 0.25
    for (down, right), share in zip(places.round().astype(int), speeds / free, strict=True):
        canvas[down - 2 : down + 3, right - 2 : right + 3] = np.clip(share, 0, 1)
    return canvas


@pytest.mark.convergence
def test_twenty_minutes_ahead(solution, rng, record):
    """Twenty minutes ahead, on days that nobody trained on, it sees jams come that the average day does not know"""
    names, far, speeds, clock = _city(rng)
    readings, clock = (torch.from_numpy(each).float() for each in (speeds[:, names], clock))
    roads = solution.kernel_adjacency(torch.from_numpy(far[names][:, names]).float(), 0.1)
    usual = solution.average_day(readings, DAY, TRAIN * DAY)
    starts = torch.from_numpy(rng.integers(0, TRAIN * DAY - LENGTH - AHEAD, (STEPS, BATCH)))
    model = solution.Forecaster(12, 1, 4, clock.shape[1])
    losses = solution.fit(model, readings, usual, clock, roads, starts, LENGTH, AHEAD, LEARNING_RATE)
    at = torch.arange(TRAIN * DAY, len(readings) - LENGTH - 2 * AHEAD)[:, None] + torch.arange(LENGTH + 2 * AHEAD)
    week = {"usual": usual[at % DAY], "clock": clock[at % DAY], "adjacency": roads}
    forecasts = solution.roll_out(model.eval(), readings[at[:, :LENGTH]], **week)[0].detach()
    past = torch.where(readings == 0, torch.nan, readings)[: TRAIN * DAY]
    average = torch.stack([past[slot::DAY].nanmean(0) for slot in range(DAY)])
    truth, plain = readings[at[:, LENGTH:]], average[at[:, LENGTH:] % DAY]
    (off, _), (plain_off, _) = _errors(forecasts, truth), _errors(plain, truth)
    order = names.argsort()
    record.curve("training loss", losses)
    record.curve("km/h off, each 20 minutes of two hours ahead; the average day", off, float(plain_off.mean()))
    free = average.amax(0)[order].numpy()
    bands = [(each[11:71, 0, order].numpy() / free).T.repeat(5, 0).repeat(2, 1) for each in (truth, forecasts)]
    record.image("20 hours of speeds, a row a sensor: read (black: none); below, forecast", np.concatenate(bands))
    start = int((truth - plain).clamp(max=0)[:, :AHEAD].mean((1, 2)).argmin())
    maps = [[_drawn(each[start, step, order].numpy(), free) for step in range(AHEAD)] for each in (truth, forecasts)]
    record.image("the road net, dark where slow, in 20, 40, 60 minutes: read; below, forecast", np.block(maps))
    weights = solution.route(model.router(clock[::6]), DAY)[0].detach()
    record.matrix("weights of the experts (columns), every two hours from midnight", weights)
    help = "without its neighbours a sensor sees no jam come: do both directions of the roads reach the forecast?"
    misses, errors = ((each - truth)[:, 0].abs()[truth[:, 0] != 0] for each in (plain, forecasts))
    jams = misses >= misses.quantile(0.9)
    share = float(errors[jams].mean() / misses[jams].mean())
    assert_beats(share, BAR, higher=False, name="error in jams as a share of the average day's", help=help)
