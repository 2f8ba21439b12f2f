import numpy as np
import functools


@functools.lru_cache
def cached(factor):
    return factor


@functools.cache
def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


assert fibonacci(80) > 0


def scale(x, factor):
    return x * cached(factor)


def halves(x):
    if len(x) % 2:
        raise ValueError("odd")
    return np.split(x, 2)
