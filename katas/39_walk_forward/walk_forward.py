"""Walk forward: a trading rule may know the past alone, and the past begins before you sort, scale, fit or smooth.

    day               0      1      2      3      4
    price           100    110     99     99  118.8      decided at the close of a day, on prices up to that close,
    return            0   +10%   -10%      0   +20%      a position earns the return of the NEXT day

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    simple_returns   prices to returns
    net_returns      positions to what they earn, a day late and after costs: the core of every backtest
    sharpe           what is earned for each unit of risk, by the year;  max_drawdown: the worst fall from a peak
    first_leak       a detector: given any signal, find the first day on which it knows the future
    training_rows    purge and embargo: which rows a model may learn from when it is to be tried on these days
    trailing_means   features of the past;  walk_forward: scale and fit anew for every block, on its past alone

Below them stands what is given: two models to fit, a maker of signals to try your detector on, and `make_strategy`,
which joins your functions to a whole strategy. All days are rows: row t of any array belongs to the close of day t.

Letters in shapes: T days, W windows, F features, N training rows, K weights, A other futures. All numbers are float64,
rows int64. NumPy is all you need. Write pure functions: return new arrays, and leave those that you were given as they are.
"""

from collections.abc import Callable

import numpy as np

Signal = Callable[[np.ndarray], np.ndarray]  # a series (T,) to values (T,), for T of any size from 1
Predict = Callable[[np.ndarray], np.ndarray]  # features (N, F) to predictions (N,)


def simple_returns(prices: np.ndarray) -> np.ndarray:
    """By what share each price is above the one before it.

    Simple returns and not their logarithms: a position of 0.5 earns half of a simple return, but not half of a log return.

    prices (T,)    above 0

    Returns the returns, the first of which is 0: there is no price before it.
    returns (T,)   price by the price before, less 1
    """
    raise NotImplementedError(
        "simple_returns: prices[1:] by prices[:-1]; mind that the result is as long as the prices"
    )


def net_returns(positions: np.ndarray, returns: np.ndarray, cost: float) -> np.ndarray:
    """What a strategy earns on each day: the position of the day before times the return, less the cost of trading.

    positions (T,)   what is held from the close of each day on, as a share of the money: 1 all in, -1 sold short, 0 out
    returns (T,)     the simple return of each day, up to its close
    cost             the share lost for each unit by which the position changes, paid on the day of the change

    Returns the net returns. Before day 0 nothing is held, so the first entry costs too, and day 0 earns nothing.
    net (T,)         position of the day before * return - cost * |position - position of the day before|
    """
    raise NotImplementedError(
        "net_returns: shift the positions by one day first, with 0 in front; both terms need the shifted ones"
    )


def sharpe(net: np.ndarray, periods: int = 252) -> float:
    """The Sharpe ratio by the year: mean by standard deviation (N - 1 in its denominator), times the root of `periods`.

    net (T,)   net returns
    periods    how many of them a year has

    Returns the ratio.
    ratio ()   0 where all net returns are equal, or where there is one alone
    """
    raise NotImplementedError("sharpe: a sum over n days grows like n, and its standard deviation like the root of n")


def max_drawdown(net: np.ndarray) -> float:
    """The largest fall of the equity from its highest value so far, as a share of that value.

    Equity begins at 1, before the first day, and is multiplied by 1 + net return on each day: the start counts as a peak.

    net (T,)   net returns, -1 or more

    Returns the fall.
    fall ()    from 0 (never below a peak) to 1 (all is lost)
    """
    raise NotImplementedError("max_drawdown: np.cumprod with the start in front, and np.maximum.accumulate")


def first_leak(signal: Signal, series: np.ndarray, others: np.ndarray) -> int:
    """The first day on whose value the signal knows what comes after it.

    Day t leaks where the signal's value of day t on the whole series is not the one that it gives
      - on the prefix alone, series[:t + 1], or
      - on the prefix with another future behind it: row a of `others` from t + 1 on.

    Two values are the same where |one - value on the whole| <= 1e-9 * (1 + |value on the whole|), or where both are NaN,
    as in a warm-up. A signal may write into the array that it is given: hand it a new one each time.

    signal          any function from a series (T,) to values (T,)
    series (T,)     what it is tried on
    others (A, T)   other series: what might have come instead; A may be 0

    Returns the first day that leaks, -1 where none does.
    """
    raise NotImplementedError(
        "first_leak: for each day two sorts of calls, and only the value of that very day is compared"
    )


def training_rows(days: int, start: int, stop: int, horizon: int, embargo: int) -> tuple[np.ndarray, np.ndarray]:
    """Which rows may be learned from, where a model is to be tried on the rows start, ..., stop - 1.

    The label of row i is the return from the close of day i to that of day i + horizon: it is made of the returns of the
    days i + 1, ..., i + horizon. Purge: a row takes no part if its label has a day in common with that of a row on trial.
    Embargo: nor do the first `embargo` rows after the trial that are left, which still look much like it.

    days       T; a row whose label would end beyond the last day has none, and takes no part
    start      the first row on trial, 0 or more
    stop       the first row after them, above start, at most T
    horizon    days in a label, 1 or more
    embargo    0 or more

    Returns (before, after), each in order. To walk forward is to learn from `before` alone; cross-validation takes both.
    before (N,)   rows before the trial; their labels are known at the close of day `start`
    after (N,)    rows after it
    """
    raise NotImplementedError(
        "training_rows: the labels on trial cover the days start + 1 to stop - 1 + horizon; the rest is two inequalities"
    )


def trailing_means(series: np.ndarray, windows: list[int]) -> np.ndarray:
    """Means over the last days, up to and including the day itself.

    series (T,)      such as returns
    windows          lengths, each 1 or more

    Returns one column for each window.
    means (T, W)     over the last `window` days; of as many as there are, where there are fewer
    """
    raise NotImplementedError(
        "trailing_means: a window ends at its own day, and holds no day before the first; begin with two plain loops"
    )


def walk_forward(
    features: np.ndarray, labels: np.ndarray, horizon: int, first: int, size: int, model: str = "ridge"
) -> np.ndarray:
    """Predictions of each day by a model that has seen only what was known when its block began.

    The rows from `first` on are cut into blocks of `size` (the last may be shorter). For each block, on its rows `before`
    (see training_rows) alone: mean and standard deviation (N in its denominator) of every feature, then the model, which
    sees features less mean, by deviation. The block's features go the same way, by the same numbers, into the prediction.

    features (T, F)  of each day; one that is constant in training is divided by 1
    labels (T,)      of each row; NaN where they end beyond the last day
    horizon          days in a label
    first            the first row that is predicted, horizon or more
    size             rows of a block, 1 or more
    model            a key of MODELS: MODELS[model](x, y) fits it and returns the function that predicts

    Returns the predictions.
    predictions (T,)  0 for the rows before `first`
    """
    raise NotImplementedError(
        "walk_forward: a loop over starts; rows, scaler, fit, and then only this block's rows are predicted"
    )


# Given from here on. Play with it; the suite uses it as it is.


def fit_ridge(x: np.ndarray, y: np.ndarray, penalty: float = 10.0) -> Predict:
    """Linear regression with a penalty on its weights, and none on its intercept."""
    mean, centred = y.mean(), x - x.mean(axis=0)
    weights = np.linalg.solve(centred.T @ centred + penalty * np.eye(x.shape[1]), centred.T @ (y - mean))
    return lambda new: mean + (new - x.mean(axis=0)) @ weights


def fit_network(x: np.ndarray, y: np.ndarray, hidden: int = 8, steps: int = 100, rate: float = 0.3) -> Predict:
    """A network of one tanh layer: gradient descent with momentum on all rows at once, always from the same first weights."""
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(x.shape[1] + 1, hidden)), np.zeros(hidden + 1)
    unit = y.std() or 1.0
    moves = [np.zeros_like(first), np.zeros_like(second)]

    def layers(new: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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


def make_signal(weights: np.ndarray, ahead: int = 0, since: int = 0, scale: str = "", writes: bool = False) -> Signal:
    """A signal to try first_leak on: value t is the sum of weights[k] * series[t + ahead - k], NaN for the first K - 1 days.

    weights (K,)   ahead of 0 looks at the last K days; K // 2 makes a centred window of it. What is not there counts as 0
    ahead          how many days it looks ahead ...
    since          ... from this day on
    scale          what values are divided by: "past" the largest |series| so far, "all" the largest of all, "length" T
    writes         whether it leaves zeros in the array that it was given
    """

    def signal(series: np.ndarray) -> np.ndarray:
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


def make_strategy(
    windows: list[int], horizon: int = 1, first: int = 250, size: int = 50, model: str = "ridge"
) -> Signal:
    """Your functions, joined: a function from prices to predictions of the return of the next `horizon` days."""

    def strategy(prices: np.ndarray) -> np.ndarray:
        labels = np.full(len(prices), np.nan)
        labels[:-horizon] = prices[horizon:] / prices[:-horizon] - 1.0
        features = trailing_means(simple_returns(prices), windows)
        return walk_forward(features, labels, horizon, first, size, model)

    return strategy
