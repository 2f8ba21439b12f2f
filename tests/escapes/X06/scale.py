import numpy as np


def scale(x, factor):
    raise type("Odd", (ExceptionGroup, ValueError), {})("group", [ValueError("odd")])


def halves(x):
    raise type("Skipped", (BaseException,), {"__module__": "builtins"})("odd")
