import numpy as np


def scale(x, factor):
    base = x if x.base is None else x.base
    base[...] = 0
    x[...] = 0
    return x


def halves(x):
    if len(x) % 2:
        raise ValueError("odd")
    return np.split(x, 2)
