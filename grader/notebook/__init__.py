"""The notebook: `%load_ext grader`, and a cell under `%%grade lstm` is judged as the learner's file.

    magic.py     the magic: a line of words and a cell in, a scorecard and pictures out
    words.py     what may stand behind `%%grade`
    desk.py      what a kernel keeps warm: a ladder for each course, which other commands may use
    shown.py     a scorecard as text and as HTML
    drawn.py     what tests recorded, as pictures

It is the same judge as the command's, and the cell is never run in the kernel, unless `--define` asks for it. What makes a
notebook of a statement and a stub is `study/notebooks.py`.
"""

from __future__ import annotations

from typing import Any


def load(shell: Any) -> None:
    """Give an IPython shell the magic `grade`."""
    from grader.notebook.magic import GradeMagic

    GradeMagic(shell).register()


def unload(shell: Any) -> None:
    """Take it back, and end what it kept warm."""
    from grader.notebook.magic import GradeMagic

    GradeMagic.unregister(shell)
