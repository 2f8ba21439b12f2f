"""Rows by the days that labels are made of, and predictions whose future is poisoned: what is not shown beforehand."""

import numpy as np
import pytest

from grader.checks import assert_close, assert_parts, text


@pytest.mark.value
def test_rows_by_their_labels(solution, rng):
    """No day of a label that is learned from is a day of a label on trial"""
    help = "labels as sets of days: i + 1 to i + horizon; then the embargo; and labels that end beyond the last day"
    for _ in range(80):
        days, horizon, embargo = int(rng.integers(2, 60)), int(rng.integers(1, 8)), int(rng.integers(0, 5))
        start = int(rng.integers(0, days))
        stop = int(rng.integers(start + 1, days + 1))
        of = [set(range(row + 1, row + horizon + 1)) for row in range(days)]
        on_trial = set().union(*of[start:stop])
        free = [row for row in range(days) if not of[row] & on_trial and max(of[row]) < days]
        expected = [row for row in free if row < start], [row for row in free if row >= stop][embargo:]
        got = solution.training_rows(days, start, stop, horizon, embargo)
        for name, rows, right in zip(
            ("before", "after"),
            assert_parts(got, ("before", "after"), name="training_rows"),
            expected,
            strict=True,
        ):
            assert_close(rows, np.array(right, dtype=np.int64), tol=1e-9, name=name, help=help)


@pytest.mark.behaviour
def test_poisoned_future(solution, rng):
    """Features and labels that are not yet known at a day's close may be anything: its prediction stays"""
    help = "the label of row i is known at the close of day i + horizon; features of later days are in no mean"
    for days, width, horizon, first, size in (
        (60, 3, 1, 20, 10),
        (57, 2, 5, 21, 9),
        (44, 4, 8, 8, 50),
        (70, 1, 3, 30, 1),
    ):
        features, labels = rng.normal(size=(days, width)), rng.normal(size=days)
        whole = solution.walk_forward(features, labels, horizon, first, size)
        for close in (first, first + 1, first + size - 1, first + size, days - 2):
            if close < days:
                later_features, later_labels = features.copy(), labels.copy()
                later_features[close + 1 :] = 1e6 * rng.normal(size=(days - close - 1, width))
                later_labels[max(0, close + 1 - horizon) :] = 1e6
                got = solution.walk_forward(later_features, later_labels, horizon, first, size)
                name = text("predictions up to day {day}, with another future", day=close)
                assert_close(got[: close + 1], whole[: close + 1], tol=1e-9, name=name, help=help)
