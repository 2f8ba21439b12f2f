"""The command is told to stop, or cannot say what it found: in order, with what was decided, and leaving nothing behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import pytest

from .test_killed import GRADE, TOY, _busy_worker, _descendants, _left, _warming

LOOP = "    while True:  # for ever, in the third test only\n        pass\n"
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """The toy course with a file that never comes back from its third test."""
    root = tmp_path / "course"
    shutil.copytree(TOY, root, ignore=shutil.ignore_patterns("__pycache__", ".grade"))
    right = (root / "reference/01_scale/scale.py").read_text()
    head, halves = right.split("def halves(", 1)
    body = "    # BEGIN SOLUTION"
    assert body in halves
    (root / "katas/01_scale/scale.py").write_text(head + "def halves(" + halves.replace(body, LOOP + body, 1))
    manifest = root / "katas/01_scale/kata.toml"
    manifest.write_text(manifest.read_text().replace("seconds = 5.0", "seconds = 600.0"))
    return root


def begun(course: Path, *arguments: str) -> subprocess.Popen[str]:
    def usual() -> None:  # whoever runs the tests may ignore these
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)

    command = [GRADE, "run", "1", "--report", "json", *arguments]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=course, text=True, preexec_fn=usual, **streams)  # type: ignore[call-overload,no-any-return]


def until(process: subprocess.Popen[str], wanted: Any) -> None:
    """Wait for a process below the command's that `wanted` names."""
    while wanted(list(_descendants(process.pid))) is None:
        assert process.poll() is None, process.communicate()


class Stopped(NamedTuple):
    code: int
    output: str
    errors: str


def stopped(process: subprocess.Popen[str], *numbers: int) -> Stopped:
    for number in numbers:
        process.send_signal(number)
    output, errors = process.communicate()
    return Stopped(process.returncode, output, errors)


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_what_was_decided_is_told_test_by_test(course: Path, tmp_path: Path, number: signal.Signals) -> None:
    junit = tmp_path / "a.xml"
    process = begun(course, "--report", f"junit={junit}")
    until(process, _busy_worker)
    told = stopped(process, number)
    assert told.code == 128 + number and not _left(course)
    card = json.loads(told.output)
    (kata,) = card["katas"]
    verdicts = [test["verdict"] for test in kata["tests"]]
    assert verdicts == ["pass", "pass", "not_run", "not_run"]
    assert (card["complete"], card["unfinished"], kata["verdict"]) == (False, ["01_scale"], "not_run")
    assert 0 < kata["points"] < kata["max"] and card["sandbox"].startswith("landlock")
    cases = ElementTree.fromstring(junit.read_text()).findall(".//testcase")
    assert [case.get("name") for case in cases][:4] == [test["name"] for test in kata["tests"]]


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
@pytest.mark.parametrize("times", [1, 2])
def test_while_the_ladder_warms_nothing_false_is_said(course: Path, number: signal.Signals, times: int) -> None:
    process = begun(course)
    until(process, _warming)
    told = stopped(process, *[number] * times)
    assert told.code == 128 + number and not _left(course)
    card = json.loads(told.output)
    assert (card["katas"], card["unfinished"]) == ([], ["01_scale"])
    assert "before a worker could start" in card["sandbox"]


def test_somebody_in_a_hurry_is_obeyed_and_nothing_is_left(course: Path) -> None:
    process = begun(course)
    until(process, _busy_worker)
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130
    while _left(course):  # the kernel ends the ladder in its own time, which the test's deadline bounds
        pass


def test_a_signal_before_anything_was_read_is_one_line(course: Path) -> None:
    said = "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"
    program = (
        f"import sys; sys.argv[1:] = ['1']\nfrom grader.cli import signals, main\nsignals.take()\ntry:\n    {said}\n"
    )
    program += "except KeyboardInterrupt:\n    pass\nsys.exit(signals.exit_code())"
    done = subprocess.run([sys.executable, "-c", program], cwd=course, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (143, "", "")


def test_a_hangup_that_was_ignored_stays_ignored(course: Path) -> None:
    process = subprocess.Popen(
        [GRADE, "run", "1"], cwd=course, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )  # fmt: skip
    until(process, _busy_worker)
    told = stopped(process, signal.SIGHUP, signal.SIGTERM)
    assert told.code == 143 and not _left(course)


# Standard output


def shown(course: Path, stdout: int | Any, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [GRADE, *(arguments or ("1", "--from", "reference"))]
    return subprocess.run(command, cwd=course, text=True, stdout=stdout, stderr=subprocess.PIPE)


@pytest.mark.parametrize("arguments", [(), ("--help",), ("run", "1", "--from", "reference", "--report", "json")])
def test_a_full_output_is_a_line_and_exit_code_2(course: Path, arguments: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:
        done = shown(course, full, *arguments)
    assert done.returncode == 2 and "No space left" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [(), ("--help",), ("doctor", "--help")])
def test_nobody_who_reads_is_no_fault(course: Path, arguments: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = shown(course, writing, *arguments)
    os.close(writing)
    assert done.returncode == 141 and "Traceback" not in done.stderr and "fault" not in done.stderr


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_closed_streams_are_in_nobodys_way(course: Path, closed: str) -> None:
    card = course / "card.json"
    command = f'"{GRADE}" run 1 --from reference --report terminal --report json={card} {closed}'
    done = subprocess.run(["sh", "-c", command], cwd=course, text=True, capture_output=True)
    assert done.returncode == (2 if "1>" in closed else 0) and "Traceback" not in done.stderr
    assert json.loads(card.read_text())["score"]["points"] == 4.0
