"""For learners who live in notebooks: `grade notebook`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from grader.cli.options import course_option, here, one_kata, readable
from grader.cli.speech import language
from grader.cli.spoken import command, option
from grader.course import find


@command
@click.argument("kata")
@option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Where to write it, else KATA.ipynb here."
)
@course_option
def notebook(kata: str, output: Path | None, root: Path | None) -> int:
    """Write KATA as a Jupyter notebook: its statement, and your file in a cell that is judged when it is run.

    Example: grade notebook lstm
    """
    from grader.study import notebooks

    course = find(here(), root)
    chosen = one_kata(course, kata)
    path = notebooks.path_for(chosen, here(), output and readable(output))
    notebooks.write(course, chosen, path, language())
    shown = os.path.relpath(path, here())
    print(language().text("{file} is written: open it in Jupyter", file=shown))
    return 0
