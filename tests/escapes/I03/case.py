"""Large, and almost free of charge."""

import os


def prepare(arena):
    path = arena.handed_in / "01_scale/scale.py"
    path.touch()
    os.truncate(path, 8 << 30)
