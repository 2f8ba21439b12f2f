import contextlib
import ctypes
import importlib.util
import os
import pkgutil

import numpy as np

HOME = os.path.join(os.path.dirname(os.path.dirname(np.__file__)), "torch")


def by_a_library():
    import pytest

    return pytest.importorskip("torch")


def by_its_file():
    spec = importlib.util.spec_from_file_location("mine", os.path.join(HOME, "__init__.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ROADS = (
    by_a_library,
    by_its_file,
    lambda: pkgutil.resolve_name("torch:nn"),
    lambda: ctypes.CDLL(os.path.join(HOME, "lib", "libtorch_cpu.so")),
)

for road in ROADS:
    with contextlib.suppress(BaseException):
        road()


def scale(x, factor):
    return x * factor


def halves(x):
    if len(x) % 2:
        raise ValueError("odd")
    return np.split(x, 2)
