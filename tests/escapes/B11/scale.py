import numpy as np


def scale(x, factor):
    return np.zeros(0)


def halves(x):
    if len(x) % 2:
        raise ValueError("odd")
    return x[:0], x[:0]
