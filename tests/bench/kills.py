"""Kills, `make kills`: 200 times somebody sends SIGKILL to the command, a ladder, a zygote, a judge or a worker.

A course of two small katas, one right and one wrong, is graded again and again; at a random moment one random process
is killed. After each: no verdict is wrong (a kill of ours is `internal` or tried again, and never the learner's), the
store can be read, nothing of the run is left, and the next run is right. `kills.py COUNT SEED` for another number, or
to see one again.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COUNT = 200
TOY = Path(__file__).resolve().parents[1] / "toy"
GRADE = str(Path(sys.executable).with_name("grade"))
WRONG = "def predict(x, w, b):\n    return x @ w - b\n"
RIGHT = {"01_scale": "pass", "02_line": "fail"}
LINGERING = 1.0  # seconds in which whatever a killed command leaves must be gone


@dataclass(frozen=True)
class Process:
    """One process of a run."""

    pid: int
    parent: int
    folder: str

    def role(self, command: int, ladder: set[int]) -> str:
        """What it is: workers stand in the root folder, and judges, zygotes and the ladder in the course."""
        if self.pid == command:
            return "command"
        if self.folder == "/":
            return "worker"
        return "ladder" if self.parent == command or self.parent not in ladder else "zygote or judge"


def family(command: int) -> list[Process]:
    """The command and what descends from it."""
    parents: dict[int, list[Process]] = {}
    own = Process(command, 0, "")
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            process = Process(int(folder.name), parent, os.readlink(folder / "cwd"))
            parents.setdefault(parent, []).append(process)
            own = process if process.pid == command else own
    found = [own]
    for process in found:
        found += parents.get(process.pid, ())
    return found


def course(folder: Path) -> Path:
    """The toy course with one right file and one wrong one."""
    root = folder / "course"
    shutil.copytree(TOY, root, ignore=shutil.ignore_patterns("__pycache__", ".grade"))
    shutil.copy(root / "reference/01_scale/scale.py", root / "katas/01_scale/scale.py")
    right = (root / "reference/02_line/line.py").read_text(encoding="utf-8")
    (root / "katas/02_line/line.py").write_text(right + "\n\n" + WRONG, encoding="utf-8")
    return root


def graded(root: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [GRADE, "run", "-j", "2", "--report", "json", *arguments]
    return subprocess.Popen(command, cwd=root, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def left(root: Path, marked: set[int]) -> list[int]:
    """What of a run is still there: whoever stands in the course, or was seen below the command."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            number = int(folder.name)
            if (folder / "stat").read_text().rpartition(")")[2].split()[0] == "Z":
                continue
            if os.readlink(folder / "cwd") == str(root) or number in marked:
                found.append(number)
    return found


def wrong(card: dict[str, Any], code: int) -> list[str]:
    """Verdicts that are neither right nor `internal`, and points that nobody earned."""
    found = [f"{kata['id']} is {kata['verdict']}" for kata in card["katas"] if kata["verdict"] not in
             (RIGHT[kata["id"]], "internal")]  # fmt: skip
    ours = any(kata["verdict"] == "internal" for kata in card["katas"])
    if code != (3 if ours else 1):
        found.append(f"exit code {code}")
    found += [f"{kata['id']} earned {kata['points']}" for kata in card["katas"] if kata["verdict"] == "internal" and
              kata["points"]]  # fmt: skip
    return found


def readable(root: Path) -> list[str]:
    """Whether the store is whole, and holds nothing that a kill made."""
    path = root / ".grade/store.sqlite"
    if not path.exists():
        return []
    with sqlite3.connect(path) as store:
        (sound,) = store.execute("PRAGMA integrity_check").fetchone()
        (made,) = store.execute("PRAGMA user_version").fetchone()  # 0: killed before it had tables, which come together
        kept = store.execute("SELECT kata, result FROM results").fetchall() if made else []
    store.close()
    found = [] if sound == "ok" else [f"the store is not sound: {sound}"]
    return found + [f"{kata} is stored as {verdict}" for kata, result in kept
                    if (verdict := json.loads(result)["verdict"]) != RIGHT[kata]]  # fmt: skip


def one(root: Path, draw: random.Random, longest: float) -> tuple[str, str, list[str]]:
    """One run with one kill: who was killed, how the run ended, and what was wrong."""
    if draw.random() < 0.3:
        shutil.rmtree(root / ".grade", ignore_errors=True)
    process = graded(root, "--fresh")
    if draw.random() < 0.5:  # else seldom, since a ladder takes longer to warm than these katas to judge
        while process.poll() is None and not any(each.folder == "/" for each in family(process.pid)):
            pass
        longest /= 50
    moment = time.monotonic() + draw.uniform(0.0, longest)
    while time.monotonic() < moment and process.poll() is None:
        time.sleep(0.002)
    there = [each for each in family(process.pid) if each.pid != process.pid or process.poll() is None]
    pids = {each.pid for each in there}
    kinds: dict[str, list[Process]] = {}
    for each in there:
        kinds.setdefault(each.role(process.pid, pids - {process.pid}), []).append(each)
    role = "nobody"
    if kinds:
        role = draw.choice(sorted(kinds))
        with suppress(ProcessLookupError):
            os.kill(draw.choice(kinds[role]).pid, signal.SIGKILL)
    output, errors = process.communicate()
    faults: list[str] = []
    if process.returncode == -signal.SIGKILL:
        end = "killed"
        deadline = time.monotonic() + LINGERING
        while left(root, pids) and time.monotonic() < deadline:
            time.sleep(0.01)
    else:
        try:
            card = json.loads(output)
        except ValueError:
            return role, "no scorecard", [f"no scorecard, exit code {process.returncode}: {errors[-500:]}"]
        faults += wrong(card, process.returncode)
        end = "our fault" if process.returncode == 3 else "right"
    if remaining := left(root, pids):
        faults.append(f"left behind: {remaining}")
    faults += readable(root)
    again = graded(root)
    card = json.loads(again.communicate()[0])
    verdicts = {kata["id"]: kata["verdict"] for kata in card["katas"]}
    if verdicts != RIGHT:
        faults.append(f"the next run says {verdicts}")
    return role, end, faults


def main(count: int, seed: int) -> int:
    draw, ends, bad = random.Random(seed), Counter[tuple[str, str]](), list[str]()
    with tempfile.TemporaryDirectory() as folder:
        root = course(Path(folder).resolve())
        for _ in range(2):  # the first reads everything from the disk
            began = time.monotonic()
            graded(root, "--fresh").communicate()
        longest = time.monotonic() - began
        for number in range(count):
            role, end, faults = one(root, draw, longest)
            ends[role, end] += 1
            bad += [f"kill {number} ({role}): {fault}" for fault in faults]
    print(f"{count} kills, seed {seed}\n\n| killed | the run then | times |\n|---|---|---|")
    for (role, end), times in sorted(ends.items()):
        print(f"| {role} | {end} | {times} |")
    print(
        "\n"
        + (
            "\n".join(bad)
            or "no verdict was wrong, every store was readable, every next run right, and nothing is left"
        )
    )
    return bool(bad)


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    sys.exit(main(*[*numbers, *(COUNT, 0)[len(numbers) :]]))
