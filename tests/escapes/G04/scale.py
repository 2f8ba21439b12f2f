import numpy as np


def scale(x, factor):
    if x.shape == (2, 3):
        bomb = [0]
        while True:
            bomb += bomb
    if x.ndim == 1:
        return bytes(1 << 33)
    return np.ones(1 << 33)


def halves(x):
    if len(x) % 2:
        raise ValueError("odd")
    return np.split(x, 2)
