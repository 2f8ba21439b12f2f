"""The names of the commands, and the file in which each of them is."""

from __future__ import annotations

from pathlib import Path

COMMANDS = {
    "run": "grader.cli.learn",
    "watch": "grader.cli.watching",
    "list": "grader.cli.study",
    "next": "grader.cli.study",
    "show": "grader.cli.study",
    "hint": "grader.cli.study",
    "history": "grader.cli.study",
    "notebook": "grader.cli.notebook",
    "report": "grader.cli.report",
    "reset": "grader.cli.files",
    "undo": "grader.cli.files",
    "solution": "grader.cli.files",
    "export": "grader.cli.files",
    "import": "grader.cli.files",
    "debug": "grader.cli.debug",
    "doctor": "grader.cli.doctor",
}
AUTHORS = {
    "init": "grader.cli.scaffold",
    "new": "grader.cli.scaffold",
    "stub": "grader.cli.scaffold",
    "check": "grader.cli.author",
    "release": "grader.cli.release",
    "class": "grader.cli.teach",
    "merge": "grader.cli.teach",
    "gradebook": "grader.cli.gradebook",
    "student": "grader.cli.gradebook",
    "similar": "grader.cli.gradebook",
    "mistakes": "grader.cli.again",
    "appeal": "grader.cli.again",
    "regrade": "grader.cli.again",
}
if Path(__file__).parents[1].joinpath("authoring").is_dir():  # which no release carries
    COMMANDS |= AUTHORS
