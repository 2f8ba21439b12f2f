import numpy as np
import os


def scale(x, factor):
    return x * factor


def halves(x):
    while True:
        print("x" * 10_000)
        os.write(2, b"y" * 60_000)
