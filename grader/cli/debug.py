"""For learners who look for a bug themselves: `grade debug`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grader import submission
from grader.cli.options import coloured, completed, course_option, one_kata, opened
from grader.cli.speech import language
from grader.cli.spoken import command, option
from grader.course import Course
from grader.errors import UsageFault
from grader.kata import Kata
from grader.messages import text
from grader.reports.layout import Paint
from grader.reports.story import told_test
from grader.scorecard import Line, TestResult
from grader.study.choosing import resolved
from grader.study.speaker import Speaker
from grader.submission import Submission

if TYPE_CHECKING:  # what it imports takes a second
    from grader.judge.debugging import Found


@command
@click.argument("name", metavar="KATA[::TEST]", shell_complete=completed)
@option("--from", "source_dir", type=click.Path(path_type=Path), metavar="DIR", help="Take learners' files from DIR.")
@option("--no-stop", is_flag=True, help="Show what fails and the call to paste, and open no debugger.")
@course_option
def debug(name: str, source_dir: Path | None, no_stop: bool, root: Path | None) -> int:
    """Stop in your file where the first test of KATA fails, with pdb: in this process, without locks and deadlines.

    A value that is wrong has no line that failed: then the debugger stops at the first line of the call that gave it.
    Before that come lines to paste into a Python shell, which make the same call with the same numbers.

    TEST is a part of its name, its number, or words of its title, as scorecards show them.

    Example: grade debug lstm::one_step
    """
    asked, _, test = name.partition("::")
    with opened(root) as (course, _store):
        kata = one_kata(course, asked)
        test = resolved(course, [kata], test, language())[1] if test else ""
    read = submission.read(kata, source_dir, course)
    if read.problem is not None:
        raise UsageFault(read.problem.said, read.problem.help or "")
    from grader.judge import debugging

    found = debugging.find(course, kata, test, source_dir)
    if found.fault:
        place = f"katas/{kata.id}/{kata.suite.name}" + f":{found.fault_line}" * bool(found.fault_line)
        raise UsageFault(
            text("the suite does not collect: {place}: {error}", place=place, error=found.fault),
            text("mend that line, or take the suite anew from the course"),
        )
    if not found.ran:
        raise UsageFault(
            text("no test of {kata} is called like {test!r}", kata=kata.id, test=test),
            text("the tests stand in {file}", file=f"katas/{kata.id}/{kata.suite.name}"),
        )
    spoken = language()
    if found.found is None:
        print(spoken.text("no test fails that you can read: {count} were run", count=found.ran))
        if found.to_do:
            print(spoken.text("next: {what}", what=found.to_do))
        return 0
    _show(course, kata, found.found, read)
    if found.found.can_stop and not no_stop:
        print(spoken.text("n: next line · s: into a call · p NAME: show · c: go on · q: leave"))
        print()
        sys.stdout.flush()
        debugging.step_in(course, kata, found.found, source_dir)
    return 1


def _show(course: Course, kata: Kata, found: Found, read: Submission) -> None:
    """What fails, and the call that led there."""
    result = TestResult(
        name=found.name,
        kind="",
        title=found.title,
        verdict=found.ending.verdict,
        message=found.ending.message,
        cause=found.ending.cause,
        said=found.ending.said,
        advice=found.ending.advice,
        line=Line(found.line, read.line(found.line)) if found.line else None,
    )
    width = shutil.get_terminal_size().columns
    told = Speaker(course, language()).test(kata.id, result)
    print("\n".join(told_test(told, told.title, read.display_path, width, Paint(coloured()), language())))
    folder = course.root / ".grade" / "debug" / kata.id
    shutil.rmtree(folder, ignore_errors=True)
    lines = found.pasted(kata.slug, read.path, folder)
    if lines:
        print()
        print(language().text("the call, to paste into a Python shell"))
        print()
        print("\n".join(lines))
    print()
