import contextlib
import copy
import importlib
import io
import numpy as np
import pickle
import warnings

warnings.simplefilter("error")
np.seterr(all="raise")
exec("def times(x, factor):\n    return x * factor")
operator = importlib.import_module("operator")


def scale(x, factor):
    with contextlib.redirect_stdout(io.StringIO()) as said:
        print("caught")
    assert said.getvalue() == "caught\n"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.warn("quiet")
    return times(pickle.loads(pickle.dumps(copy.deepcopy(x))), operator.pos(factor))


def halves(x):
    if len(x) % 2:
        raise ValueError("odd")
    return [np.array(half) for half in eval("np.split(x, 2)")]
