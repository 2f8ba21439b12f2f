"""Seas that nobody has seen, from degrees to skill, beside the reference."""

from __future__ import annotations

import pytest
import torch

from grader.checks import assert_agrees, assert_close, assert_parts, assert_trained, load_state, normal, text

TOL = 1e-8
# Seasons, days past and to come, fields, rows, columns, hidden maps, size of filters; steps, those that read true days.
SEAS = [(6, 3, 2, 2, 4, 9, [3, 2], 3, 6, 0), (5, 2, 4, 1, 7, 5, [4], 5, 4, 2), (7, 4, 3, 3, 3, 4, [2, 3, 4], 1, 5, 5)]
NAMES = "scaled", "usual", "spread"


@pytest.mark.value
def test_seas_nobody_has_seen(solution, reference, rng):
    """From degrees to trained forecasts and their skill, on seas that are in no book"""
    for seasons, before, after, fields, rows, columns, hidden, kernel, steps, forced in SEAS:
        area = torch.from_numpy(rng.uniform(0.2, 3, (rows, columns)) * (rng.random((rows, columns)) < 0.6))
        area[1, 2] = 1.5
        sea, length = area > 0, before + after
        degrees = 15 + normal(rng, fields, rows, columns) + 3 * normal(rng, seasons * length, fields, rows, columns)
        degrees = torch.where(sea, degrees, torch.nan)
        training = (seasons - 2) * length
        found = assert_parts(solution.anomalies(degrees, sea, training), NAMES, name="anomalies")
        wanted = reference.anomalies(degrees, sea, training)
        for name, part, expected in zip(NAMES, found, wanted, strict=True):
            assert_close(part, expected, tol=TOL, name=name)
        days = wanted[0].reshape(seasons, length, fields, rows, columns)
        past, future = days[:, :before], days[:, before:]
        models = [each.Forecaster(fields, hidden, kernel, torch.float64) for each in (solution, reference)]
        shapes = {name: value.shape for name, value in models[1].named_parameters()}
        values = {name: 0.4 * normal(rng, *shape) for name, shape in shapes.items()}
        model, oracle = (load_state(each, values) for each in models)
        given = {"past": past[:3], "sea": sea, "steps": after}
        assert_agrees(
            model, oracle, given, rng, modules=(model, oracle), parameters=list(shapes), tol=TOL, name="forecast"
        )
        batches = torch.from_numpy(rng.integers(0, seasons - 2, (steps, 3)))
        losses = solution.fit(model, past, future, area, batches, [0.01] * steps, forced)
        adam = torch.optim.Adam(oracle.parameters(), lr=0.01)

        def descent(oracle=oracle, past=past, future=future, area=area, plan=(batches, forced)):
            for step, batch in enumerate(plan[0]):
                truth = future[batch] if step < plan[1] else None
                forecast = oracle(past[batch], area > 0, future.shape[1], truth)
                yield reference.sea_loss(forecast, future[batch], area)

        assert_trained(losses, model, oracle, descent(), adam, parameters=list(shapes))
        given = {"past": past, "sea": sea, "steps": after + 2}
        assert_agrees(model, oracle, given, rng, gradients=False, tol=1e-4, name="forecast")
        skill = torch.tensor(solution.skill(model, past[-2:], future[-2:], area, 1))
        expected = torch.tensor(reference.skill(oracle, past[-2:], future[-2:], area, 2))
        assert_close(skill, expected, tol=1e-4, name=text("skill on the last seasons"))
