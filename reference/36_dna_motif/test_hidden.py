"""What learners do not see of kata 36: motif_counts where nothing is planted, window by window."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from grader.checks import assert_close, normal

# Sequences, letters, filters, letters of a filter.
SIZES = [(6, 11, 3, 5), (1, 9, 2, 6), (7, 5, 4, 1), (3, 7, 2, 7), (40, 10, 5, 3)]


@pytest.mark.value
def test_motif_counts_of_any_scores(solution, rng):
    """Whatever the scores are, and of whatever sign, each sequence counts by its best window alone"""
    partner = [3, 2, 1, 0]
    for count, length, filters, width in SIZES * 2:
        bases = rng.integers(0, 5, (count, length))  # 4 is N
        bases[count // 2 :: 3] = bases[0]  # some sequences come again
        x = torch.from_numpy(np.eye(5)[bases][:, :, :4]).permute(0, 2, 1)
        places = length - width + 1
        scores = (60 * normal(rng, count, filters, 2, places) - rng.choice([0, 100])).contiguous()
        flat = scores.view(count, filters, -1)
        close = flat.argmax(2, keepdim=True)  # what comes before a best window may be all but as good
        flat.scatter_(
            2, (close - 1).clamp(min=0), torch.where(close > 0, flat.amax(2, keepdim=True) - 1e-9, flat[..., :1])
        )
        bests = scores.flatten(2).max(2)[0]
        for threshold in (float(bests.median()), float(bests.min()), float(bests.max()), -1e6, 0.0):
            wanted = torch.zeros(filters, 4, width, dtype=torch.float64)
            for n in range(count):
                for k in range(filters):
                    strand, place = divmod(int(scores[n, k].flatten().argmax()), places)
                    window = [int(base) for base in bases[n, place : place + width]]
                    if strand:
                        window = [partner[base] if base < 4 else base for base in reversed(window)]
                    if scores[n, k, strand, place] > threshold:
                        for i, base in enumerate(window):
                            if base < 4:
                                wanted[k, base, i] += 1
            found = solution.motif_counts(x, scores, threshold)
            assert_close(found, wanted, name="counts", help="the best of both strands and all places, one per sequence")
