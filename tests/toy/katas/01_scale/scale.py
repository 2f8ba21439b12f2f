"""A toy kata: scale an array."""

import numpy as np


def scale(x, factor):
    """x (N, D) times a number: (N, D)."""
    raise NotImplementedError("scale: one multiplication")


def halves(x):
    """x (2N,) as two arrays (N,). Raises ValueError for an odd length."""
    raise NotImplementedError("halves: slice at the middle")
