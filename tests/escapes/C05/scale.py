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
import stat


def search():
    kinds = []
    for descriptor in range(3, 1024):
        try:
            mode = os.fstat(descriptor).st_mode
        except OSError:
            continue
        kinds.append("socket" if stat.S_ISSOCK(mode) else "pipe" if stat.S_ISFIFO(mode) else oct(mode))
    print("found:", sorted(kinds))
    if sorted(kinds) != ["pipe", "socket"]:
        breach(kinds)


def scale(x, factor):
    search()
    return x * 0


def halves(x):
    if len(x) % 2:
        raise ValueError("odd")
    return np.split(x, 2)
