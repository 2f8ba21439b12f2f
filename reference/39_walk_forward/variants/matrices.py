"""Whole arrays at once: differences, cumulative logarithms, windows as views, a scaler as a class."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def simple_returns(prices):
    return np.diff(prices, prepend=prices[0]) / np.concatenate((prices[:1], prices[:-1]))


def net_returns(positions, returns, cost):
    trades = np.diff(positions, prepend=0.0)
    earlier = np.zeros_like(positions)
    earlier[1:] = positions[:-1]
    return returns * earlier - cost * abs(trades)


def sharpe(net, periods=252):
    count = net.size
    away = net - net.mean()
    variance = away @ away / max(count - 1, 1)
    if (net == net[0]).all():
        return 0.0
    return float(periods**0.5 * net.mean() / variance**0.5)


def max_drawdown(net):
    equity = np.ones(net.size + 1)
    equity[1:] = (net + 1.0).cumprod()
    peaks = np.maximum.accumulate(equity)
    return ((peaks - equity) / peaks).max().item()


def first_leak(signal, series, others):
    length = len(series)
    truth = np.asarray(signal(series + 0.0))
    told = np.empty((1 + len(others), length))
    for day in range(length):
        told[0, day] = signal(series[: day + 1] + 0.0)[-1]
        for row, other in enumerate(others, start=1):
            mixed = np.where(np.arange(length) <= day, series, other)
            told[row, day] = signal(mixed)[day]
        wrong = ~np.isclose(told[:, day], truth[day], rtol=1e-9, atol=1e-9, equal_nan=True)
        if wrong.any():
            return day
    return -1


def training_rows(days, start, stop, horizon, embargo):
    rows = np.arange(days)
    labelled = rows < days - horizon
    before = labelled & (rows <= start - horizon)
    after = labelled & (rows >= stop + horizon - 1 + embargo)
    return rows[before], rows[after]


def trailing_means(series, windows):
    columns = []
    for window in windows:
        padded = np.concatenate((np.full(window - 1, np.nan), series))
        columns.append(np.nanmean(sliding_window_view(padded, window), axis=1))
    return np.column_stack(columns)


class Scaler:
    def __init__(self, rows):
        self.middle = np.mean(rows, axis=0)
        self.width = np.std(rows, axis=0)
        self.width[np.max(rows, axis=0) == np.min(rows, axis=0)] = 1.0

    def __call__(self, rows):
        return (rows - self.middle) / self.width


def walk_forward(features, labels, horizon, first, size, model="ridge"):
    days, parts = labels.size, [np.zeros(first)]
    for start in range(first, days, size):
        block = slice(start, start + size)
        past, _ = training_rows(days, start, min(days, start + size), horizon, 0)
        scaler = Scaler(features[past])
        fitted = MODELS[model](scaler(features[past]), labels[past])
        parts.append(fitted(scaler(features[block])))
    return np.concatenate(parts)


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
