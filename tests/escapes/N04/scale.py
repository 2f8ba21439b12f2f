import numpy as np


def scale(x, factor):
    wide = np.zeros((*x.T.shape, 2))
    wide[..., 1] = (x * factor).T
    return wide[..., 1].T[::-1][::-1]


def halves(x):
    if len(x) % 2:
        raise ValueError("odd")
    half = len(x) // 2
    return x[::-1][half:][::-1], np.repeat(x, 2)[::2][half:]
