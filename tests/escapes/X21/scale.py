import builtins
import numpy as np

for road in ("import torch", "__import__('torch')", "from torch import nn", "eval('__import__(\"torch\")')"):
    try:
        exec(road, {"__builtins__": vars(builtins)})
    except ImportError:
        pass


def scale(x, factor):
    return x * factor


def halves(x):
    if len(x) % 2:
        raise ValueError("odd")
    return np.split(x, 2)
