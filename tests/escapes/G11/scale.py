import numpy as np
import ctypes
import sys

sys.setrecursionlimit(1 << 30)


def scale(x, factor):
    return x * factor


def halves(x):
    ctypes.CDLL(None).qsort
    compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
    array = (ctypes.c_int * 2)(2, 1)


    @compare
    def deeper(left, right):
        ctypes.CDLL(None).qsort(array, 2, 4, deeper)
        return 0


    deeper(None, None)
