import numpy as np
from typing import NamedTuple


class Halves(NamedTuple):
    left: np.ndarray
    right: np.ndarray


def scale(x, factor):
    return np.linalg.slogdet(np.eye(2)).sign * (x * factor)


def halves(x):
    if len(x) % 2:
        raise ValueError("odd")
    return Halves(*np.split(x, 2))
