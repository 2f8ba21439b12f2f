"""Round organs in place of vessels, through the whole ladder, on sizes that the visible suite has not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from grader.checks import assert_close, assert_parts, assert_trained, load_state, normal, text

# Rows, columns, channels, width, depth, smooth, skips; millimetres between rows and between columns.
SCANS = [
    (14, 19, 1, 3, 2, 0.7, True, (1.5, 0.6)),
    (9, 6, 3, 2, 1, 1.0, True, (0.4, 3.0)),
    (23, 9, 2, 2, 3, 3.0, False, (5, 2)),
]


def _organs(rng, rows, columns):
    """Discs, of which the second may lie beyond the edge."""
    places, masks = np.stack(np.mgrid[:rows, :columns], 2), []
    for _ in range(4):
        middles, sizes = rng.uniform(0, [rows, columns], (2, 2)), rng.uniform(1, min(rows, columns) / 3, 2)
        masks.append((np.hypot(*(places[..., None] - middles.T).transpose(2, 0, 1, 3)) < sizes).any(2))
    return torch.from_numpy(np.stack(masks))


@pytest.mark.value
def test_organs_nobody_has_seen(solution, reference, rng):
    """From given weights, other networks learn to outline organs, and their answers have the right scores"""
    for rows, columns, channels, width, depth, smooth, skips, spacing in SCANS:
        truth = _organs(rng, rows, columns)
        images = (truth[:, None] + 0.3 * normal(rng, 4, channels, rows, columns)).flip(3)
        truth = truth.flip(2)
        models = [each.UNet(channels, width, depth, skips, torch.float64) for each in (solution, reference)]
        shapes = {name: tuple(value.shape) for name, value in models[1].named_parameters()}
        values = {name: normal(rng, *shape) * np.prod(shape[1:]) ** -0.5 for name, shape in shapes.items()}
        model, oracle = (load_state(each, values) for each in models)
        batches = torch.from_numpy(rng.integers(0, 4, (4, 3)))
        losses = solution.fit(model, images, truth.double(), batches, 0.02, smooth)
        adam = torch.optim.Adam(oracle.parameters(), lr=0.02)
        wanted = (reference.segmentation_loss(oracle(images[b]), truth[b].double(), smooth) for b in batches)
        assert_trained(losses, model, oracle, wanted, adam, parameters=list(shapes), name="loss")
        answers = oracle(images).detach() > 0
        name = text("IoU of masks of {rows} x {columns}", rows=rows, columns=columns)
        assert_close(solution.iou(answers, truth), reference.iou(answers, truth), tol=1e-8, name=name)
        for answer, mask in zip(answers, truth, strict=True):
            parts = ("surface Dice", "Hausdorff distance")
            got = assert_parts(solution.surface_scores(answer, mask, spacing, 2.3), parts, name="surface_scores")
            expected = reference.surface_scores(answer, mask, spacing, 2.3)
            for part, one, two in zip(parts, got, expected, strict=True):
                assert_close(one, two, tol=1e-8, name=part)
