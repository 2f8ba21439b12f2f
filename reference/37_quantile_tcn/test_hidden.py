"""A trial that nobody has seen, and the straight line that the network does not beat, scored by the learner's own parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import QuantileRegressor

from grader.checks import assert_close, assert_parts, load_state, normal, text

DATA = Path(__file__).parents[2] / "katas/37_quantile_tcn/nino12.csv"
FIRST, STEP, AHEAD, LAGS, PERIOD, LEVELS = 360, 184, 6, 3, 12, (0.1, 0.3, 0.5, 0.7, 0.9)
LINE = {6: 0.595}  # CRPS in degrees by months ahead
# Months, first origin, step, period; filters, taps, depth, months ahead, quantiles; steps.
TRIALS = [(57, 21, 11, 7, 5, 3, 3, 3, 4, 5), (90, 70, 40, 12, 3, 2, 1, 8, 2, 12), (64, 18, 23, 3, 4, 2, 4, 1, 6, 2)]


@pytest.mark.value
def test_trials_nobody_has_seen(solution, reference, rng):
    """From a series to scores, shares and their interval, on series of other lengths and years"""
    for months, first, step, period, filters, taps, depth, horizons, count, steps in TRIALS:
        series = 12 + normal(rng, months).cumsum(0) + 4 * normal(rng, period).repeat(months)[:months]
        noise, size = normal(rng, steps, months) / 4, (3, filters, taps, depth, horizons, count)
        oracle = reference.TCN(*size, dtype=torch.float64)
        shapes = {name: tuple(each.shape) for name, each in oracle.named_parameters()}
        values = {name: normal(rng, *shape) * max(np.prod(shape[1:]), 4) ** -0.5 for name, shape in shapes.items()}
        model = load_state(solution.TCN(*size, dtype=torch.float64), values)
        asked = series, first, step, noise, 0.02, period
        wanted = reference.backtest(load_state(oracle, values), *asked)
        found = assert_parts(solution.backtest(model, *asked), ("quantiles", "targets"), name="backtest")
        for name, got, want in zip(("quantiles", "targets"), found, wanted, strict=True):
            assert_close(got, want, tol=1e-6, name=text("{name} of backtest", name=name))
        assert_close(solution.crps(*found), reference.crps(*wanted), name="crps")
        assert_close(solution.calibration(*found), reference.calibration(*wanted), name="calibration")
        ends = found[0][:, 0, 0], found[0][:, 0, -1], found[1][:, 0]
        assert_close(list(solution.coverage(*ends))[1], list(reference.coverage(*ends))[1], name="coverage")


@pytest.mark.value
def test_straight_line(solution):
    """With your scales, targets, folds and score, linear quantile regression reaches what the page says of it"""
    table = np.genfromtxt(DATA, delimiter=",", skip_header=1)
    series = torch.from_numpy(table[:, 1:].ravel())
    folds = [tuple(each) for each in solution.folds(len(series), FIRST, STEP, AHEAD)]
    for step, score in LINE.items():
        found = []
        for origin, stop in folds:
            scaled, usual, unit = (each.numpy() for each in solution.anomalies(series, origin, PERIOD))
            angles = np.arange(LAGS - 1, len(series)) * 2 * np.pi / PERIOD
            heard = np.lib.stride_tricks.sliding_window_view(scaled, LAGS)
            heard = np.column_stack([heard, np.sin(angles), np.cos(angles)])
            targets = solution.ahead(torch.from_numpy(scaled[:origin]), AHEAD)[LAGS - 1 :, step - 1].numpy()
            known = heard[: len(targets)], targets
            asked = heard[origin - LAGS : stop - LAGS]
            lines = [QuantileRegressor(quantile=tau, alpha=0).fit(*known).predict(asked) for tau in LEVELS]
            months = usual[(np.arange(origin, stop) + step - 1) % PERIOD]
            found.append(np.sort(lines, 0).T * unit + months[:, None])
        scores = solution.crps(
            torch.from_numpy(np.concatenate(found)), series[FIRST + step - 1 :][: sum(map(len, found))]
        )
        name = text("CRPS of the line {step} months ahead", step=step)
        assert_close(round(float(scores.mean()), 3), score, tol=4e-3, name=name)
