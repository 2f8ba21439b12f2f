import atexit
import gc
import numpy as np
import signal
import sys
import threading
import weakref

signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGALRM, lambda number, frame: None)
sys.setrecursionlimit(5000)
gc.disable()
atexit.register(print, "the end")
threading.Thread(target=threading.Event().wait, daemon=True).start()


def scale(x, factor):
    signal.alarm(60)
    made = x * factor
    weakref.finalize(made, print, "gone")
    signal.alarm(0)
    return made


def halves(x):
    if len(x) % 2:
        raise ValueError("odd")
    return np.split(x, 2)
