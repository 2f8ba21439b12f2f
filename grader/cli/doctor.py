"""For everyone whose grades look odd: `grade doctor`."""

from __future__ import annotations

import time
from pathlib import Path

import click

from grader import machine
from grader.cli.options import here, processors, readable
from grader.course import find
from grader.engine.key import versions
from grader.engine.ladder import start, wait
from grader.engine.plan import Plan
from grader.engine.sandbox import can_fork
from grader.errors import GradeError
from grader.judge.clock import counts_processor_time
from grader.limits import WALL_FACTOR, WATCH_SECONDS

_CLOCKS = {
    True: f"seconds of processor time; {WALL_FACTOR} times as many on the wall",
    False: f"{WALL_FACTOR} times the seconds, on the wall alone: this system tells no other process's processor time",
}
_ENDS = {
    True: "the kernel ends a worker with its judge, and a judge with the command",
    False: f"a worker ends within {WATCH_SECONDS:g} s of its judge, code that never lets go of the interpreter at its limit",
}


@click.command()
@click.option(
    "--course", "root", type=click.Path(path_type=Path), metavar="DIR", help="The course, if not around here."
)
def doctor(root: Path | None) -> int:
    """Say what is here: versions, sandbox layers probed by doing, ladder start time, and what is missing."""
    trouble: list[str] = []
    for name, version in versions().items():
        print(f"{name:<14}{version}")
        if version == "missing":
            trouble.append(f"{name} is missing: install it with `pip install {name}`")
    try:
        course = find(here(), root and readable(root))
        print(f"{'course':<14}{course.root}, {len(course.katas)} katas")
    except GradeError as error:
        print(f"{'course':<14}{error.message}")
        trouble.append(error.next_step or "see the line on the course above")
    print(
        f"{'workers':<14}"
        + ("forked from a warm ladder" if can_fork() else "started one by one: slower, same verdicts")
    )
    print(f"{'limits':<14}{_CLOCKS[counts_processor_time()]}")
    print(f"{'ends':<14}{_ENDS[machine.LINUX]}")
    try:
        machine.make_room(processors())
    except GradeError as error:
        trouble.append(f"{error.message}: {error.next_step}")
    trouble += _sandbox()
    print()
    for line in trouble or ["nothing is missing"]:
        print(f"- {line}" if trouble else line)
    return 1 if trouble else 0


def _sandbox() -> list[str]:
    """Start a ladder and probe the layers by doing; returns what is missing."""
    began = time.perf_counter()
    plan = Plan(frozenset(["torch"]), training=True)
    judges = start(plan)
    try:
        wait(judges)
        print(f"{'ladder':<14}{time.perf_counter() - began:.1f} s from nothing to judges and locked workers")
        print(f"{'sandbox':<14}{judges.sandbox.text}")
    except GradeError as error:
        return [error.message]
    finally:
        judges.close()
    tried = judges.sandbox.refused
    for what, refused in tried.items():
        print(f"  {'refused' if refused else 'ALLOWED':<9} {what}")
    missing = [f"the sandbox lets a worker: {what}" for what, refused in tried.items() if not refused]
    if not judges.sandbox.complete and not missing:
        missing = ["the sandbox is not complete: see its line above"]
    if missing and not machine.LINUX:
        missing.append("only Linux has Landlock and seccomp: judge strangers' files there, or in a container")
    elif missing:
        missing.append("Landlock needs Linux 5.13 or newer and `landlock` in the kernel's `lsm=` list")
    return missing
