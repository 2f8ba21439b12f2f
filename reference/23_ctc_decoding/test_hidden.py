"""Recordings, sentences and languages that nobody has seen, larger than paths can be written out for."""

from __future__ import annotations

import numpy as np
import pytest

from grader.checks import assert_close, text


def _log_probs(rng, frames, classes):
    logits = 1.5 * rng.normal(size=(frames, classes)) + 2 * (np.arange(classes) == 0)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


@pytest.mark.value
def test_larger_than_can_be_written_out(solution, reference, rng):
    """Searches of many frames and labels, alignments of long sentences, and a whole experiment with another alphabet"""
    for frames, classes, width in ((40, 6, 5), (25, 12, 9), (70, 3, 66), (9, 5, 3), (1203, 3, 2)):
        log_probs, bigram = _log_probs(rng, frames, classes), np.log(rng.dirichlet(np.ones(classes), classes))
        both = [each.prefix_beam_search(log_probs, width, bigram, 0.6, 0.8) for each in (reference, solution)]
        wanted, found = (np.array([score for _, score in each]) for each in both)
        assert_close(found, wanted, tol=1e-9, name=text("scores of {frames} frames", frames=frames))
        wanted, found = (np.array([label for labels, _ in each for label in (*labels, 0)]) for each in both)
        assert_close(found, wanted, name=text("labels of {frames} frames", frames=frames))
    for m, n, words in ((60, 70, 5), (90, 80, 30), (200, 190, 2)):
        said, heard = (rng.integers(0, words, size).tolist() for size in (m, n))
        wanted, found = (each.align(said, heard) for each in (reference, solution))
        assert_close(found, wanted, name=text("pairs of {m} words with {n}", m=m, n=n))
    for classes, width in ((5, 3), (9, 6)):
        recordings = [_log_probs(rng, rng.integers(5, 15), classes) for _ in range(24)]
        texts = [(2, *rng.integers(1, classes, 6).tolist()) for _ in recordings]
        part, grid = rng.permutation(np.arange(24) % 3), [(0.0, 0.0), (0.4, 0.5), (0.8, 2.0), (1.5, 1.0)]
        results = [each.tune(recordings, texts, part, grid, width, 0.7) for each in (reference, solution)]
        for name, wanted, found in zip(("bigram", "alpha", "beta", "greedy", "beam"), *results, strict=True):
            assert_close(found, wanted, tol=1e-9, name=text("{name} of tune", name=name))
