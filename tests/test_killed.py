"""Processes that are killed from outside while they judge: the verdict says whose end it was, and the run ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

TOY = Path(__file__).parent / "toy"
GRADE = str(Path(sys.executable).with_name("grade"))
LOOP = "    while x.shape == (2, 3):\n        pass\n"  # in the first test only
BUSY_TICKS = 20  # of processor time: more than any worker needs to get as far as the loop


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """The toy course with a stub that loops for ever, and all the time in the world."""
    root = tmp_path / "course"
    shutil.copytree(TOY, root, ignore=shutil.ignore_patterns("__pycache__", ".grade"))
    right = (root / "reference/01_scale/scale.py").read_text()
    body = "    # BEGIN SOLUTION: one multiplication\n"
    (root / "katas/01_scale/scale.py").write_text(right.replace(body, LOOP))
    manifest = root / "katas/01_scale/kata.toml"
    manifest.write_text(manifest.read_text().replace("seconds = 2.0", "seconds = 600.0"))
    return root


class Process(NamedTuple):
    """One process below the command's."""

    pid: int
    folder: str
    started: int
    ticks: int


def _descendants(pid: int) -> Iterator[Process]:
    parents: dict[int, list[tuple[int, list[str]]]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            parents.setdefault(int(fields[1]), []).append((int(folder.name), fields))
    below = [pid]
    while below:
        for child, fields in parents.get(below.pop(), ()):
            below.append(child)
            with suppress(OSError):
                yield Process(child, os.readlink(f"/proc/{child}/cwd"), int(fields[19]), int(fields[11]))


def _kill_when(process: subprocess.Popen[str], choose: Callable[[list[Process]], int | None]) -> None:
    """Kill the process below `process` that `choose` names, as soon as it names one."""
    while (chosen := choose(list(_descendants(process.pid)))) is None:
        assert process.poll() is None, "it ended before anything could be killed"
    os.kill(chosen, signal.SIGKILL)


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


def test_a_worker_killed_from_outside_is_a_crash_of_its_test_alone(course: Path) -> None:
    process = _graded(course)
    _kill_when(process, _busy_worker)
    (kata,) = _card(process)["katas"]
    assert process.returncode == 1 and kata["verdict"] == "crash"
    assert "SIGKILL" in kata["tests"][0]["message"]
    assert [test["verdict"] for test in kata["tests"]] == ["crash", "pass", "pass", "pass"]


def test_a_judge_killed_from_outside_is_our_fault_and_ends_the_run(course: Path) -> None:
    process = _graded(course)
    _kill_when(process, _judge)
    (kata,) = _card(process)["katas"]
    assert process.returncode == 3 and kata["verdict"] == "internal"
    assert "the judge ended in test_shape, killed by signal 9" in kata["message"]
