"""A city that nobody has seen, from its distances to trained forecasts, with the reference as the oracle."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from grader.checks import assert_agrees, assert_close, assert_parts, assert_trained, load_state, normal

# Sensors, slots of a day, days, hidden units, hops, experts, windows, their steps, steps ahead, steps of training.
CITIES = [(7, 9, 6, 4, 2, 3, 6, 5, 4, 12), (4, 5, 8, 3, 3, 5, 9, 4, 2, 4), (10, 6, 5, 5, 1, 2, 1, 6, 1, 3)]
TOL = 1e-8


@pytest.mark.value
def test_a_city_nobody_has_seen(solution, reference, rng):
    """From distances and days of speeds to trained forecasts and their errors, in a city that is in no book"""
    for sensors, slots, days, hidden, hops, experts, batch, length, ahead, steps in CITIES:
        far = torch.from_numpy(rng.uniform(200, 3000, (sensors, sensors)))
        far[torch.from_numpy(rng.random((sensors, sensors)) < 0.5)] = torch.inf
        far.fill_diagonal_(0)[0, 1] = 777
        roads = reference.kernel_adjacency(far, 0.15)
        assert_close(solution.kernel_adjacency(far, 0.15), roads, tol=TOL, name="adjacency")
        hours = np.cos(2 * np.pi * np.arange(slots) / slots)
        clock = torch.from_numpy(np.stack([hours, hours**2], 1))
        speeds = 50 + 20 * np.tile(hours, days)[:, None] + rng.normal(0, 6, (slots * days, sensors))
        readings = torch.from_numpy(speeds * (rng.random(speeds.shape) < 0.85))
        usual = reference.average_day(readings, slots, slots * (days - 2))
        assert_close(solution.average_day(readings, slots, slots * (days - 2)), usual, tol=TOL, name="usual")
        model, oracle = (each.Forecaster(hidden, hops, experts, 2, torch.float64) for each in (solution, reference))
        names = {name: value.shape for name, value in oracle.state_dict().items()}
        weights = {name: normal(rng, *shape) * shape[-1] ** -0.5 for name, shape in names.items()}
        load_state(model, weights)
        load_state(oracle, weights)
        starts = torch.from_numpy(rng.integers(0, len(readings) - length - ahead, (steps, batch)))
        losses = solution.fit(model, readings, usual, clock, roads, starts, length, ahead, 0.02)

        def loss(at, *, oracle=oracle, readings=readings, usual=usual, clock=clock, roads=roads, length=length):
            given = readings[at[:, :length]], usual[at % len(usual)], clock[at % len(usual)]
            forecasts, balance = reference.roll_out(oracle, *given, roads)
            return reference.masked_errors(forecasts, readings[at[:, length:]])[0].mean() + 0.1 * balance

        wanted = (loss(start[:, None] + torch.arange(length + ahead)) for start in starts)
        adam = torch.optim.Adam(oracle.parameters(), lr=0.02)
        assert_trained(losses, model, oracle, wanted, adam, parameters=list(names), name="loss of fit")
        scores = 3 * normal(rng, 11, experts)
        inputs = {"scores": scores, "capacity": -(-22 // experts)}
        agree = {"gradients": False, "tol": TOL, "name": ("weights", "balance")}
        assert_agrees(solution.route, reference.route, inputs, rng, **agree)
        forecast, truth = 30 * normal(rng, 5, ahead, sensors), readings[: 5 * ahead].reshape(5, ahead, sensors)
        got = assert_parts(solution.masked_errors(forecast, truth), ("mae", "mape"), name="masked_errors")
        for name, one, other in zip(("mae", "mape"), got, reference.masked_errors(forecast, truth), strict=True):
            assert_close(one, other, tol=TOL, name=name)
