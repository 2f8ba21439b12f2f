import numpy as np
import logging
import warnings


def scale(x, factor):
    warnings.warn("slow")
    logging.getLogger("mine").warning("still here")
    try:
        raise KeyError("mine")
    except KeyError:
        result = x * factor
    finally:
        assert result.shape == x.shape
    with np.errstate(divide="warn"):
        np.ones(1) / np.zeros(1)
    return result


def halves(x):
    if len(x) % 2:
        raise ValueError("odd")
    return np.split(x, 2)
