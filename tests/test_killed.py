"""Processes that are killed from outside while they judge: the verdict says whose end it was, and the run ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from grader.course import Course
from grader.engine.hold import Ladder, start, wait
from grader.engine.plan import Plan
from grader.scorecard import Verdict
from grader.session import Session
from grader.store import Store

TOY = Path(__file__).parent / "toy"
GRADE = str(Path(sys.executable).with_name("grade"))
BUSY = """    # in the first test only, and not for ever
    import time

    while x.shape == (2, 3) and time.process_time() < 1.5:
        pass
"""
BUSY_TICKS = 20  # of processor time: more than any worker needs to get as far as the loop


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """The toy course with a right file that takes its time in the first test, and all the time in the world."""
    root = tmp_path / "course"
    shutil.copytree(TOY, root, ignore=shutil.ignore_patterns("__pycache__", ".grade"))
    right = (root / "reference/01_scale/scale.py").read_text()
    body = "    # BEGIN SOLUTION: one multiplication\n"
    (root / "katas/01_scale/scale.py").write_text(right.replace(body, BUSY))
    manifest = root / "katas/01_scale/kata.toml"
    manifest.write_text(manifest.read_text().replace("seconds = 2.0", "seconds = 600.0"))
    return root


class Process(NamedTuple):
    """One process below the command's; `root` is that which the command started, the first of a ladder."""

    pid: int
    parent: int
    root: int
    folder: str
    started: int
    ticks: int


Choose = Callable[[list[Process]], int | None]  # the pid of the process to kill, once it is there


def _descendants(pid: int) -> Iterator[Process]:
    parents: dict[int, list[tuple[int, list[str]]]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            parents.setdefault(int(fields[1]), []).append((int(folder.name), fields))
    below = [(pid, 0)]
    while below:
        parent, root = below.pop()
        for child, fields in parents.get(parent, ()):
            below.append((child, root or child))
            with suppress(OSError):
                folder = os.readlink(f"/proc/{child}/cwd")
                yield Process(child, parent, root or child, folder, int(fields[19]), int(fields[11]))


def _kill_when(process: subprocess.Popen[str], choose: Choose) -> Process:
    """Kill the process below `process` that `choose` names, as soon as it names one; returns it."""
    while True:
        below = list(_descendants(process.pid))
        chosen = choose(below)
        if chosen is not None:
            os.kill(chosen, signal.SIGKILL)
            return next(one for one in below if one.pid == chosen)
        assert process.poll() is None, "it ended before anything could be killed"


def _left(course: Path) -> list[int]:
    """Processes of the grader that stand in the course: the command, ladders, and judges."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.readlink(folder / "cwd") == str(course):
                found.append(int(folder.name))
    return found


def _busy_worker(below: list[Process]) -> int | None:
    """Workers stand in the root folder, to which they change as they are locked."""
    return next((one.pid for one in below if one.folder == "/" and one.ticks > BUSY_TICKS), None)


def _judge(below: list[Process]) -> int | None:
    """While a worker is busy, the judge is the youngest process that still stands in the course."""
    if _busy_worker(below) is None:
        return None
    return max((one.started, one.pid) for one in below if one.folder != "/")[1]


def _graded(course: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [GRADE, "run", "1", "--report", "json"], cwd=course, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def _card(process: subprocess.Popen[str]) -> dict[str, Any]:
    output, _ = process.communicate()
    card: dict[str, Any] = json.loads(output)
    return card


def _ladder(below: list[Process]) -> int | None:
    """The first process below the command, while a worker is busy."""
    return None if _busy_worker(below) is None else below[0].pid


def _zygote(below: list[Process]) -> int | None:
    """The parent of a busy worker."""
    busy = _busy_worker(below)
    return next((one.parent for one in below if one.pid == busy), None)


def _warming(below: list[Process]) -> int | None:
    """The ladder, before there is anything on it."""
    return below[0].pid if below else None


KILLED: dict[str, tuple[Choose, str]] = {
    "a worker": (_busy_worker, "a worker was killed from outside"),
    "a zygote of workers": (_zygote, "the process that held a worker was killed"),
    "a judge": (_judge, "the judge ended in test_shape, killed by signal 9"),
    "the ladder": (_ladder, "the judge ended in test_shape"),
    "the ladder while it warms": (_warming, "the ladder did not start"),
}


@pytest.mark.parametrize("what", KILLED)
def test_what_is_killed_once_is_tried_again_and_costs_the_learner_nothing(course: Path, what: str) -> None:
    process = _graded(course)
    _kill_when(process, KILLED[what][0])
    card = _card(process)
    (kata,) = card["katas"]
    assert (process.returncode, kata["verdict"], kata["points"]) == (0, "pass", kata["max"])
    assert len(kata["tests"]) == 4 and card["complete"] is True
    assert not _left(course)


@pytest.mark.parametrize("what", KILLED)
def test_what_is_killed_twice_is_our_fault_and_is_not_stored(course: Path, what: str) -> None:
    choose, words = KILLED[what]
    process = _graded(course)
    first = _kill_when(process, choose)
    _kill_when(process, lambda below: choose([one for one in below if one.root != first.root]))
    card = _card(process)
    (kata,) = card["katas"]
    assert process.returncode == 3 and kata["verdict"] == "internal" and kata["points"] == 0
    assert words in kata["message"]
    assert not _left(course)
    again = _graded(course)
    assert _card(again)["katas"][0]["from_store"] is False and again.returncode == 0


def test_a_few_random_kills_leave_no_wrong_verdict_and_no_process() -> None:
    bench = Path(__file__).parent / "bench/kills.py"
    done = subprocess.run([sys.executable, str(bench), "4", "7"], text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(params=["", "namespaces"], ids=["with namespaces", "without"])
def without(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are namespaces their guard ends the tree, and elsewhere each process its own children."""
    monkeypatch.setenv("GRADKATA_TEST_WITHOUT", request.param)


@pytest.mark.usefixtures("without")
def test_nothing_outlives_a_command_that_is_killed(course: Path) -> None:
    for choose in (_warming, _busy_worker):
        process = _graded(course)
        while choose(list(_descendants(process.pid))) is None:
            assert process.poll() is None
        process.kill()
        process.communicate()
        while _left(course):  # the kernel ends them in its own time, which the test's deadline bounds
            pass


@pytest.mark.usefixtures("without")
def test_a_ladder_ends_with_its_line_of_life_also_in_the_middle_of_an_import() -> None:
    ladder = start(Plan(frozenset(["torch"])))
    assert isinstance(ladder, Ladder)
    while not list(_descendants(ladder._process.pid)):
        assert ladder._process.poll() is None
    ladder._life.close()
    assert ladder._process.wait() == -signal.SIGIO
    ladder.close()


@pytest.mark.usefixtures("without")
def test_a_ladder_survives_the_thread_that_started_it(toy: Course, tmp_path: Path) -> None:
    session, scale = Session(toy, Store(tmp_path, print)), toy.select(["scale"])
    (task,) = session.tasks(scale, toy.root / "reference")
    thread = threading.Thread(target=lambda: wait(session.keeper.reaching(task.plan, task.plan)))
    thread.start()
    thread.join()
    ladder = session.keeper.current
    card = session.grade(scale, toy.root / "reference")
    assert session.keeper.current is ladder
    session.close()
    assert card.katas[0].verdict is Verdict.PASS
