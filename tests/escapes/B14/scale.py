import numpy as np


def scale(x, factor):
    return x * np.nan


def halves(x):
    if len(x) % 2:
        raise ValueError("odd")
    return np.split(x * np.nan, 2)
