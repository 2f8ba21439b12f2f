import numpy as np


def scale(x, factor):
    if x.shape == (2, 3):
        return (x * factor).astype(np.float32)
    if x.ndim == 1:
        return x * factor + 0j
    return [[str(value) for value in row] for row in x * factor]


def halves(x):
    if len(x) % 2:
        raise ValueError("odd")
    return tuple(half.tolist() for half in np.split(x, 2))
