"""The hidden suite of kata 34: scipy's least squares of true distances, and the whole way from maps to a homography."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares

from grader.checks import as_view, assert_beats, assert_close, assert_parts, text


def _moved(matrix, points):
    lines = np.column_stack([points, np.ones(len(points))]) @ np.reshape(matrix, (3, 3)).T
    return lines[:, :2] / lines[:, 2:]


def _view(rng, middle, size):
    """A plane seen at an angle: from the square of half side 1 to a picture."""
    angle = rng.uniform(0, 2 * np.pi)
    turned = size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    tilt = rng.uniform(-0.15, 0.15, 2)
    return np.block([[turned + np.outer(middle, tilt), np.reshape(middle, (2, 1))], [tilt, np.ones(1)]])


@pytest.mark.value
def test_nearly_least_squares(solution, rng):
    """Of noisy pairs a homography comes that is nearly the best there is: scipy's, which began at the truth"""
    for count, middle, size in ((30, 40.0, 15.0), (12, 3000.0, 900.0), (60, -700.0, 90.0), (9, 0.5, 1.0)):
        view, source = _view(rng, [middle, middle / 2], size), rng.uniform(-1, 1, (count, 2))
        source[:4] = [[-1, -1], [1, -1], [1, 1], [-1, 1]]
        target = _moved(view, source) + 0.01 * size * rng.normal(size=(count, 2))

        def misses(numbers, source=source, target=target, view=view, size=size):
            return (_moved(np.append(numbers, 1.0) * view.ravel(), source) - target).ravel() / size

        best = np.linalg.norm(least_squares(misses, np.ones(8), xtol=1e-12, ftol=1e-12).fun)
        found = solution.homography(as_view(torch.from_numpy(source)), as_view(torch.from_numpy(target)))
        missed = np.linalg.norm((_moved(found.numpy(), source) - target) / size)
        name = text("the distances of {count} noisy pairs, in those of the least squares", count=count)
        assert_beats(float(missed / best), 1.1, higher=False, name=name)


@pytest.mark.value
def test_from_maps_to_a_homography(solution, reference, rng):
    """From key points to maps, from maps to points, and from points of which some are wrong to the homography"""
    for keypoints, wrong, stride in ((14, 3, 4), (9, 2, 2.0), (25, 9, 3)):
        view, marker = _view(rng, [20.5 * stride, 17.0 * stride], 8.0 * stride), rng.uniform(-1, 1, (keypoints, 2))
        seen = torch.from_numpy(_moved(view, marker))
        bells = as_view(seen[None]), 34, 41, stride, 1.5 * stride
        maps, wanted = (each.gaussian_maps(*bells) for each in (solution, reference))
        assert_close(maps, wanted, tol=1e-8, name="maps")
        rubbish, logits = rng.permutation(keypoints)[:wrong], wanted.clamp(min=1e-300).log()
        logits[0, rubbish] = torch.from_numpy(rng.normal(size=(wrong, 34, 41)))
        visible = torch.ones(1, keypoints, dtype=torch.bool)
        visible[0, rubbish[0]] = False
        loss, wanted = (each.masked_loss(as_view(logits), maps, visible) for each in (solution, reference))
        assert_close(loss, wanted, tol=1e-8, name="loss")
        points, wanted = (each.soft_argmax(as_view(logits), stride) for each in (solution, reference))
        assert_close(points, wanted, tol=1e-6, name="points")
        samples = torch.from_numpy(np.stack([rng.permutation(keypoints)[:4] for _ in range(40)]))
        given = as_view(torch.from_numpy(marker)), as_view(points[0]), as_view(samples), 0.25 * stride
        found, inliers = assert_parts(solution.ransac(*given), ("matrix", "inliers"), name="ransac")
        wanted, members = reference.ransac(*given)
        assert_close(inliers, members, name="inliers")
        assert_close(found, wanted, tol=1e-6, name=text("matrix of ransac"))
