def scale(x, factor):
    raise (StopIteration if x.ndim == 1 else StopAsyncIteration)(x * factor)


def halves(x):
    raise GeneratorExit
