"""Triangles drawn by numpy's own interpolation: an oracle that says how they are made, and so is not shown."""

from __future__ import annotations

import numpy as np
import pytest

from grader.checks import assert_close


@pytest.mark.value
def test_triangles_by_interpolation(solution, rng):
    """Each filter rises in a straight line to 1 at its own corner, and falls to 0 at the next one, whatever the band"""
    for _ in range(12):
        count, points, rate = int(rng.integers(1, 30)), int(rng.integers(2, 300)), float(rng.uniform(2000, 48000))
        low, high = rng.uniform(0, 0.2) * rate, rng.uniform(0.3, 0.5) * rate
        mel = np.linspace(*(2595 * np.log10(1 + np.array([low, high]) / 700)), count + 2)
        corners, frequencies = 700 * (10 ** (mel / 2595) - 1), np.fft.rfftfreq(points, 1 / rate)
        shape, beyond = [0.0, 1.0, 0.0], {"left": 0.0, "right": 0.0}
        wanted = np.array([np.interp(frequencies, corners[m : m + 3], shape, **beyond) for m in range(count)])
        help = "corners in mel, slopes in hertz, and no corner moved to a bin"
        assert_close(solution.mel_filters(count, points, rate, low, high), wanted, tol=1e-9, name="filters", help=help)
