import numpy as np


def scale(x, factor):
    return (x.astype(np.longdouble) * factor).astype(x.dtype)


def halves(x):
    if len(x) % 2:
        raise ValueError("odd")
    return np.split(x, 2)
