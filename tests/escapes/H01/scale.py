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


import ctypes
import os

ALLOWED = {"PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "PYTEST_DISABLE_PLUGIN_AUTOLOAD", "PYTHONDONTWRITEBYTECODE",
           "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_WAIT_POLICY", "TORCHDYNAMO_DISABLE", "GRADKATA_TEST_WITHOUT", "KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK", "MPLBACKEND", "MPLCONFIGDIR"}


def search():
    raw, at = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), "environ"), 0
    names = set(os.environ)
    while raw[at]:
        names.add(raw[at].decode().partition("=")[0])
        print(raw[at].decode())
        at += 1
    for name in sorted(names - ALLOWED):
        breach(name)


def scale(x, factor):
    search()
    return x * 0


def halves(x):
    if len(x) % 2:
        raise ValueError("odd")
    return np.split(x, 2)
