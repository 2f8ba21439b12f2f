"""Reports: pure functions, a scorecard and a language in, text out.

A new one is a file here with `render(card: Scorecard, *, language: Language = ...) -> str`, and a line in REPORTS.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from grader.messages.language import Language
from grader.writing import write as write_file

if TYPE_CHECKING:  # the layout of a page of help stands in this folder too, and needs none
    from grader.scorecard import Scorecard

REPORTS = {
    "terminal": "the scorecard as it stands on the screen, without colours",
    "json": "everything that was found, for other programs",
    "junit": "JUnit XML, as pytest writes it",
    "markdown": "a table, and what fails first",
    "github": "the summary of a job, and annotations at the learner's lines",
    "gradescope": "results.json of an autograder",
    "classroom": "what GitHub Classroom's reporter reads",
    "html": "a page for a browser, with the charts, images and texts that a model made",
    "badge": "an SVG that says how many katas pass",
}


def render(name: str, card: Scorecard, language: Language | None = None) -> str:
    """The report of this name; each is imported only when it is asked for."""
    if name not in REPORTS:
        raise KeyError(name)
    text: str = import_module(f"grader.reports.{name}").render(card, language=language or Language())
    return text


def write(path: Path, text: str) -> None:
    """Put the text where a reader finds either what stood there before or all of it.

    A link is replaced and not followed to its file; a pipe or a device is written to. Raises OSError.
    """
    if path.is_relative_to("/dev") or (path.exists() and not path.is_file()):
        with path.open("a", encoding="utf-8") as stream:
            stream.write(text)
        return
    write_file(path, text.encode())
