"""The suite of kata 39: ledgers, risk, leaks and folds beside oracles, and walks on which there is nothing to find."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import lfilter
from scipy.stats import ttest_1samp
from sklearn.linear_model import Ridge
from sklearn.model_selection import TimeSeriesSplit
from sklearn.preprocessing import StandardScaler

from grader.checks import assert_beats, assert_close, assert_parts, assert_shape, assert_that, assert_unchanged, text

TOL = 1e-9
LENGTHS = [1, 2, 3, 7, 40, 11, 1103, 5003]
PRICES = np.array([100, 110, 99, 99, 118.8])  # +10 %, -10 %, nothing, +20 %
# Weights of a signal, how it is made, and the first day that leaks.
THREE, FIVE = [0.5, 0.3, 0.2], 5 * [0.2]
SIGNALS = [
    (THREE, {}, -1),
    (THREE, {"scale": "past", "writes": True}, -1),
    (FIVE, {"ahead": 2}, 4),
    ([1.0], {"ahead": 1, "writes": True}, 0),
    ([1.0], {"ahead": 7}, 0),
    ([1e-6, 1.0], {"ahead": 1}, 1),
    ([1e-13, 1.0], {"ahead": 1}, -1),
    ([0.5, 0.5], {"scale": "all"}, 1),
    (THREE, {"scale": "length"}, 2),
    (FIVE, {"ahead": 1, "since": 17}, 17),
    ([1.0], {"ahead": 1, "since": 38}, 38),
    (12 * [0.1], {"ahead": 1}, 11),
]
# Days, first, stop, horizon, embargo, and by hand how many rows before, and where those after begin and end.
FOLDS = [(12, 5, 7, 1, 0, 5, 7, 11), (12, 5, 7, 2, 0, 4, 8, 10), (12, 5, 7, 2, 1, 4, 9, 10), (12, 0, 4, 3, 1, 0, 7, 9)]
FOLDS += [(12, 2, 3, 4, 0, 0, 6, 8), (12, 9, 12, 3, 2, 7, 0, 0), (1, 0, 1, 1, 0, 0, 0, 0), (9, 4, 5, 1, 3, 4, 8, 8)]
FOLDS += [(12, 0, 1, 2, 1, 0, 3, 10), (6001, 3000, 3001, 5, 20, 2996, 3025, 5996)]
# Days, features, horizon, first, size, model.
FORWARD = [(40, 3, 2, 11, 7), (29, 1, 1, 1, 5), (23, 5, 4, 4, 1), (31, 2, 3, 12, 90), (36, 2, 5, 35, 1)]
FORWARD += [(1203, 4, 20, 700, 160), (5003, 2, 1, 4000, 600), (37, 3, 3, 14, 12, "network")]
# Days of a walk on which nothing is planted, how many there are, and what a strategy is told of windows, horizon, first, size.
DAYS, WALKS, STRATEGY = 600, 40, ([1, 5, 20], 1, 200, 100)
# What is planted, the model for it, days, first, size, walks, bar: mid-way between ablations and what right ones come to.
PLANTED = [("a line", "ridge", 600, 200, 100, 12, 0.6), ("a bend", "network", 1000, 400, 200, 8, 0.5)]


def _series(rng, days):
    """Numbers in a view that runs backwards, some of them equal."""
    series = rng.normal(size=2 * days)[::-2]
    series[rng.permutation(days)[: days // 3]] = series[days // 2]
    return series


def _prices(rng, days):
    return 10.0 ** rng.integers(-5, 6) * np.exp(np.cumsum(0.1 * _series(rng, days)))[::-1]


def _net(rng, days, size=0.02):
    return np.maximum(size * _series(rng, days), -0.9)


@pytest.mark.shape
def test_shapes(solution, rng):
    """Every array has a row for each day, ratios and falls are numbers, and rows are whole numbers"""
    for days in (1, 5, 40):
        prices, net = _prices(rng, days), _net(rng, days)
        assert_shape(solution.simple_returns(prices), (days,), dtype=np.float64, name="returns")
        assert_shape(solution.net_returns(net, net, 0.1), (days,), dtype=np.float64, name="net")
        assert_shape(solution.trailing_means(net, [2, 3, 9]), (days, 3), dtype=np.float64, name="means")
        assert_shape(solution.max_drawdown(net), (), name="fall")
    assert_that(solution.sharpe(net) != 0, "{name} is 0 for returns that differ", name="ratio")
    for rows in assert_parts(solution.training_rows(30, 9, 11, 2, 5), ("before", "after"), name="training_rows"):
        assert_shape(rows, (len(rows),), dtype=np.int64, name="before")


@pytest.mark.value
def test_simple_returns(solution, rng):
    """Returns are simple ones, each on the day to whose close it leads; the first day has none"""
    help = "price by the price before, less 1, and no logarithm; as long as the prices, with a 0 in front"
    for prices in [PRICES, np.array([1.0, 100.0, 3.0, 5000.0]), *(_prices(rng, days) for days in 2 * LENGTHS)]:
        expected = np.append(0.0, np.expm1(np.diff(np.log(prices))))
        assert_close(solution.simple_returns(prices), expected, tol=TOL, name="returns", help=help)


@pytest.mark.value
def test_net_returns(solution, rng):
    """A position earns the return of the next day, and each change of it costs, the first entry too"""
    help = "position of the day before; cost of the change and not of the position; nothing is held before day 0"
    returns = np.array([0.0, 0.1, -0.1, 0.0, 0.2])
    by_hand = [([1, 1, -0.5, -0.5, 0], 0.01, [-0.01, 0.1, -0.115, 0, -0.105])]
    by_hand += [([1, 1, 1, 1, 1], 0.01, [-0.01, 0.1, -0.1, 0, 0.2]), ([0, 0, 0, 0, 3], 0.5, [0, 0, 0, 0, -1.5])]
    for positions, cost, expected in by_hand:
        got, name = solution.net_returns(np.array(positions, float), returns, cost), text("net returns of five days")
        assert_close(got, np.array(expected), tol=TOL, name=name, help=help)
    for case, days in enumerate(3 * LENGTHS):
        positions, returns = 10.0 ** rng.integers(-2, 3) * _series(rng, days), _net(rng, days, 10.0 ** (case % 4 - 2))
        cost = float(rng.uniform(0.01, 2)) * (case % 3 > 0)
        returns[0] = 0.3  # of a day before which nothing was held
        held = lfilter([0.0, 1.0], 1.0, positions)
        expected = held * returns - cost * np.abs(lfilter([1.0, -1.0], 1.0, positions))
        assert_close(solution.net_returns(positions, returns, cost), expected, tol=TOL, name="net", help=help)


@pytest.mark.value
def test_sharpe(solution, rng):
    """The Sharpe ratio is a mean by a standard deviation, and grows with the root of the number of periods"""
    help = "N - 1 below the variance; the root of periods, 252 where nothing is said; the mean, not the sum"
    for days in 2 * LENGTHS[1:]:
        net = 10.0 ** rng.integers(-4, 3) * _series(rng, days) + 10.0 ** rng.integers(-4, 2)
        for periods in ((), (252,), (days,), (1,), (int(rng.integers(2, 9999)),)):
            expected = ttest_1samp(net, 0.0).statistic * np.sqrt((periods or (252,))[0] / days)
            assert_close(solution.sharpe(net, *periods), float(expected), tol=TOL, name="ratio", help=help)
    for net in ([0.02], [0.0], 5 * [0.0], 7 * [0.1], 3 * [-7.7], 5003 * [0.3]):
        assert_close(solution.sharpe(np.array(net)), 0.0, tol=TOL, name=text("ratio of returns that are all equal"))


@pytest.mark.value
def test_max_drawdown(solution, rng):
    """The drawdown is the worst fall from a peak before it, and the start is a peak"""
    help = "equity by multiplying, a 1 in front of it, its running maximum; a share of the peak, not of the end"
    by_hand = [([0.1, -0.1, 0.0, 0.2], 0.1), ([-0.2, 0.1], 0.2), ([0.1, 0.1], 0.0), ([0.5, -0.5, 0.5, -0.5], 0.625)]
    for net, fall in [
        *by_hand,
        ([0.2, -1.0, 0.5], 1.0),
        ([0.0], 0.0),
        ([-0.4, 3.0, -0.3], 0.4),
        ([-0.99, 60.0, -0.99], 0.9939),
    ]:
        assert_close(solution.max_drawdown(np.array(net)), fall, tol=TOL, name=text("fall by hand"), help=help)
    for days in 2 * LENGTHS:
        net = _net(rng, days, 10.0 ** rng.integers(-4, 2) / days**0.5)
        growth = np.append(0.0, np.cumsum(np.log1p(net)))
        worst = (np.minimum.accumulate(growth[::-1])[::-1] - growth).min()  # how low it goes after each day
        assert_close(solution.max_drawdown(net), float(-np.expm1(worst)), tol=TOL, name="fall", help=help)


def _check_leak(solution, weights, made, series, others, day):
    """first_leak names this day for a signal of make_signal."""
    options = "".join(f", {key}={value!r}" for key, value in made.items())
    name = text("the first leak of {signal}", signal=f"make_signal({weights}{options})")
    help = "the day itself is past, the next one is not; prefixes and other futures; NaN is like NaN; a new array each time"
    got = solution.first_leak(solution.make_signal(np.array(weights), **made), series, others)
    assert_close(got, day, tol=TOL, name=name, help=help)


@pytest.mark.value
def test_first_leak(solution, rng):
    """first_leak names the first day that knows the future, of every signal that does, and none of an honest one"""
    for weights, made, day in SIGNALS:
        for count in (0, 1, 3):
            series, others = rng.normal(size=80)[::-2], rng.normal(size=(40, count)).T
            series[-1] = 9.0  # the largest of all is on the last day: what divides by it knows the last day
            _check_leak(solution, weights, made, series, others, day)
    tomorrow, largest, rising, falling = {"ahead": 1}, {"scale": "all"}, np.linspace(1, 9, 30), np.linspace(9, 1, 30)
    year, years = (rng.normal(size=(3, days)) for days in (1103, 5003))
    for weights, made, series, others, day in (
        ([1.0], tomorrow, np.ones(1), np.ones((2, 1)), -1),  # a single day has no tomorrow
        ([1.0], tomorrow, np.zeros(30), np.zeros((2, 30)), -1),
        ([1.0], tomorrow, np.zeros(30), np.array([0 * rising, rising]), 0),  # another future alone tells
        ([1.0], tomorrow, 5 * np.ones(30), 5 * np.ones((1, 30)), 0),  # the end of a prefix alone tells
        ([1.0], tomorrow, np.zeros(30), np.eye(30)[[5]], 4),
        ([1.5e-9], tomorrow, np.ones(30), np.ones((1, 30)), 0),  # just above the tolerance
        ([1.5e-9, 1.0], tomorrow, 1e8 * np.ones(30), 1e8 * np.ones((1, 30)), 1),
        ([1.0], largest, falling, np.zeros((1, 30)), -1),
        ([1.0], largest, falling, np.array([falling, 99 * rising]), 0),
        ([1e-12, 1.0], tomorrow, 1e8 * rising, 1e8 * falling[None], -1),
        ([1.0, 1e-3], tomorrow, 1e8 * rising, 1e8 * falling[None], 1),
        (THREE, {}, year[0], year[1:2], -1),
        ([1.0, 0.5], {"ahead": 1, "since": 1099}, year[0], year[1:2], 1099),
        ([1.0, 0.5], {"ahead": 1, "since": 3}, years[0], years[1:], 3),
    ):
        _check_leak(solution, weights, made, series, others, day)


@pytest.mark.value
def test_training_rows(solution, reference, record, rng):
    """A row is learned from only where its label has no day in common with one on trial, and embargoed rows are left out"""
    help = "labels of `horizon` days reach over both ends of the trial; the embargo stands behind it; no label, no row"
    cases = [(given, (range(count), range(*after))) for *given, count, first, end in FOLDS for after in [(first, end)]]
    for _ in range(60):
        days, horizon, embargo = int(rng.integers(2, 40)), int(rng.integers(1, 9)), int(rng.integers(0, 6))
        start = int(rng.integers(0, days))
        given = days, start, int(rng.integers(start + 1, days + 1)), horizon, embargo
        cases.append((given, reference.training_rows(*given)))
    for given, expected in cases:
        got = assert_parts(solution.training_rows(*given), ("before", "after"), name="training_rows")
        for name, rows, right in zip(("before", "after"), got, expected, strict=True):
            told, taken = text("rows of {name}, each 1 where it is learned from", name=name), np.arange(given[0])
            assert_close(1 * np.isin(taken, rows), 1 * np.isin(taken, right), tol=TOL, name=told, help=help)
            assert_close(rows, np.array(right, dtype=np.int64), tol=TOL, name=name, help=help)
    bars = np.zeros((16, 80))
    for block, bar in enumerate(bars):  # for each block a bar: to walk forward, and below it to cross-validate
        start = 20 + 7 * (block // 2)
        before, after = solution.training_rows(80, start, start + 7, 6, 4)
        bar[before], bar[start : start + 7] = 0.45, 1.0
        bar[after if block % 2 else []] = 0.45
    record.image("folds as bars: learned from (grey), tried on (white), purged, embargoed or unused (black)", bars)


@pytest.mark.value
def test_trailing_means(solution, rng):
    """A mean of the last days ends at its own day, and holds fewer days at the beginning"""
    help = "the day itself is the last of its window, none is centred; a mean of the days that are there"
    for days in 2 * LENGTHS:
        for windows in ([3], [1, 2, 5], [days, 4, days + 7]):
            series, counts = 10.0 ** rng.integers(-3, 4) * _series(rng, days), np.arange(1, days + 1)
            sums = [lfilter(np.ones(window), 1.0, series) / np.minimum(counts, window) for window in windows]
            got = solution.trailing_means(series, windows)
            assert_close(got, np.array(sums).T, tol=TOL, name="means", help=help)


def _network(x, y):
    """The given network, by torch's autograd."""
    draws, unit, x = np.random.default_rng(0).normal(size=(x.shape[1] + 1, 8)), y.std(), torch.from_numpy(x)
    weights = [torch.from_numpy(each) for each in (draws[:-1], draws[-1], np.zeros(8), np.zeros(()))]
    moves, target = [0.0] * 4, torch.from_numpy(y / unit)
    for _ in range(100):
        first, below, second, bias = (each.requires_grad_() for each in weights)
        loss = ((torch.tanh(x @ first + below) @ second + bias - target) ** 2).mean() / 2
        slopes = torch.autograd.grad(loss, weights)
        moves = [0.8 * move - 0.3 * slope for move, slope in zip(moves, slopes, strict=True)]
        weights = [(each + move).detach() for each, move in zip(weights, moves, strict=True)]
    first, below, second, bias = (each.numpy() for each in weights)
    return lambda new: unit * (np.tanh(new @ first + below) @ second + bias)


def _forward(features, labels, horizon, first, size, model="ridge"):
    """Walking forward by scikit-learn: rows after the last day, to fill up blocks, are predicted and thrown away."""
    days = len(features)
    blocks = (days - first) // size + 2
    padded = np.resize(features, (first + blocks * size, features.shape[1]))
    predictions = np.zeros(len(padded))
    fit = {"ridge": lambda x, y: Ridge(alpha=10.0).fit(x, y).predict, "network": _network}[model]
    for rows, trial in TimeSeriesSplit(blocks, test_size=size, gap=horizon - 1).split(padded):
        if trial[0] < days:
            scaler = StandardScaler().fit(features[rows])
            predict = fit(scaler.transform(features[rows]), labels[rows])
            predictions[trial] = predict(scaler.transform(padded[trial]))
    return predictions[:days]


def _table(rng, size, far=1.0):
    """Features that drift, one of them constant at first, some rows twice; labels with none at the end."""
    days, width, horizon, first, *_ = size
    features = far * np.cumsum(rng.normal(size=(width, days)), axis=1).T * np.arange(1, width + 1) + 3.0
    features[1::3] = features[: len(features[1::3])]
    if width > 2:
        features[: first + 1, 1] = 4.0
    labels = (0.1 * features[:, -1] / far + rng.normal(size=days))[::-1]
    labels[days - horizon :] = np.nan
    return features, labels


@pytest.mark.value
def test_walk_forward(solution, rng):
    """Each block is predicted by a scaler and a model of its own past, as scikit-learn and torch fit them"""
    help = "rows before the block whose labels are known; mean and deviation of these rows; a fit anew for every block"
    for case, size in enumerate([*FORWARD, *FORWARD[:4], FORWARD[-1]]):
        features, labels = _table(rng, size, (1.0, 1e3, 1e-3)[case % 3])
        expected = _forward(features, labels, *size[2:])
        got = solution.walk_forward(features, labels, *size[2:])
        assert_close(got, expected, tol=1e-8, name="predictions", help=help)


@pytest.mark.behaviour
def test_your_own_strategy(solution, rng):
    """Your functions, joined, predict the same on a prefix as on the whole, and whatever comes after it"""
    help = "mean, deviation, window, rows and labels: which of them has seen a later day?"
    for horizon, model in ((3, "network"), (1, "ridge"), (6, "ridge")):
        strategy = solution.make_strategy([1, 4, 9], horizon, 31, 13, model)
        prices, other = (np.exp(np.cumsum(0.1 * rng.normal(size=71))) for _ in range(2))
        whole = strategy(prices)
        spread, name = np.ptp(whole[31:]), text("predictions from day 31 on")
        assert_that(spread > 0, "{name} are all equal", name=name)
        for cut in (1, 2, 31, 32, 38, 44, 45, 57, 70):
            for rest in ([], 5 * other[cut:]):
                given, name = np.append(prices[:cut], rest), text("predictions of {cut} days, whatever comes", cut=cut)
                assert_close(strategy(given)[:cut], whole[:cut], tol=TOL, name=name, help=help)
    leak = solution.first_leak(strategy, prices[:40], np.exp(rng.normal(size=(1, 40))))
    assert_close(leak, -1, tol=TOL, name=text("the first leak of your own strategy"), help=help)


@pytest.mark.behaviour
def test_calls_leave_no_trace(solution, rng, mutated):
    """Arguments stay as they were, and a call with the same ones gives the same numbers"""
    net, prices, positions = _net(rng, 30), _prices(rng, 30), _series(rng, 30)
    signal, series, others = solution.make_signal(np.ones(2), 0, 0, "", True), _series(rng, 9), rng.normal(size=(2, 9))
    calls = {
        "returns": (solution.simple_returns, prices),
        "net": (solution.net_returns, positions, net, 0.1),
        "ratio": (solution.sharpe, net),
        "fall": (solution.max_drawdown, net),
        "means": (solution.trailing_means, net, [3, 2]),
        "predictions": (solution.walk_forward, *_table(rng, FORWARD[0]), *FORWARD[0][2:]),
        "leak": (solution.first_leak, signal, series, others),
    }
    first = {name: function(*given) for name, (function, *given) in calls.items()}
    for name, (function, *given) in calls.items():
        assert_close(function(*given), first[name], tol=TOL, name=text("{name}, asked for again", name=name))
    assert_that(np.ptp(first["returns"]) > 0, "{name} are all equal", name="returns")
    assert_close(first["leak"], -1, tol=TOL, name=text("the first leak of an honest signal that writes"))
    assert_unchanged(mutated)


def _walk(rng, kind, days):
    """Prices whose returns are noise of 1 % around a planted drift, and the drift: of the mean of the last five days."""
    returns, drift = 0.01 * rng.normal(size=days), np.zeros(days)
    for day in range(1, days if kind != "nothing" else 0):
        mean = returns[max(0, day - 5) : day].mean()
        drift[day] = 0.5 * mean if kind == "a line" else abs(mean) - 0.0036
        returns[day] += drift[day]
    return 100 * np.cumprod(1 + returns), drift


def _backtest(solution, predictions, prices):
    """The equity of a position by the sign of each prediction, without costs, and its Sharpe ratio once there are any."""
    net = solution.net_returns(np.sign(np.nan_to_num(predictions)), solution.simple_returns(prices), 0.0)
    return np.cumprod(1 + net), solution.sharpe(net[STRATEGY[2] + 1 :])


@pytest.mark.convergence
def test_random_walks_and_planted_edges(solution, rng, record):
    """On random walks a leak looks brilliant and your strategy finds nothing; it does find an edge that is there"""
    ridge, centred, ratios = solution.make_strategy(*STRATEGY), solution.make_signal(np.full(5, 0.2), 2), []
    for walk in range(WALKS):
        prices, _ = _walk(rng, "nothing", DAYS)
        equity, honest = _backtest(solution, ridge(prices), prices)
        brilliant, leaking = _backtest(solution, centred(solution.simple_returns(prices)), prices)
        ratios.append((honest, leaking))
        if walk == 0:
            record.curve("equity on a random walk: your own strategy, beside 1", equity, baseline=1.0)
            record.curve("equity on the same walk: a centred mean, which knows two days ahead", brilliant, baseline=1.0)
    mean, error = np.mean(ratios, axis=0), np.std(ratios, axis=0, ddof=1) / np.sqrt(WALKS)
    reach, name = 12 * error[0] - abs(mean[0]), text("how far the interval of your Sharpe ratio reaches over 0")
    assert_beats(reach, 0.0, name=name, help="which number of a day was not yet known at its close?")
    assert_beats(mean[1] - 6 * error[1], 3.0, name=text("the lower end of the Sharpe ratio of a rule that leaks"))
    for kind, model, days, first, size, count, bar in PLANTED:
        strategy, found = solution.make_strategy(*STRATEGY[:2], first, size, model), []
        for prices, drift in (_walk(rng, kind, days) for _ in range(count)):
            found.append(np.corrcoef(strategy(prices)[first:-1], drift[first + 1 :])[0, 1])
        name = text("the correlation of predictions with the planted drift")
        help = "features, labels, and a fit for each block"
        assert_beats(float(np.mean(np.nan_to_num(found))), bar, name=name, help=help)
