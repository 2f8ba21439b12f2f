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
import subprocess
import sys
import threading
import time


def daemonise():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(30)
        os._exit(0)


def search():
    attempt("double fork", daemonise)
    attempt("spawn", os.posix_spawn, sys.executable, [sys.executable, "-c", "import time; time.sleep(30)"], {})
    attempt("popen", subprocess.Popen, ["sleep", "30"], start_new_session=True)
    threading.Thread(target=time.sleep, args=(30,)).start()


def scale(x, factor):
    search()
    return x * 0


def halves(x):
    if len(x) % 2:
        raise ValueError("odd")
    return np.split(x, 2)
