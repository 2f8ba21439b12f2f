"""The hidden suite of kata 21: error rates by counting, where scores tie, are missing, or are as many as k."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from grader.checks import assert_close, assert_parts, load_state, text


def _is_wrong(scores, label, k):
    """The statement's sentence, word by word."""
    others = [score for place, score in enumerate(scores) if place != label]
    return any(map(math.isnan, scores)) or sum(score >= scores[label] for score in others) >= k


@pytest.mark.value
def test_error_rates_by_counting(solution, rng):
    """Error rates are what counting gives where scores tie, are NaN for one class, or are no more than k"""
    for classes in (1, 2, 3, 5, 12):
        model = solution.ResNet(1, 1, classes, 8, dtype=torch.float64)
        for missing in (False, True):
            for count, piece in ((1, 1), (9, 4), (3, 7)):
                scores = rng.integers(0, 3, classes).astype(np.float64) * 100 - 100
                scores[rng.integers(classes)] += math.nan if missing else 0
                values = {"head.weight": torch.zeros(classes, 4), "head.bias": torch.from_numpy(scores)}
                load_state(model, values)  # every image gets the same scores
                images, labels = torch.from_numpy(rng.normal(size=(count, 1, 4, 5))), rng.integers(0, classes, count)
                for k in (1, 2, classes, classes + 3):
                    rates = solution.error_rates(model, images, torch.from_numpy(labels), piece, k)
                    found = assert_parts(rates, ("top-1", "top-k"), name="error_rates")
                    for rate, best in zip(found, (1, k), strict=True):
                        wanted = float(np.mean([_is_wrong(scores.tolist(), label, best) for label in labels]))
                        help = "a tie is lost, a NaN anywhere in a row is wrong, and classes may be fewer than k"
                        name = text("top-{k} error of {classes} classes", k=best, classes=classes)
                        assert_close(rate, wanted, tol=1e-9, name=name, help=help)
