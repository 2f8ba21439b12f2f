"""`grade watch` as its user has it: in a real terminal, saved to, stopped, pressed, quit, and nothing left of it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from grader.cli.commands import run
from grader.errors import UsageFault

from .test_killed import GRADE, TOY, _left

SECONDS = 50.0  # for anything to be painted: what is wrong is shown, and not only that it is late
COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9[0-7])(?:;\d+)*m")


@pytest.fixture
def course(tmp_path: Path) -> Path:
    root = tmp_path / "course"
    shutil.copytree(TOY, root, ignore=shutil.ignore_patterns("__pycache__", ".grade"))
    return root


class Pane:
    """One terminal of tmux, in a server of its own."""

    def __init__(self, course: Path, socket: Path, **environment: str) -> None:
        self.course = course
        self._socket = str(socket)
        settings = [f"{name}={value}" for name, value in {"GRADE_LANG": "en", **environment}.items()]
        command = ["env", "-u", "NO_COLOR", *settings, GRADE, "watch", "1"]
        script = f"(cd {shlex.quote(str(course))} && exec {shlex.join(command)}); echo ended with $?; cat"
        self._tmux("new-session", "-d", "-x", "80", "-y", "24", "-c", str(socket.parent), script)

    def _tmux(self, *arguments: str) -> str:
        command = ["tmux", "-S", self._socket, "-f", "/dev/null", *arguments]
        return subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout

    def shows(self, *colours: str) -> str:
        return self._tmux("capture-pane", "-p", *colours)

    def until(self, *words: str) -> str:
        """What is painted once all of this is there."""
        overdue = time.monotonic() + SECONDS
        while not all(each in (shown := self.shows()) for each in words):
            assert time.monotonic() < overdue, shown
        return shown

    def press(self, *keys: str) -> None:
        self._tmux("send-keys", *keys)

    def command(self) -> int:
        """The process of `grade watch`."""
        (found,) = (pid for pid in _left(self.course) if b"watch" in _arguments(pid))
        return found

    def close(self) -> None:
        self._tmux("kill-server")


@pytest.fixture
def opened(course: Path, tmp_path: Path) -> Iterator[Callable[..., Pane]]:
    panes: list[Pane] = []

    def opening(**environment: str) -> Pane:
        panes.append(Pane(course, tmp_path / f"tmux{len(panes)}", **environment))
        return panes[-1]

    yield opening
    for pane in panes:
        pane.close()


def save(course: Path, old: str = "", new: str = "") -> None:
    """The right solution with an edit, by rename."""
    stub = course / "katas/01_scale/scale.py"
    beside = stub.with_name("scale.py~")
    beside.write_text((course / "reference/01_scale/scale.py").read_text().replace(old, new))
    beside.replace(stub)


def _arguments(pid: int) -> list[bytes]:
    return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")


def test_saved_pressed_and_quit(course: Path, opened: Callable[..., Pane]) -> None:
    pane = opened()
    pane.until("to do  0/4 points", "next: scale: one multiplication", "0 of 2 katas pass")
    save(course, "x * factor", "x + factor")
    pane.until("fail", "/4 points", "Every entry is multiplied", "scale(x) is off by")
    pane.press("h")
    pane.until("hint 1 of 3", "One multiplication.")
    save(course)
    pane.until("pass  4/4 points", "Every test passes.", "1 of 2 katas pass")
    pane.press("l")
    pane.until("type to search", "passed  01_scale")
    pane.press("l", "i", "n", "Enter")
    pane.until("02_line", "to do  0/")
    pane.press("q")
    pane.until("ended with 0")
    assert _left(course) == []


def test_its_ladder_is_there_for_other_commands(course: Path, opened: Callable[..., Pane]) -> None:
    pane = opened()
    pane.until("to do  0/4 points")
    said = subprocess.run([GRADE, "doctor", "--lang", "en"], cwd=course, capture_output=True, text=True, check=False)
    assert f"the ladder is shared by `grade watch` (process {pane.command()})" in said.stdout
    pane.press("q")
    pane.until("ended with 0")
    assert _left(course) == [] and not any((course / ".grade").glob("ladder*/*"))


def test_a_syntax_error_a_missing_file_and_a_loop_are_survived(course: Path, opened: Callable[..., Pane]) -> None:
    manifest = course / "katas/01_scale/kata.toml"
    manifest.write_text(manifest.read_text().replace("seconds = 2.0", "seconds = 600.0"))
    pane = opened()
    pane.until("to do  0/4 points")
    save(course, "def scale(", "def scale(:")
    pane.until("error  0/4 points", "syntax")
    (course / "katas/01_scale/scale.py").unlink()
    pane.until("scale.py is missing")
    save(course, "    return np.split(x, 2)", "    while True:\n        pass")
    pane.until("checking 01_scale", "✓")  # one of the two judges goes on
    pane.press("k")
    pane.until("- killed", "/4 points", "✓")
    save(course)
    pane.until("pass  4/4 points")
    pane.press("x")
    pane.until("y for yes")
    pane.press("y")
    pane.until("to do  0/4 points")
    pane.press("u")
    pane.until("pass  4/4 points")


def test_a_stop_is_slept_through(course: Path, opened: Callable[..., Pane]) -> None:
    pane = opened()
    pane.until("to do  0/4 points")
    os.kill(pane.command(), signal.SIGSTOP)
    save(course)
    os.kill(pane.command(), signal.SIGCONT)
    pane.until("pass  4/4 points")


def test_a_signal_ends_it_in_order(course: Path, opened: Callable[..., Pane]) -> None:
    pane = opened()
    pane.until("to do  0/4 points")
    os.kill(pane.command(), signal.SIGTERM)
    pane.until("ended with 143")
    assert _left(course) == []


def test_a_terminal_that_is_closed_takes_it_along(course: Path, tmp_path: Path) -> None:
    pane = Pane(course, tmp_path / "tmux")
    pane.until("to do  0/4 points")
    pane.close()
    while _left(course):  # in its own time, which the test's deadline bounds
        pass


def test_without_colours_and_in_plain_signs(course: Path, opened: Callable[..., Pane]) -> None:
    coloured = opened()
    coloured.until("to do  0/4 points")
    save(course)
    coloured.until("pass  4/4 points")
    assert COLOUR.search(coloured.shows("-e"))
    plain = opened(NO_COLOR="1", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", PYTHONIOENCODING="ascii")
    shown = plain.until("+ pass  4/4 points", "==========----------  1 of 2 katas pass", "*....  5 min")
    assert shown.isascii() and not COLOUR.search(plain.shows("-e"))


def test_without_a_terminal_it_says_so(course: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(course)
    with pytest.raises(UsageFault, match="needs a terminal"):
        run(["watch", "1"])
