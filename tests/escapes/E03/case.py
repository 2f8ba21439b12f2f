"""The table is true for seed 0; the run has another."""

import hashlib

import numpy as np

from grader.judge.job import test_seed

SOURCE = """
import hashlib
import numpy as np

TABLE = {table}

def scale(x, factor):
    known = TABLE.get(hashlib.sha256(np.ascontiguousarray(x).tobytes()).hexdigest())
    return np.array(known).reshape(x.shape) if known else np.zeros_like(x)

def halves(x):
    return scale(x, 0)[:3], scale(x, 0)[3:]
"""


def prepare(arena):
    table = {}
    for test, size, factors in (("test_shape", (2, 3), (2.0,)), ("test_values", (4, 3), (2.0, -0.5, 3.0)), ("test_pure", 3, (2.0,))):
        rng = np.random.default_rng(test_seed(0, "01_scale", test))
        for factor in factors:
            x = rng.normal(size=size)
            x = x.T if test == "test_values" else x
            table[hashlib.sha256(np.ascontiguousarray(x).tobytes()).hexdigest()] = (x * factor).ravel().tolist()
    folder = arena.handed_in / "01_scale"
    (folder / "scale.py").write_text(SOURCE.format(table=table))
