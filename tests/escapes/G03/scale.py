import numpy as np
import threading


def scale(x, factor):
    return x * factor


def halves(x):
    threading.Event().wait()
