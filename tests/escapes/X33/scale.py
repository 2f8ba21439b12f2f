import functools
import numpy as np


class Multiply:
    def __call__(self, x, factor):
        return np.multiply(x, factor)


def _halves(kind, x):
    if len(x) % 2:
        raise kind("odd")
    return np.split(x, 2)


scale = Multiply()


@functools.cache
def __getattr__(name):
    if name == "halves":
        return functools.partial(_halves, ValueError)
    raise AttributeError(name)
