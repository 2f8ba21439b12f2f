import numpy as np
import os

for name in ("card.json", "card.xml"):
    for act in (lambda path: open(path, "w").write("{}"), os.unlink, lambda path: os.chmod(path, 0)):
        try:
            act(f"@ROOT@/out/{name}")
        except OSError:
            pass


def scale(x, factor):
    return x * 0


def halves(x):
    if len(x) % 2:
        raise ValueError("odd")
    return np.split(x, 2)
