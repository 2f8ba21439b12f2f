"""For everyone whose grades look odd: `grade doctor`."""

from __future__ import annotations

import time
from pathlib import Path

from grader import machine
from grader.cli.options import course_option, here, processors, readable
from grader.cli.speech import language
from grader.cli.spoken import command
from grader.course import find
from grader.engine.borrowed import Holder, holders
from grader.engine.hold import start, wait
from grader.engine.key import versions
from grader.engine.plan import Plan
from grader.engine.sandbox import can_fork
from grader.errors import GradeError
from grader.judge.clock import counts_processor_time
from grader.limits import WALL_FACTOR, WATCH_SECONDS
from grader.messages import Message, Value, text
from grader.reports.layout import pad

_CLOCKS = {
    True: text("seconds of processor time; {factor} times as many on the wall", factor=WALL_FACTOR),
    False: text(
        "{factor} times the seconds, on the wall alone: this system tells no other process's processor time",
        factor=WALL_FACTOR,
    ),
}
_ENDS = {
    True: text("the kernel ends a worker with its judge, and a judge with the command"),
    False: text(
        "a worker ends within {seconds} s of its judge, code that never lets go of the interpreter at its limit",
        seconds=float(WATCH_SECONDS),
    ),
}
_TERMS = {
    "grader": text("the grader's own files"),
    "libraries": text("the versions of libraries"),
    "interpreter": text("the Python that runs it"),
    "environment": text("environment variables"),
    "course": text("the course's folder"),
    "namespaces": text("the container"),
}


@command
@course_option
def doctor(root: Path | None) -> int:
    """Say what is here: versions, sandbox layers probed by doing, ladder start time, and what is missing.

    Example: grade doctor
    """
    trouble: list[Value] = []
    for name, version in versions().items():
        if version == "missing":
            trouble.append(text("{name} is missing: install it with `pip install {name}`", name=name))
        _row(name, text("missing") if version == "missing" else version)
    try:
        course = find(here(), root and readable(root))
        _row(text("course"), text("{folder}, {count} katas", folder=str(course.root), count=len(course.katas)))
        for holder in holders(course.root):
            _row(text("warm"), _shared(holder))
    except GradeError as error:
        _row(text("course"), error.said)
        trouble.append(error.next_step or text("see the line on the course above"))
    forked, alone = text("forked from a warm ladder"), text("started one by one: slower, same verdicts")
    _row(text("workers"), forked if can_fork() else alone)
    _row(text("limits"), _CLOCKS[counts_processor_time()])
    _row(text("ends"), _ENDS[machine.LINUX])
    try:
        machine.make_room(processors())
    except GradeError as error:
        trouble.append(text("{problem}: {help}", problem=error.said, help=error.next_step))
    trouble += _sandbox()
    print()
    for line in trouble:
        print(f"- {language().say(line)}")
    if not trouble:
        print(language().text("nothing is missing"))
    return 1 if trouble else 0


def _row(head: Value, said: Value) -> None:
    print(pad(language().say(head), 14) + language().say(said))


def _shared(holder: Holder) -> Message:
    """What a command that offers its ladder means for the next `grade`."""
    who = {"command": holder.by, "pid": holder.pid}
    if holder.lends:
        return text("the ladder is shared by `{command}` (process {pid})", **who)
    if holder.differ:
        differ = [_TERMS.get(name, name) for name in holder.differ]
        return text("not shared by `{command}` (process {pid}), which differs in {what}", what=differ, **who)
    return text("`{command}` (process {pid}) starts a ladder for whoever asks first", **who)


def _sandbox() -> list[Value]:
    """Start a ladder and probe the layers by doing; returns what is missing."""
    began = time.perf_counter()
    plan = Plan(frozenset(["torch"]), training=True)
    judges = start(plan)
    try:
        wait(judges)
        stood = "{seconds:.1f} s from nothing to judges and locked workers"
        _row(text("ladder"), text(stood, seconds=time.perf_counter() - began))
        _row(text("sandbox"), judges.sandbox.text)
    except GradeError as error:
        return [error.said]
    finally:
        judges.close()
    tried = judges.sandbox.refused
    for what, refused in tried.items():
        print(f"  {pad(language().text('refused') if refused else language().text('ALLOWED'), 9)} {what}")
    lets = [text("the sandbox lets a worker: {what}", what=what) for what, refused in tried.items() if not refused]
    missing: list[Value] = [*lets]
    if not judges.sandbox.complete and not missing:
        missing = [text("the sandbox is not complete: see its line above")]
    if missing and not machine.LINUX:
        missing.append(text("only Linux has Landlock and seccomp: judge strangers' files there, or in a container"))
    elif missing:
        missing.append(text("Landlock needs Linux 5.13 or newer and `landlock` in the kernel's `lsm=` list"))
    return missing
