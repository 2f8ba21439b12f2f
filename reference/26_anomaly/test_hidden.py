"""Machines that nobody has seen, from labelled rows to what the alarms are worth."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from grader.checks import assert_close, assert_parts, load_state, normal, state_of

PARTS, SHARES = ("training", "held_out", "judged"), ("precision", "recall")
# Rows, columns, share of anomalies; rows that train and that are held out; hidden units, code; steps, rate.
MACHINES = [
    (60, 5, 0.2, 20, 11, 6, 2, 8, 0.25),
    (33, 2, 0.4, 7, 7, 3, 3, 3, 0.125),
    (500, 7, 0.05, 200, 127, 5, 1, 2, 0.0625),
]


@pytest.mark.value
def test_machines_nobody_has_seen(solution, reference, rng):
    """Split, principal components, training, level, alarms and their worth, on machines that are in no table"""
    for count, columns, share, train, held, hidden, code, steps, rate in MACHINES:
        anomalous, order = torch.from_numpy(rng.random(count) < share), torch.from_numpy(rng.permutation(count))
        anomalous[int(rng.integers(count))] = True
        x = (normal(rng, count, columns) @ normal(rng, columns, columns)).round(decimals=1) + 7
        x[anomalous] += 2 * normal(rng, int(anomalous.sum()), columns)
        wanted = reference.split_rows(anomalous, order, train, held)
        parts = assert_parts(solution.split_rows(anomalous, order, train, held), PARTS, name="split_rows")
        for name, part, rows in zip(PARTS, parts, wanted, strict=True):
            assert_close(part, rows, name=name)
        known, others, judged = (x[rows] for rows in wanted)
        batches = torch.from_numpy(rng.integers(0, train, (steps, 6)))
        models = [each.Denoiser(columns, hidden, code, 0.0, torch.float64) for each in (solution, reference)]
        names = [name for name, _ in models[1].named_parameters()]
        load_state(models[1], state_of(models[0], names))
        arguments = known, others, judged, batches, 0.03, rate
        (scores, level), (expected, at) = (
            assert_parts(each.detect(model, *arguments), ("scores", "level"), name="detect")
            for each, model in zip((solution, reference), models, strict=True)
        )
        assert_close(scores, expected, tol=1e-6, name="scores of detect")
        assert_close(level, at, tol=1e-6, name="level of detect")
        labels, mean = anomalous[wanted[2]], reference.pca_errors(known, judged, 0).round(decimals=0)
        found = solution.pca_errors(known, judged, columns - 1)
        assert_close(found, reference.pca_errors(known, judged, columns - 1), tol=1e-7, name="pca_errors")
        for each in (expected, mean, torch.from_numpy(np.sort(mean.numpy()))):
            got, right = (side.average_precision(each, labels) for side in (solution, reference))
            assert_close(got, right, tol=1e-8, name="average precision")
            for cut in (at, float(each[0]), float(each.max())):
                both = (side.precision_recall(each, labels, cut) for side in (solution, reference))
                for name, got, right in zip(SHARES, *both, strict=True):
                    assert_close(got, right, tol=1e-9, name=name)
