"""Systems that are not Linux, by the switch in `grader.machine`: the same verdicts, and nothing outlives whoever started it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from .test_killed import BUSY, TOY, Process, _busy_worker, _descendants

ELSEWHERE = [sys.executable, str(Path(__file__).with_name("elsewhere.py"))]


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """The toy course, with a file that never comes back from its first test, and all the time in the world."""
    root = tmp_path / "course"
    shutil.copytree(TOY, root, ignore=shutil.ignore_patterns("__pycache__", ".grade"))
    right = (root / "reference/01_scale/scale.py").read_text(encoding="utf-8")
    body = "    # BEGIN SOLUTION: one multiplication\n"
    endless = BUSY.replace("time.process_time() < 1.5", "True")
    assert body in right and endless != BUSY
    (root / "katas/01_scale/scale.py").write_text(right.replace(body, endless), encoding="utf-8")
    manifest = root / "katas/01_scale/kata.toml"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace("seconds = 2.0", "seconds = 600.0"))
    return root


@pytest.fixture
def busy(course: Path) -> Iterator[tuple[subprocess.Popen[bytes], Process, int]]:
    """A run whose worker is in the midst of an endless loop: the command, its judge, and the worker's pid."""
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    command = subprocess.Popen([*ELSEWHERE, "grade", "run", "1"], cwd=course, start_new_session=True, **streams)
    while (worker := _busy_worker(below := list(_descendants(command.pid)))) is None:
        assert command.poll() is None
    (judge,) = [one for one in below if one.pid in {each.parent for each in below if each.pid == worker}]
    yield command, judge, worker
    command.kill()
    command.wait()
    for pid in (judge.pid, worker):  # of a test that failed
        if there(pid):
            os.kill(pid, signal.SIGKILL)


def there(pid: int) -> bool:
    """Whether a process is there and has not ended; a zombie has."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def test_the_verdicts_are_the_same_and_the_scorecard_says_what_is_not_there(course: Path) -> None:
    words = ["grade", "1", "--from", "reference", "--report", "json"]
    done = subprocess.run([*ELSEWHERE, *words], cwd=course, capture_output=True, text=True)
    card = json.loads(done.stdout)
    assert (done.returncode, [kata["verdict"] for kata in card["katas"]]) == (0, ["pass"]), done.stderr
    assert card["sandbox"].startswith("none; landlock off (") and card["sandbox"].endswith(
        "every process started afresh"
    )


def test_a_worker_ends_after_its_judge(busy: tuple[subprocess.Popen[bytes], Process, int]) -> None:
    _, judge, worker = busy
    os.kill(judge.pid, signal.SIGKILL)
    while there(worker):  # the test's deadline bounds it
        pass


def test_judge_and_worker_end_after_the_command(busy: tuple[subprocess.Popen[bytes], Process, int]) -> None:
    command, judge, worker = busy
    command.kill()
    command.wait()
    while there(judge.pid) or there(worker):
        pass


def test_code_that_keeps_the_interpreter_from_every_thread_has_its_limit_of_processor_time() -> None:
    script = f"""
import resource, runpy, time
runpy.run_path({ELSEWHERE[1]!r})
from grader.worker.jail import Policy, prepare
prepare(Policy.of("numpy")).enter(1 << 30, 7)
print(resource.getrlimit(resource.RLIMIT_CPU)[0] - time.process_time())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert 7 <= float(done.stdout) <= 8


def test_doctor_says_what_is_missing(course: Path) -> None:
    done = subprocess.run([*ELSEWHERE, "grade", "doctor"], cwd=course, capture_output=True, text=True)
    assert done.returncode == 1 and not done.stderr
    assert "started one by one" in done.stdout and "only Linux has Landlock and seccomp" in done.stdout
    assert "within 0.5 s" in done.stdout
