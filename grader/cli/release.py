"""For authors who hand a course to learners: `grade release`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grader import __version__, diagnosis
from grader.cli.options import completed_track, course_option, here
from grader.cli.speech import language
from grader.cli.spoken import command, option
from grader.course import find
from grader.errors import UsageFault
from grader.messages import Message, text

if TYPE_CHECKING:
    from grader.authoring.making.choice import Choice

_RECORDING = "recorded.bin"  # `grader.judge.recorded` names it so, and is slow to import
_FROM_INPUT = ("--pathspec-from-file=-", "--pathspec-file-nul")


@command
@click.argument("out", type=click.Path(path_type=Path))
@option("--katas", metavar="LIST", help="Only these katas, with commas between: `01,04` or `mlp,lstm`.")
@option(
    "--track",
    "tracks",
    multiple=True,
    metavar="TRACK",
    shell_complete=completed_track,
    help="Only the katas of this track, beside those of --katas. Repeatable.",
)
@option(
    "--published",
    is_flag=True,
    help="Depend on the published grader of this version, instead of carrying a copy of it.",
)
@option("--classroom", is_flag=True, help="A template for GitHub Classroom: its workflow reports points there.")
@option(
    "--gradescope", is_flag=True, help="Write OUT as the zip of an autograder for Gradescope, hidden tests included."
)
@option(
    "--allow-weaker-sandbox",
    is_flag=True,
    help="With --gradescope: judge also where the machine cannot lock learners' code away, and say so in every result.",
)
@option("--notebooks", is_flag=True, help="Every kata as a Jupyter notebook too, in each language of the course.")
@option("--git", is_flag=True, help="Make OUT a git repository with one commit, or commit to the one that it is.")
@course_option
def release(
    out: Path,
    katas: str | None,
    tracks: Sequence[str],
    published: bool,
    classroom: bool,
    gradescope: bool,
    allow_weaker_sandbox: bool,
    notebooks: bool,
    git: bool,
    root: Path | None,
) -> int:
    """Write the learner's repository to OUT: stubs, suites, statements and the grader; no answers.

    OUT is empty, or not there, or a former release: then what its learner wrote is kept. A kata that requires one which
    is not chosen recommends it instead.

    Example: grade release ../class --katas 01,04,09 --git
    """
    from grader.authoring.making.choice import choose
    from grader.authoring.making.placing import place
    from grader.authoring.making.release import contents

    spoken = language()
    if gradescope and (classroom or git or notebooks):
        raise UsageFault(
            text("an autograder is one file"),
            text("leave out {options}", options=["--git", "--classroom", "--notebooks"]),
        )
    if allow_weaker_sandbox and not gradescope:
        raise UsageFault(text("--allow-weaker-sandbox is for --gradescope"), text("leave it out"))
    choice = choose(find(here(), root), _names(katas), tracks)
    if gradescope:
        return _autograder(choice, out, published, allow_weaker_sandbox)
    files = contents(choice, published=published, classroom=classroom, notebooks=notebooks)
    touched, notices = place(files, out, choice.course)
    for notice in notices:
        print(spoken.say(notice))
    print(spoken.plural("{folder}: {count} kata", "{folder}: {count} katas", len(choice.course.katas), folder=str(out)))
    for line in _meaning(choice, files, published):
        print(f"  {line}")
    if classroom:
        what = "make its repository a template, and choose it as the starter code of an assignment; leave its autograding empty"
        print("  " + spoken.text(what))
    print("  " + spoken.text("{written} of {files} files written", written=len(touched), files=len(files) + 1))
    if git:
        print(spoken.say(_commit(out, touched)))
    return 0


def _autograder(choice: Choice, out: Path, published: bool, weaker: bool) -> int:
    """Write the zip, and say what is in it."""
    from grader.authoring.making.gradescope import contents, pack
    from grader.autograder import Config

    spoken, katas = language(), choice.course.katas
    files = contents(choice, Config(spoken.code, weaker), published=published)
    pack(files, out)
    print(spoken.plural("{file}: {count} kata", "{file}: {count} katas", len(katas), file=str(out)))
    most = sum(sum(kata.points.values()) for kata in katas)
    print(
        "  "
        + spoken.text(
            "an autograder of {points} points: upload it as it is, as the zip of a programming assignment",
            points=f"{most:g}",
        )
    )
    if hidden := [kata.id for kata in katas if kata.hidden is not None]:
        shown = "hidden tests count, and are shown as one after the due date, or with the grades: {katas}"
        print("  " + spoken.text(shown, katas=hidden))
    told = (
        "it judges in any sandbox, and says so"
        if weaker
        else "it refuses a machine that cannot lock learners' code away"
    )
    print("  " + spoken.text(told))
    return 0


def _names(katas: str | None) -> list[str]:
    """The words between commas."""
    names = [word for each in (katas or "").split(",") if (word := each.strip())]
    if katas is not None and not names:
        raise UsageFault(text("--katas names no kata"), text("for example {example}", example="--katas 01,04"))
    return names


def _meaning(choice: Choice, files: Mapping[str, bytes], published: bool) -> Iterator[str]:
    """What is in a release beside stubs, suites and statements, a line each."""
    from grader.authoring.proving.proof import is_proved
    from grader.authoring.proving.subject import Subject

    spoken, course = language(), choice.course
    recorded = sum(path.endswith(f"/{_RECORDING}") for path in files)
    if recorded:
        yield spoken.plural(
            "{count} with a recorded reference: its suite asks the solution, whose answers are kept as numbers in its stead",
            "{count} with a recorded reference: their suites ask the solution, whose answers are kept as numbers in its stead",
            recorded,
        )
    printed = sum(path.endswith(f"/{diagnosis.FILE}") for path in files)
    if printed:
        yield spoken.plural(
            "{count} with fingerprints of mistakes: `grade` names the bug of who makes one of them",
            "{count} with fingerprints of mistakes: `grade` names the bug of who makes one of them",
            printed,
        )
    hidden = [kata.id for kata in course.katas if kata.hidden is not None]
    if hidden:
        yield spoken.text("hidden tests and their points are left out: {katas}", katas=hidden)
    for kata in course.katas:
        if outside := [id for id in kata.recommends if id in choice.recommended]:
            yield spoken.text(
                "{kata} builds on what is not in here, and recommends it: {katas}", kata=kata.id, katas=outside
            )
    if unproved := [kata.id for kata in course.katas if not is_proved(Subject(course, kata))]:
        yield spoken.text("not proved as they stand; `grade check --record` proves them: {katas}", katas=unproved)
    if published:
        yield spoken.text("the grader is gradkata {version}, which pip brings", version=__version__)
    else:
        yield spoken.text("the grader is in it, in grader/, without the commands for authors")


def _commit(out: Path, paths: Sequence[str]) -> Message:
    """Commit the paths, in a repository that is made if there is none; returns what was done, in a sentence."""
    fresh = not (out / ".git").exists()
    if fresh:
        _git(out, "init", "--quiet", "--initial-branch=main")
        _git(out, "add", "--all")
    else:
        tracked = set(_git(out, "ls-files", "-z").split("\0"))
        paths = [path for path in paths if path in tracked or (out / path).exists()]
        if paths:  # without any, git would take all that lies there
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
