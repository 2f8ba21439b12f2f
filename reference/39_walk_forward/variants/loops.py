"""Day by day, as a trader keeps a ledger: plain loops, Python numbers, sets of rows."""

import math
import statistics

import numpy as np


def simple_returns(prices):
    returns, before = [], None
    for price in prices.tolist():
        returns.append(0.0 if before is None else (price - before) / before)
        before = price
    return np.array(returns)


def net_returns(positions, returns, cost):
    held, net = 0.0, []
    for wanted, moved in zip(positions.tolist(), returns.tolist(), strict=True):
        earned = held * moved
        paid = cost * abs(wanted - held)
        net.append(earned - paid)
        held = wanted
    return np.array(net)


def sharpe(net, periods=252):
    numbers = net.tolist()
    if len(set(numbers)) < 2:
        return 0.0
    return statistics.fmean(numbers) * math.sqrt(periods) / statistics.stdev(numbers)


def max_drawdown(net):
    equity = peak = 1.0
    fall = 0.0
    for one in net.tolist():
        equity *= 1.0 + one
        peak = max(peak, equity)
        fall = max(fall, (peak - equity) / peak)
    return fall


def first_leak(signal, series, others):
    def same(value, wanted):
        if math.isnan(value) or math.isnan(wanted):
            return math.isnan(value) and math.isnan(wanted)
        return abs(value - wanted) <= 1e-9 * (1.0 + abs(wanted))

    whole = signal(np.array(series))
    for today in range(len(series)):
        alone = signal(np.array(series[: today + 1]))
        if not same(alone[today], whole[today]):
            return today
        for other in others:
            altered = np.array(other)
            altered[: today + 1] = series[: today + 1]
            if not same(signal(altered)[today], whole[today]):
                return today
    return -1


def training_rows(days, start, stop, horizon, embargo):
    first_day, last_day = start + 1, stop - 1 + horizon
    before, after = [], []
    for row in range(days):
        if row + horizon >= days:
            continue
        if row + horizon < first_day:
            before.append(row)
        elif row + 1 > last_day + embargo:
            after.append(row)
    return np.array(before, dtype=np.int64), np.array(after, dtype=np.int64)


def trailing_means(series, windows):
    means = np.zeros((len(series), len(windows)))
    for column, window in enumerate(windows):
        for today in range(len(series)):
            begin = max(0, today - window + 1)
            means[today, column] = series[begin : today + 1].mean()
    return means


def walk_forward(features, labels, horizon, first, size, model="ridge"):
    predictions = np.zeros(len(labels))
    start = first
    while start < len(labels):
        stop = min(len(labels), start + size)
        known = training_rows(len(labels), start, stop, horizon, 0)[0].tolist()
        learned = np.array([features[row] for row in known])
        asked = np.array(features[start:stop])
        for column in range(features.shape[1]):
            values = learned[:, column].copy()
            mean, spread = values.mean(), values.std()
            spread = 1.0 if values.min() == values.max() else spread
            learned[:, column] = (values - mean) / spread
            asked[:, column] = (asked[:, column] - mean) / spread
        predictions[start:stop] = MODELS[model](learned, labels[known])(asked)
        start = stop
    return predictions


def fit_ridge(x, y, penalty=10.0):
    mean, centred = y.mean(), x - x.mean(axis=0)
    weights = np.linalg.solve(centred.T @ centred + penalty * np.eye(x.shape[1]), centred.T @ (y - mean))
    return lambda new: mean + (new - x.mean(axis=0)) @ weights


def fit_network(x, y, hidden=8, steps=100, rate=0.3):
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(x.shape[1] + 1, hidden)), np.zeros(hidden + 1)
    unit = y.std() or 1.0
    moves = [np.zeros_like(first), np.zeros_like(second)]

    def layers(new):
        ones = np.ones((len(new), 1))
        return np.hstack([new, ones]), np.hstack([np.tanh(np.hstack([new, ones]) @ first), ones])

    for _ in range(steps):
        inputs, middle = layers(x)
        errors = (middle @ second - y / unit) / len(y)
        below = errors[:, None] * second[:-1] * (1.0 - middle[:, :-1] ** 2)
        for weights, move, slope in zip((first, second), moves, (inputs.T @ below, middle.T @ errors), strict=True):
            move *= 0.8
            move -= rate * slope
            weights += move
    return lambda new: unit * (layers(new)[1] @ second)


MODELS = {"ridge": fit_ridge, "network": fit_network}


def make_signal(weights, ahead=0, since=0, scale="", writes=False):
    def signal(series):
        days = np.arange(len(series))
        seen = days[:, None] - np.arange(len(weights)) + ahead * (days >= since)[:, None]
        there = (seen >= 0) & (seen < len(series))
        values = np.where(there, series[np.where(there, seen, 0)], 0.0) @ weights
        values[: len(weights) - 1] = np.nan
        sizes = np.abs(series)
        by = {"past": np.maximum.accumulate(sizes), "all": sizes.max(), "length": len(series)}
        values = values / by.get(scale, 1.0)
        if writes:
            series[:] = 0.0
        return values

    return signal


def make_strategy(windows, horizon=1, first=250, size=50, model="ridge"):
    def strategy(prices):
        labels = np.full(len(prices), np.nan)
        labels[:-horizon] = prices[horizon:] / prices[:-horizon] - 1.0
        features = trailing_means(simple_returns(prices), windows)
        return walk_forward(features, labels, horizon, first, size, model)

    return strategy
