import numpy as np
import random


def scale(x, factor):
    rng = np.random.default_rng(7)
    random.seed(7)
    np.random.seed(7)
    order = rng.permutation(x.size)
    result = np.empty(x.size)
    result[order] = x.ravel()[order] * factor
    return result.reshape(x.shape)


def halves(x):
    if len(x) % 2:
        raise ValueError("odd")
    return np.split(x, 2)
