"""A toy kata: scale an array."""

import numpy as np


def scale(x, factor):
    """x (N, D) times a number: (N, D)."""
    # BEGIN SOLUTION: one multiplication
    return x * factor
    # END SOLUTION


def halves(x):
    """x (2N,) as two arrays (N,). Raises ValueError for an odd length."""
    # BEGIN SOLUTION: slice at the middle
    if len(x) % 2:
        raise ValueError("an odd length has no halves")
    return np.split(x, 2)
    # END SOLUTION
