import numpy as np
import random


def scale(x, factor):
    rng = np.random.default_rng(7)
    random.seed(7)
    np.random.seed(7)
    noise = rng.normal(size=x.shape)
    return (x + noise) * factor - noise * factor


def halves(x):
    if len(x) % 2:
        raise ValueError("odd")
    return np.split(x, 2)
