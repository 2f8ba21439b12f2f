import numpy as np


def scale(x, factor):
    return x * factor


def halves(x):
    if len(x) % 2:
        raise ValueError("odd")
    return np.split(x, 2)
