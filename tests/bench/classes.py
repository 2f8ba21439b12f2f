"""A class, `make classes`: how a run grows with it, and what it is worth beside pytest.

`classes.py plan`: a generated class of 500 students and 20 katas, each file another, with judges that look at nothing: the
time from the call to the plan, the time of all, and the most memory, for 2,500, 5,000 and 10,000 files.
`classes.py speed`: 100 students, of whom 60 % have the stub or somebody else's file, on the toy course: one judge, two
judges, and one subprocess of pytest for each file, one at a time (timed on a sample of them).
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from grader.classroom.hands import Bench, Finding, Work
from grader.classroom.plan import Plan
from grader.classroom.run import Listener, Run, Wanted
from grader.course import Course, find
from grader.engine.sandbox import LAYERS, Sandbox
from grader.messages import text
from grader.scorecard import Verdict, reject_kata
from grader.stub import original

ROOT = Path(__file__).resolve().parents[2]
STUDENTS = 100
SAMPLE = 6


class Blind:
    """Judges that look at nothing and take no time."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def ready(self) -> Sandbox:
        return Sandbox({"text": "none", "layers": sorted(LAYERS), "complete": True, "refused": {}})

    def judge(self, work: Iterator[Work]) -> Iterator[Finding]:
        for each in work:
            kata = self._bench.katas[each.job[0]]
            yield Finding(each.job, reject_kata(kata, Verdict.FAIL, [text("x" * 3000)], sha256=each.job[1]), LAYERS)

    def stop(self) -> None: ...

    def close(self) -> None: ...


class Clock(Listener):
    """When the plan was told."""

    def planned(self, plan: Plan) -> None:
        self.planned_at, self.worked = time.perf_counter(), time.process_time()
        self.jobs = len(plan.jobs)


def whole_class(course: Course, top: Path, files: int) -> None:
    """So many files, each another: the course's solutions with a number."""
    for number in range(files // len(course.katas)):
        for kata in course.katas:
            folder = top / f"student{number:04}" / kata.id
            folder.mkdir(parents=True)
            (folder / kata.stub.name).write_bytes(course.reference(kata).read_bytes() + b"# %d\n" % number)


def plan(files: int) -> None:
    """One run with blind judges, in a process of its own, which prints what it took."""
    course = find(ROOT, ROOT)
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder, "in")
        whole_class(course, top, files)
        stubs = {kata.id: original(course, kata) for kata in course.katas}
        clock, began, worked = Clock(), time.perf_counter(), time.process_time()
        Run(
            Wanted(course, course.katas, top, Path(folder, "out"), stubs), clock, lambda bench, packed: Blind(bench)
        ).go()
        ended = time.perf_counter()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        told = f"{clock.jobs:>6} files: planned after {clock.planned_at - began:.2f} s, {clock.worked - worked:.2f} s of work"
        print(f"{told}, kept {clock.jobs / (ended - clock.planned_at):,.0f} a second, held {peak:.0f} MiB", flush=True)


def speed() -> None:
    """A class on the toy course, judged by one, by two, and by pytest."""
    toy = ROOT / "tests/toy"
    course = find(toy, toy)
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder, "in")
        half_worked(course, top)
        took = {}
        for judges in (1, 2):
            out = Path(folder, f"out{judges}")
            command = [
                str(Path(sys.executable).with_name("grade")),
                "class",
                str(top),
                "--out",
                str(out),
                "-j",
                str(judges),
            ]
            began = time.perf_counter()
            run = subprocess.run([*command, "--course", str(toy)], capture_output=True, text=True, check=True)
            took[judges] = time.perf_counter() - began
            print(run.stdout.splitlines()[-2], f"({judges} at a time: {took[judges]:.1f} s)", flush=True)
        each = one_by_one(course, Path(folder))
        files = STUDENTS * len(course.katas)
        print(f"pytest for each of {files} files: {each:.2f} s each, {each * files:.0f} s in all")
        print(f"two judges: {took[1] / took[2]:.2f} times one; {each * files / took[2]:.1f} times pytest")


def half_worked(course: Course, top: Path) -> None:
    """40 % of the files are each another, 30 % are stubs, 30 % are somebody else's."""
    for number in range(STUDENTS):
        for kata in course.katas:
            folder = top / f"student{number:03}"
            folder.mkdir(parents=True, exist_ok=True)
            right = course.reference(kata).read_bytes()
            kinds = (right + b"# %d\n" % number, right + b"# %d\n" % number, original(course, kata), right)
            (folder / kata.stub.name).write_bytes(kinds[(0, 0, 1, 1, 2, 2, 2, 3, 3, 3)[number % 10]])


def one_by_one(course: Course, folder: Path) -> float:
    """The seconds that a subprocess of pytest takes for a file."""
    root = folder / "plain"
    shutil.copytree(course.root, root, ignore=shutil.ignore_patterns("__pycache__", ".grade"))
    began = time.perf_counter()
    for _ in range(SAMPLE):
        for kata in course.katas:
            shutil.copyfile(course.reference(kata), root / "katas" / kata.id / kata.stub.name)
            command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"katas/{kata.id}"]
            subprocess.run(command, cwd=root, capture_output=True, check=True)
    return (time.perf_counter() - began) / SAMPLE / len(course.katas)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["plan", files]:
            plan(int(files))
        case ["plan"]:
            for files in (2_500, 5_000, 10_000):
                subprocess.run([sys.executable, __file__, "plan", str(files)], check=True)
        case _:
            speed()
