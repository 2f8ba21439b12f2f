"""For authors who hand a course to learners: `grade release`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import click

from grader import __version__
from grader.cli.options import course_option, here
from grader.cli.speech import language
from grader.cli.spoken import command, option
from grader.course import find
from grader.errors import UsageFault
from grader.messages import Message, text

_FROM_INPUT = ("--pathspec-from-file=-", "--pathspec-file-nul")


@command
@click.argument("out", type=click.Path(path_type=Path))
@option("--git", is_flag=True, help="Make OUT a git repository with one commit, or commit to the one that it is.")
@course_option
def release(out: Path, git: bool, root: Path | None) -> int:
    """Write the learner's repository to OUT: stubs, suites, statements and the grader; no answers.

    OUT is empty, or not there, or a former release: then what its learner wrote is kept.

    Example: grade release ../course --git
    """
    from grader.authoring.making.placing import place
    from grader.authoring.making.release import contents

    spoken = language()
    course = find(here(), root)
    files = contents(course)
    touched, notices = place(files, out, course)
    for notice in notices:
        print(spoken.say(notice))
    recorded = sum(path.endswith("/recorded.bin") for path in files)
    made = "{folder}: {katas} katas, {recorded} with a recorded reference; {written} of {files} files written"
    numbers = {"katas": len(course.katas), "recorded": recorded, "written": len(touched), "files": len(files) + 1}
    print(spoken.text(made, folder=str(out), **numbers))
    if git:
        print(spoken.say(_commit(out, touched)))
    return 0


def _commit(out: Path, paths: Sequence[str]) -> Message:
    """Commit the paths, in a repository that is made if there is none; returns what was done, in a sentence."""
    fresh = not (out / ".git").exists()
    if fresh:
        _git(out, "init", "--quiet", "--initial-branch=main")
        _git(out, "add", "--all")
    else:
        tracked = set(_git(out, "ls-files", "-z").split("\0"))
        paths = [path for path in paths if path in tracked or (out / path).exists()]
        _git(out, "add", "--all", "--force", *_FROM_INPUT, given="\0".join(paths))
        if not paths or not _git(out, "diff", "--cached", "--name-only", "--", *paths):
            return text("git: nothing has changed since the last commit")
    try:
        _git(out, "config", "user.email")
        who: list[str] = []
    except UsageFault:
        who = ["-c", "user.name=gradkata", "-c", "user.email=gradkata@localhost"]
    about, only = f"Release of the course, for grader {__version__}", [] if fresh else ["--only", *_FROM_INPUT]
    _git(out, *who, "commit", "--quiet", "--no-verify", "--message", about, *only, given="\0".join(paths))
    return text("git: a new repository with one commit on main") if fresh else text("git: one more commit")


def _git(out: Path, *words: str, given: str = "") -> str:
    """What git says; raises UsageFault where it refuses, and never looks at a repository around `out`."""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
    }
    try:
        command = ["git", "--literal-pathspecs", "-c", "safe.directory=*", "-c", "core.autocrlf=false", *words]
        done = subprocess.run(command, cwd=out, env=environment, input=given, capture_output=True, text=True)
    except FileNotFoundError:
        raise UsageFault(text("git is not there"), text("install it, or leave out --git")) from None
    if done.returncode:
        why = done.stderr.strip().partition("\n")[0]
        raise UsageFault(text("git {command} failed: {why}", command=words[0], why=why))
    return done.stdout.strip()
