"""Each function by its definition, and the whole card by scikit-learn: oracles that say how it is done, and so are not shown."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from grader.checks import assert_close, assert_parts, text


def _woe(bins, bad, count, smoothing):
    """Log odds of being good in a bin, minus those of all: bin by bin."""
    share = bad.mean()
    odds = [(np.sum(bad[bins == i] == 0), np.sum(bad[bins == i] == 1)) for i in range(count)]
    logs = [np.log((g + smoothing * (1 - share)) / (b + smoothing * share)) for g, b in odds]
    return np.array(logs) - np.log((1 - share) / share)


def _cutoff(p, bad, missed, refused):
    """Every cut-off tried on every applicant."""
    costs = [(np.where(p >= c, refused * (bad == 0), missed * (bad == 1)).sum(), -c) for c in {2.0, *p.tolist()}]
    cost, cutoff = min(costs)
    return -cutoff, cost / len(p)


def _encoded(applicants, counts, bad, training):
    """Bins by counting how many quartiles of the training rows an amount reaches."""
    columns = []
    for column, count in zip(applicants.T, counts, strict=True):
        quartiles = np.percentile(column[training], [25, 50, 75])
        bins = column.astype(int) if count else (column[:, None] >= quartiles).sum(axis=1)
        columns.append(_woe(bins[training], bad[training], count or 4, 10.0)[bins])
    return np.stack(columns, axis=1)


@pytest.mark.value
def test_a_scorecard_by_definition(solution, rng):
    """Bins, weights, a cut-off and a whole card, as their definitions and scikit-learn have them"""
    for count, answers in ((80, [3, 0, 4]), (200, [0, 0]), (45, [9]), (400, [5, 2, 0, 3])):
        columns = [rng.integers(0, n, count) if n else np.round(rng.lognormal(7, 1, count)) for n in answers]
        applicants, bad = np.array(columns, dtype=np.float64).T, rng.integers(0, 2, count) * rng.integers(0, 2, count)
        training, validation, _ = np.split(rng.permutation(count), [count // 2, count * 3 // 4])
        bad[training[:2]] = 0, 1
        bins = rng.integers(0, 5, count)
        got = solution.weight_of_evidence(bins, bad, 6, 2.5)
        assert_close(got, _woe(bins, bad, 6, 2.5), tol=1e-9, name="woe")
        p = rng.integers(0, 17, count) / 16
        pair = assert_parts(solution.best_cutoff(p, bad, 4.0, 1.0), ("cutoff", "cost"), name="best_cutoff")
        for mine, right, name in zip(pair, _cutoff(p, bad, 4.0, 1.0), ("cutoff", "cost"), strict=True):
            assert_close(mine, right, tol=1e-9, name=name)
        x = _encoded(applicants, answers, bad, training)
        assert_close(solution.encode(applicants, answers, bad, training), x, tol=1e-9, name="x")
        bads = bad[training].sum()
        weight = np.where(bad[training] == 1, (len(training) - bads) / bads, 1.0)
        model = LogisticRegression(C=100 / weight.sum(), solver="newton-cholesky", tol=1e-10)
        logits = model.fit(x[training], bad[training], sample_weight=weight).decision_function(x)
        expected = 1 / (1 + np.exp(-logits) * (len(training) - bads) / bads)
        card = solution.scorecard(applicants, answers, bad, training, validation)
        probability, cutoff = assert_parts(card, ("probability", "cutoff"), name="scorecard")
        assert_close(probability, expected, tol=1e-5, name=text("probability beside scikit-learn's"))
        chosen = _cutoff(probability[validation], bad[validation], 5.0, 1.0)[0]
        assert_close(cutoff, chosen, tol=1e-9, name=text("the cut-off of validation rows"))
