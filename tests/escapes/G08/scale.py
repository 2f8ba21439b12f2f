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
import tempfile


def fill(path):
    with open(path, "wb") as file:
        for _ in range(64):
            file.write(bytes(1 << 20))


def search():
    for folder in ("/tmp", "/var/tmp", "/dev/shm", "/", ".", "@ROOT@/tmp", "@ROOT@/handed-in", os.path.dirname(np.__file__)):
        attempt(folder, fill, folder + "/escaped-g08")
    attempt("tempfile", tempfile.TemporaryFile)
    attempt("memfd", os.memfd_create, "escaped-g08")


def scale(x, factor):
    search()
    return x * 0


def halves(x):
    if len(x) % 2:
        raise ValueError("odd")
    return np.split(x, 2)
