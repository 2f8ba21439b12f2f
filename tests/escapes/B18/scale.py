import numpy as np
BUFFER = np.zeros(3)


def scale(x, factor):
    BUFFER[...] = x[:1, :3] * factor if x.ndim == 2 else x * factor
    return BUFFER if x.ndim == 1 else x * factor


def halves(x):
    if len(x) % 2:
        raise ValueError("odd")
    BUFFER[...] = x[:3]
    left = BUFFER
    BUFFER[...] = x[3:]
    return left, BUFFER
