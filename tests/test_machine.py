"""Odd machines and shells: tight limits, no disk, strange names and environments. A right verdict, or a sentence, every time."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grader import forkserver, machine
from grader.cli import commands, exits
from grader.engine import hold
from grader.engine.hold import Ladder, start, wait
from grader.engine.plan import Plan
from grader.errors import InternalFault, UsageFault
from grader.judge.leash import SocketLeash

TOY = Path(__file__).parent / "toy"
GRADE = str(Path(sys.executable).with_name("grade"))
PASSED = {"test_shape": "pass", "test_values": "pass", "test_halves": "pass", "test_pure": "pass"}


@pytest.fixture
def course(tmp_path: Path) -> Path:
    root = tmp_path / "course"
    shutil.copytree(TOY, root, ignore=shutil.ignore_patterns("__pycache__", ".grade"))
    return root


def grade(
    folder: Path, *arguments: str, before: Callable[[], object] = lambda: None, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [GRADE, *arguments], cwd=folder, text=True, capture_output=True, errors="replace",
        env={**os.environ, **environment}, preexec_fn=before,
    )  # fmt: skip


def verdicts(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """Of the tests of the one kata that was graded."""
    assert done.stdout, done.stderr
    (kata,) = json.loads(done.stdout)["katas"]
    return {test["name"]: test["verdict"] for test in kata["tests"]}


def told(done: subprocess.CompletedProcess[str], words: str) -> None:
    """The command ended with a fault of usage: one sentence, one step, and nothing else."""
    lines = done.stderr.splitlines()
    assert (done.returncode, done.stdout, len(lines)) == (2, "", 2), done.stderr
    assert lines[0].startswith("grade: ") and words in lines[0] and lines[1].startswith("       ")


# Limits of the shell


TIGHT = {
    "RLIMIT_NOFILE": (20, "20 open files are all that this shell allows (`ulimit -n`), and judging takes 56"),
    "RLIMIT_AS": (700 << 20, "716,800 KiB of addresses are all that this shell allows (`ulimit -v`)"),
    "RLIMIT_CPU": (10, "10 seconds of processor time are all that this shell allows (`ulimit -t`)"),
    "RLIMIT_STACK": (400 << 10, "400 KiB of stack are all that this shell allows (`ulimit -s`)"),
}


@pytest.mark.parametrize("limit", TIGHT)
def test_a_limit_on_which_a_verdict_could_depend_is_told_before_anything_is_judged(course: Path, limit: str) -> None:
    value, words = TIGHT[limit]
    kind = getattr(resource, limit)
    told(grade(course, "run", "1", "-j", "1", before=lambda: resource.setrlimit(kind, (value, value))), words)
    told(grade(course, "check", "1", "-j", "1", before=lambda: resource.setrlimit(kind, (value, value))), words)


def test_a_limit_that_may_be_raised_is(course: Path) -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    done = grade(
        course, "run", "1", "--from", "reference", "--report", "json",
        before=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (20, most)),
    )  # fmt: skip
    assert verdicts(done) == PASSED


@pytest.mark.parametrize("user", [0, 1000])
def test_the_number_of_processes_counts_for_everyone_but_root(user: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def limits(kind: int) -> tuple[int, int]:
        return (8, 8) if kind == resource.RLIMIT_NPROC else (resource.RLIM_INFINITY, resource.RLIM_INFINITY)

    def refuse(kind: int, limits: tuple[int, int]) -> None:
        raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "getrlimit", limits)
    monkeypatch.setattr(resource, "setrlimit", refuse)
    monkeypatch.setattr(os, "geteuid", lambda: user)
    if user == 0:
        machine.make_room(2)
        return
    with pytest.raises(UsageFault, match=r"^8 processes are all that this shell allows \(`ulimit -u`\).* takes 24$"):
        machine.make_room(2)


def test_doctor_names_a_tight_limit(course: Path) -> None:
    done = grade(course, "doctor", before=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40)))
    assert done.returncode == 1 and "- 40 open files are all that this shell allows (`ulimit -n`)" in done.stdout


# What is refused in the midst of a run


def test_a_process_that_cannot_be_forked_is_told_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    near, far = socket.socketpair()
    leash = SocketLeash(near)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fork", refuse)
        assert forkserver._fork(far, lambda document, descriptors: None, {}, b"{}", [far.detach()]) is None
    assert leash.pid() is None
    assert str(leash.refused()) == "no further process can be started: end some, or raise `ulimit -u`"
    leash.close()


def test_a_leash_of_a_process_that_was_there_says_of_no_refusal() -> None:
    near, far = socket.socketpair()
    leash = SocketLeash(near)
    far.send(forkserver.STARTED.pack(forkserver.PID, 17))
    assert (leash.pid(), leash.refused()) == (17, "")
    far.close()
    leash.close()


def test_a_ladder_that_cannot_start_says_the_line_that_matters() -> None:
    with pytest.raises(InternalFault) as fault:
        made = start(Plan(frozenset(["numpy"])), {"PYTHONHOME": "/nonexistent", "LC_ALL": "C"})
        try:
            assert isinstance(made, Ladder)
            made._control.send(b"no JSON")  # a second plan, which nobody reads
            os.kill(made._process.pid, 9)
            wait(made)
        finally:
            made.close()
    assert fault.value.message == "the ladder did not start: it ended and said nothing"
    said = b"Traceback (most recent call last):\n  File ...\n\nImportError: libfoo.so: no such file\n"
    assert hold._last_line(said) == "ImportError: libfoo.so: no such file"


REFUSED: dict[str, tuple[Exception, str, int]] = {
    "a file that may not be read": (PermissionError(errno.EACCES, "", "/a/b"), "grade: /a/b: permission denied", 2),
    "a full disk": (OSError(errno.ENOSPC, ""), "grade: there is no space left on the disk", 2),
    "no memory": (MemoryError(), "grade: there is not enough memory", 2),
    "a fault of ours": (KeyError("a"), "grade: a fault of ours: KeyError: 'a'", 3),
    "a file of ours": (FileNotFoundError(errno.ENOENT, "", "/a"), "grade: a fault of ours: FileNotFoundError", 3),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_the_machine_refuses_is_no_fault_of_ours(
    what: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error, words, code = REFUSED[what]

    def run(args: list[str] | None) -> int:
        raise error

    monkeypatch.setattr(commands, "run", run)
    assert exits.run([]) == code
    said = capsys.readouterr().err
    assert words in said and ("Traceback" in said) == (code == 3)


def test_a_store_that_cannot_grow_is_a_notice(course: Path) -> None:
    done = grade(
        course, "run", "1", "--from", "reference", "--report", "json",
        before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
    )  # fmt: skip
    assert verdicts(done) == PASSED and done.returncode == 0
    assert done.stderr.count("results are not kept") == 1 and "Traceback" not in done.stderr


# Names


def test_a_course_may_have_any_name_that_is_text(tmp_path: Path) -> None:
    root = tmp_path / "-a b\n漢 '\"$(x)%s{0}[1]"
    shutil.copytree(TOY, root, ignore=shutil.ignore_patterns("__pycache__", ".grade"))
    done = grade(root, "run", "1", "--from", "reference", "--report", "json")
    assert verdicts(done) == PASSED
    done = grade(tmp_path, "run", "1", "--course", root.name, "--from", str(root / "reference"), "--report", "json")
    assert verdicts(done) == PASSED and json.loads(done.stdout)["katas"][0]["from_store"] is True


def test_a_name_that_is_no_text_is_told(course: Path, tmp_path: Path) -> None:
    bad = tmp_path / os.fsdecode(b"\xff")
    shutil.copytree(TOY, bad, ignore=shutil.ignore_patterns("__pycache__", ".grade"))
    for done in (
        grade(bad, "run", "1"),
        grade(course, "run", "1", "--course", str(bad)),
        grade(course, "run", "1", "--from", str(bad / "reference")),
        grade(bad, "check", "1"),
    ):
        told(done, "this name is not UTF-8")


@pytest.mark.parametrize("command", [["run", "1"], ["check"], ["new", "51_x"], ["stub"], ["release", "there"]])
def test_a_folder_that_is_gone_is_told(tmp_path: Path, command: list[str]) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    told(grade(gone, *command, before=gone.rmdir), "the folder that you are in cannot be used")


# Environments


def test_no_environment_changes_a_verdict(course: Path, tmp_path: Path) -> None:
    """Python's own settings and the terminal's, all at once, beside none at all: a right file, and a wrong one."""
    (tmp_path / "shadow").mkdir()
    for name in ("click", "numpy", "torch", "pytest", "msgspec"):
        (tmp_path / f"shadow/{name}.py").write_text("raise SystemExit('shadowed')", encoding="utf-8")
    odd: dict[str, str] = {
        "PYTHONPATH": str(tmp_path / "shadow"),
        "PYTHONSTARTUP": str(tmp_path / "shadow/torch.py"),
        "PYTHONOPTIMIZE": "2",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "7",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "LC_ALL": "C",
        "LANG": "C",
        "NO_COLOR": "1",
        "COLUMNS": "20",
        "TERM": "dumb",
        "TMPDIR": "/nonexistent",
        "HOME": "",
    }
    right = (course / "reference/01_scale/scale.py").read_text(encoding="utf-8")
    (course / "katas/01_scale/scale.py").write_text(f"{right}\ndef scale(x, factor):\n    return x\n", encoding="utf-8")
    seen: list[Any] = []
    for environment in ({}, odd):
        for source in ("reference", "katas"):
            done = grade(course, "1", "--from", source, "--fresh", "--report", "json", **environment)
            assert done.returncode == int(source == "katas") and "Traceback" not in done.stderr, done.stderr
            (kata,) = json.loads(done.stdout)["katas"]
            seen.append([(test["name"], test["verdict"], test["message"]) for test in kata["tests"]])
        shown = grade(course, "1", "--from", "reference", **environment)
        assert shown.returncode == 0 and not shown.stderr and "01_scale" in shown.stdout
    assert seen[:2] == seen[2:]
    narrow = grade(course, "1", "--from", "reference", **odd).stdout.splitlines()
    assert max(map(len, narrow)) < 60
