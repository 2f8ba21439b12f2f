import numpy as np
import time


def scale(x, factor):
    time.sleep(0.2)
    big = np.ones(500 << 17)
    big += 1
    del big
    return x * factor


def halves(x):
    if len(x) % 2:
        raise ValueError("odd")
    return np.split(x, 2)
