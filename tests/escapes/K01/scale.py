import numpy as np
def breach(what):
    print("BREACH" + ":", what)


def attempt(what, function, *arguments):
    """Try it, and tell if it worked."""
    try:
        result = function(*arguments)
    except Exception as error:
        print(f"refused: {what}: {type(error).__name__}")
    else:
        breach(f"{what}: {str(result)[:1000]}")


import os
import pathlib


def search():
    attempt("neighbour", lambda: pathlib.Path("@ROOT@/handed-in/03_neighbour/neighbour.py").read_text())
    attempt("folder", os.listdir, "@ROOT@/handed-in")
    attempt("own file", lambda: pathlib.Path("@ROOT@/handed-in/01_scale/scale.py").read_text())
    attempt("results", os.listdir, "@ROOT@/out")


def scale(x, factor):
    search()
    return x * 0


def halves(x):
    if len(x) % 2:
        raise ValueError("odd")
    return np.split(x, 2)
