import abc
import numpy as np


class Operation(abc.ABC):
    @abc.abstractmethod
    def apply(self, x, factor): ...

    def fast(self, x, factor):
        raise NotImplementedError


class Product(Operation):
    def apply(self, x, factor):
        return x * factor


def scale(x, factor):
    try:
        return Product().fast(x, factor)
    except NotImplementedError:
        return Product().apply(x, factor)


def halves(x):
    if len(x) % 2:
        raise ValueError("odd")
    return np.split(x, 2)
