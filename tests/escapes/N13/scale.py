import numpy as np


def scale(x, factor):
    import decimal
    import fractions
    import json
    import sqlite3

    import numpy.fft
    import numpy.polynomial.chebyshev

    numpy.fft.fft(np.ones(4))
    json.dumps({})
    return x * factor


def halves(x):
    if len(x) % 2:
        raise ValueError("odd")
    return np.split(x, 2)
