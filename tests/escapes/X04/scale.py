import numpy as np
class Endless:
    def __len__(self):
        return 1 << 62

    def __iter__(self):
        return self

    def __next__(self):
        return np.zeros(3)

    def __getitem__(self, index):
        return np.zeros(3)


def scale(x, factor):
    return x * factor


def halves(x):
    if len(x) % 2:
        raise ValueError("odd")
    return Endless()
