import numpy as np
class Lazy:
    def __init__(self, thunk):
        self.__dict__["thunk"] = thunk

    def __getattr__(self, name):
        return getattr(self.thunk(), name)

    def __array__(self, dtype=None, copy=None):
        return self.thunk()


def scale(x, factor):
    return Lazy(lambda: x * factor)


def halves(x):
    if len(x) % 2:
        raise ValueError("odd")
    return np.split(x, 2)
