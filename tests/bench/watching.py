"""From the write of a file to the painted line: `grade watch` in a terminal of its own, against plain pytest on the same kata.

The file is saved as an editor does it, by rename, each time with another content. What is painted is read off the
terminal as it arrives. How long the tests themselves take is what plain pytest says of them, in the same minute.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[2]
KATA = "04_lstm"
AT_HAND = "test_classifier_with_given_weights"  # the first to fail of the wrong solution below
TIMES = 5
SECONDS = 120.0  # that anything may take
Row = Callable[[str, float, str, float], None]


class Terminal:
    """A terminal of 80 by 24, and what was painted on it."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self._near, far = pty.openpty()
        fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "GRADE_LANG": "en", "PYTHONUTF8": "1"}
        streams = {"stdin": far, "stdout": far, "stderr": far}
        self.process = subprocess.Popen(command, cwd=folder, env=environment, start_new_session=True, **streams)  # type: ignore[call-overload]
        os.close(far)
        self._unread = b""

    def until(self, pattern: bytes) -> float:
        """Wait until something is painted; returns when that was. What was painted up to it is not looked at again."""
        overdue = time.perf_counter() + SECONDS
        while not (found := re.search(pattern, self._unread)):
            if not select.select([self._near], [], [], max(0.0, overdue - time.perf_counter()))[0]:
                raise SystemExit(f"{pattern!r} was not painted: {self._unread[-2000:]!r}")
            self._unread += os.read(self._near, 1 << 16)
        self._unread = self._unread[found.end() :]
        return time.perf_counter()

    def drain(self) -> None:
        """Read what is there, and look at none of it."""
        while select.select([self._near], [], [], 0.5)[0]:
            os.read(self._near, 1 << 16)
        self._unread = b""

    def close(self) -> None:
        os.write(self._near, b"q")
        with suppress(OSError):
            while os.read(self._near, 1 << 16):
                pass
        self.process.wait()
        os.close(self._near)


def save(path: Path, source: str) -> float:
    """As an editor does it; returns when."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(source, encoding="utf-8")
    os.replace(beside, path)
    return time.perf_counter()


def bodies(course: Path) -> dict[str, float]:
    """The seconds of each test under plain pytest."""
    report = course / "junit.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"katas/{KATA}", f"--junitxml={report}"]
    subprocess.run(
        command, cwd=course, stdout=subprocess.DEVNULL, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    cases = ElementTree.parse(report).getroot().iter("testcase")
    return {str(case.get("name")): float(case.get("time", "nan")) for case in cases}


def tree(pid: int) -> Iterator[int]:
    """A process and all below it."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            yield from tree(int(child))


def pss_mb(pid: int) -> float:
    """The memory of a tree of processes, what several share counted once."""
    found = 0
    for each in tree(pid):
        with suppress(OSError):
            found += int(re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{each}/smaps_rollup").read_text(), re.MULTILINE)[1])  # type: ignore[index]
    return found / 1024


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def course() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "course")
        for name in ("katas", "reference"):
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "course.toml", root)
        yield root


def measure(row: Row) -> None:
    """The rows of the benchmark."""
    with course() as root:
        stub = root / "katas" / KATA / f"{KATA.partition('_')[2]}.py"
        right = (root / "reference" / KATA / stub.name).read_text(encoding="utf-8")
        wrong = right.replace("_, h, _ = lstm(", "_, _, h = lstm(")
        assert right != wrong
        save(stub, wrong)
        terminal = Terminal([str(Path(sys.executable).with_name("grade")), "watch", KATA], root)
        try:
            terminal.until(rb"/10 points")
            firsts, lasts = [], []
            for turn in range(TIMES):
                terminal.drain()
                save(stub, f"{right}# {turn}\n")
                plain = bodies(root)
                terminal.until(rb"/10 points")
                terminal.drain()
                save(stub, f"{wrong}# {turn}\n")
                terminal.until(rb"/10 points")
                terminal.drain()
                began = save(stub, f"{right}# again {turn}\n")
                said = terminal.until(rb"checking")
                first = terminal.until(rb"[1-9]\d* of \d+ tests")
                last = terminal.until(rb"/10 points")
                firsts.append((first - began - plain[AT_HAND]) * 1e3)
                lasts.append((last - began - 0.6 * sum(plain.values())) * 1e3)
                print(
                    f"  said {1e3 * (said - began):.0f} ms, first {1e3 * (first - began):.0f} ms, last {last - began:.2f} s; bodies {sum(plain.values()):.2f} s, the first of them {plain[AT_HAND]:.3f} s",
                    flush=True,
                )
            row(
                "from the write to the first verdict painted, beyond that test's body",
                statistics.median(firsts),
                "ms",
                100,
            )
            row("from the write to the last, beyond 0.6 of the bodies", statistics.median(lasts), "ms", 50)
            terminal.drain()
            before = processor_seconds(terminal.process.pid)
            time.sleep(5)  # it is what it does meanwhile that is measured
            print(f"  idle: {20 * (processor_seconds(terminal.process.pid) - before):.1f} % of a processor")
            row("`grade watch` idle, with its warm ladder", pss_mb(terminal.process.pid), "MB", 700)
        finally:
            with suppress(OSError):
                terminal.close()
            with suppress(ProcessLookupError):
                os.killpg(terminal.process.pid, signal.SIGKILL)
