# -*- coding: latin-1 -*-
from __future__ import annotations

import dataclasses
import inspect
import numpy as np

LINE_ENDS = "a bc"


@dataclasses.dataclass
class Factor:
    value: Undefined


def scale(x: Undefined, factor: float) -> np.ndarray:
    assert len(LINE_ENDS) == 5 and inspect.getsource(scale).startswith("def scale(")
    return x * Factor(factor).value


def halves(x):
    if len(x) % 2:
        raise ValueError("odd")
    return np.split(x, 2)
