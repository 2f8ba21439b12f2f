"""Patients whom nobody has seen, from their first split to the interval of what the test says."""

from __future__ import annotations

import numpy as np
import pytest

from grader.checks import assert_close, assert_parts, normal, text

TOL = 1e-6
# Patients of each kind, visits of each at most, features, specificity, gamma, alpha, resamples.
CLINICS = [(30, 170, 3, 2, 0.9, 2.0, 0.25, 40), (16, 60, 1, 4, 0.6, 0.0, 0.5, 25), (9, 44, 5, 3, 0.75, 0.7, 0.8, 60)]
REPORT = ("scores", "cutoff", "sensitivity", "specificity")


def _clinic(rng, ill, healthy, visits, features):
    """Rows in any order: what was measured, labels, of which some visits of the ill have none, and names beyond 2^40."""
    place = rng.permutation(np.repeat(np.arange(ill + healthy), rng.integers(1, visits + 1, ill + healthy)))
    kind = rng.permutation(np.arange(ill + healthy) < ill).astype(np.int64)
    person = rng.normal(size=(ill + healthy, features)) + kind[:, None]
    x = 50 + 9 * (person[place] + 0.3 * rng.normal(size=(len(place), features)))
    labels = kind[place] * (rng.random(len(place)) < 0.9)
    names = rng.permutation(ill + healthy) * 2**40 - 2**45
    return x, labels.astype(np.int64), names[place]


@pytest.mark.value
def test_patients_nobody_has_seen(solution, reference, rng):
    """From the split to the interval, on patients who are in no data set"""
    for ill, healthy, visits, features, specificity, gamma, alpha, resamples in CLINICS:
        x, labels, patients = _clinic(rng, ill, healthy, visits, features)
        uniforms = rng.random(ill + healthy)
        parts = reference.split_patients(labels, patients, uniforms)
        found = assert_parts(
            solution.split_patients(labels, patients, uniforms), ("train", "validation", "test"), name="split"
        )
        for name, got, want in zip(("train", "validation", "test"), found, parts, strict=True):
            assert_close(got, want, name=name)
        weights = [normal(rng, *shape) for shape in ((features, 4), (4,), (4,), ())]
        given = weights, x, labels, parts, specificity, gamma, alpha, 12, 0.05
        expected, report = reference.screen(*given), assert_parts(solution.screen(*given), REPORT, name="screen")
        for name, got, want in zip(REPORT, report, expected, strict=True):
            assert_close(got, want, tol=TOL, name=text("{part} of screen", part=name))
        test = parts[2]
        drawn = labels[test], np.round(expected[0][test], 1), patients[test], resamples, int(rng.integers(1000)), 0.9
        ends = zip(solution.bootstrap_interval(*drawn), reference.bootstrap_interval(*drawn), strict=True)
        for name, (got, want) in reversed([*zip(("low", "high"), ends, strict=True)]):
            assert_close(got, want, tol=TOL, name=text("{end} of the interval", end=name))
