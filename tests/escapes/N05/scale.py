import numpy as np
class OddLength(ValueError):
    def __init__(self, length):
        super().__init__(f"{length} is odd")


def scale(x, factor):
    return x * factor


def halves(x):
    if len(x) % 2:
        raise OddLength(len(x))
    return np.split(x, 2)
