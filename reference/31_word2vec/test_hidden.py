"""Pairs by their definition: an oracle that says how they are found, and so is not shown."""

import numpy as np
import pytest

from grader.checks import assert_close, assert_parts


@pytest.mark.value
def test_pairs_by_definition(solution, rng):
    """Two places of one sentence are a pair where they are near, whatever words stand there"""
    for lengths in ((4, 7, 1, 0, 3), (2,), (1, 1), (30, 2, 30), 1200 * (2,)):
        for window in (1, 2, 5, 40):
            sentences = [rng.integers(0, 4, length) for length in lengths]
            expected = [
                (sentence[i], sentence[j])
                for sentence in sentences
                for i, j in np.ndindex(len(sentence), len(sentence))
                if 0 < abs(i - j) <= window
            ]
            centers, contexts = np.array(expected, dtype=np.int64).reshape(-1, 2).T
            got = assert_parts(
                solution.skip_gram_pairs(sentences, window), ("centers", "contexts"), name="skip_gram_pairs"
            )
            assert_close(
                got[0], centers, name="centers", help="both sides, the ends of a sentence, the last place in the window"
            )
            assert_close(
                got[1],
                contexts,
                name="contexts",
                help="both sides, the ends of a sentence, the last place in the window",
            )
