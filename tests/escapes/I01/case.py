"""The answer, by reference."""

import os


def prepare(arena):
    path = arena.handed_in / "01_scale/scale.py"
    path.symlink_to(arena.course / "reference/01_scale/scale.py")
