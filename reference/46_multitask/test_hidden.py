"""Steps and drives that nobody has seen: many tasks at once, whole batches of one task, and answers after a short lesson."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from grader.checks import assert_close, assert_trained, load_state, normal, text

TOL = 1e-8
# Frames, channels, rows, columns, width, features, classes, share of labels, steps.
DRIVES = [(11, 2, 7, 10, 2, 5, 3, 0.4, 6), (5, 1, 16, 9, 4, 3, 6, 0.7, 4), (90, 3, 6, 6, 3, 8, 2, 0.1, 3)]


def _batch(rng, frames, channels, rows, columns, classes, share):
    """Images and labels, of which those that are missing are no numbers and no signs."""
    known = torch.from_numpy(rng.random((frames, 3)) < share)
    numbers = [torch.where(known[:, task], normal(rng, frames) * (task + 1), torch.nan) for task in range(2)]
    signs = torch.where(known[:, 2], torch.from_numpy(rng.integers(0, classes, frames)), -1)
    return normal(rng, frames, channels, rows, columns), (*numbers, signs), known


@pytest.mark.value
def test_drives_nobody_has_seen(solution, reference, rng):
    """Steps and whole trainings on frames, sizes and labels that are in no book"""
    for frames, *sizes, share, steps in DRIVES:
        images, targets, known = _batch(rng, frames, *sizes[:3], sizes[-1], share)
        model, oracle = (each.RoadNet(*sizes, dtype=torch.float64) for each in (solution, reference))
        values = {name: normal(rng, *p.shape) / 2 for name, p in oracle.named_parameters()}
        model, oracle = load_state(model, values), load_state(oracle, values)
        orders = torch.from_numpy(np.stack([rng.permutation(3) for _ in range(steps)]))
        for only in range(3):
            told = known & (torch.arange(3) == only)
            loss, gradients = solution.step_gradients(model, images, targets, told, orders[0])
            wanted, moves = reference.step_gradients(oracle, images, targets, told, orders[0])
            assert_close(loss.detach(), wanted, tol=TOL, name="loss")
            for name, move in moves.items():
                assert_close(gradients[name].detach(), move, tol=TOL, name=text("gradient of {name}", name=name))
        batches = torch.from_numpy(rng.integers(0, frames, (steps, 4)))
        losses = solution.fit(model, images, targets, known, batches, orders, 0.02)
        groups = [{"params": list(oracle.parameters())[1:]}, {"params": [oracle.log_variances], "lr": 0.2}]
        adam = torch.optim.Adam(groups, lr=0.02)
        wanted = _steps(reference, oracle, images, targets, known, batches, orders, adam)
        assert_trained(losses, model, oracle, wanted, adam, parameters=list(values), name="loss")


def _steps(reference, oracle, images, targets, known, batches, orders, adam):
    for step, (rows, order) in enumerate(zip(batches, orders, strict=True)):
        for group, first in zip(adam.param_groups, (0.02, 0.2), strict=True):
            group["lr"] = first * (1 - step / len(batches))
        batch = images[rows], [target[rows] for target in targets], known[rows]
        loss, moves = reference.step_gradients(oracle, *batch, order)
        slope = sum((moves[name] * p).sum() for name, p in oracle.named_parameters())
        yield loss + slope - slope.detach()


@pytest.mark.value
def test_many_tasks_nobody_has_seen(solution, reference, rng):
    """Up to forty tasks that pull every way, some of which say nothing, met in any order"""
    for tasks, numbers in ((40, 3), (7, 7), (12, 2), (2, 900)):
        rows, order = normal(rng, tasks, numbers), torch.from_numpy(rng.permutation(tasks))
        rows[tasks // 2] = 0
        wanted = reference.project_conflicts(rows, order)
        assert_close(solution.project_conflicts(rows, order), wanted, tol=TOL, name="projected")
