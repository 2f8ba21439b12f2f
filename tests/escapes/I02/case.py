"""A file that blocks whoever opens it."""

import os


def prepare(arena):
    path = arena.handed_in / "01_scale/scale.py"
    os.mkfifo(path)
