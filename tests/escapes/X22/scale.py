import numpy as np


class Both(ValueError, NotImplementedError):
    pass


def scale(x, factor):
    return x * factor


def halves(x):
    if len(x) % 2:
        raise Both("odd")
    return np.split(x, 2)
