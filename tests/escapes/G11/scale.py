import numpy as np
import ctypes
import sys


class Endless:
    def __getattr__(self, name):
        return getattr(self, name + "_")


def deeper(depth):
    return deeper(depth + 1)


def scale(x, factor):
    sys.setrecursionlimit(1 << 30)
    if x.ndim == 1:
        deeper(0)
    elif x.shape == (3, 4):
        Endless().name
    return x * factor


def halves(x):
    if len(x) % 2:
        raise ValueError("odd")
    sys.setrecursionlimit(1 << 30)
    ctypes.CDLL(None).regcomp(ctypes.create_string_buffer(4096), b"(" * 300_000, 1)  # one call deeper for each of them
    return np.split(x, 2)
