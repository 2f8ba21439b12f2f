import numpy as np


def scale(x, factor):
    print("\x1b[2J\x1b[H\x1b[32m✓ pass  01_scale\x1b[0m")
    print("\x1b]8;;https://example.org\x07click\x1b]8;;\x07 \x1b]52;c;Y2xpcA==\x07 \x1b]0;title\x07 \u202e\x9b2J \r✓ pass")
    if x.ndim == 1:
        return type("Evil\x1b[2J\n✓ pass  01_scale  Scale  4/4", (), {})()
    raise type("Error\x1b[1A\r", (ValueError,), {})("\x1b[2K\r✓ pass\n✓ pass  01_scale  Scale    1/1    2/2        1/1     4/4  0.2 s\u202e")


def halves(x):
    if len(x) % 2:
        raise ValueError("odd")
    return np.split(x, 2)
