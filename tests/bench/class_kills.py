"""Kills of a class run, `make classkills`: 50 times somebody sends SIGKILL to the command, a ladder, a judge or a worker.

A class of the toy course is judged into one output, and at a random moment one random process is killed; the same command
goes on, and is killed again, until all is judged: then everything that a gradebook is made of must be, times and memory
apart, byte for byte what an undisturbed run found. `class_kills.py COUNT SEED` for another number, or to see one again.
"""

from __future__ import annotations

import difflib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from kills import GRADE, TOY, Process, family

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.test_class import book

COUNT = 50
STUDENTS = 10
WRONG = {
    "scale.py": b"\n\ndef scale(x, factor):\n    return x\n",
    "line.py": b"\n\ndef predict(x, w, b):\n    return x @ w - b\n",
}


def hand_in(top: Path) -> None:
    """Half are right and half are wrong, each with another text."""
    for number in range(STUDENTS):
        for kata in ("01_scale/scale.py", "02_line/line.py"):
            path = top / f"s{number}" / Path(kata).name
            path.parent.mkdir(parents=True, exist_ok=True)
            wrong = WRONG[path.name] if number % 2 else b""
            path.write_bytes((TOY / "reference" / kata).read_bytes() + wrong + b"# %d\n" % number)


def judging(folder: Path, out: Path) -> subprocess.Popen[str]:
    command = [GRADE, "class", str(folder / "in"), "--out", str(out), "-j", "2", "--course", str(folder / "course")]
    seed = ["--seed", f"@{folder / 'seed'}"]
    return subprocess.Popen([*command, *seed], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def kill_one(process: subprocess.Popen[str], draw: random.Random, longest: float) -> str:
    """Kill one of the run's processes at a random moment; what it was."""
    moment = time.monotonic() + draw.uniform(0.0, longest)
    while time.monotonic() < moment and process.poll() is None:
        time.sleep(0.002)
    there = [each for each in family(process.pid) if each.pid != process.pid or process.poll() is None]
    ladder = {each.pid for each in there} - {process.pid}
    kinds: dict[str, list[Process]] = {}
    for each in there:
        kinds.setdefault(each.role(process.pid, ladder), []).append(each)
    if not kinds:
        return "nobody"
    role = draw.choice(sorted(kinds))
    with suppress(ProcessLookupError):
        os.kill(draw.choice(kinds[role]).pid, signal.SIGKILL)
    return role


def main(count: int, seed: int) -> int:
    draw, killed, wrong, rounds = random.Random(seed), Counter[str](), 0, 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        shutil.copytree(TOY, folder / "course", ignore=shutil.ignore_patterns("__pycache__", ".grade"))
        hand_in(folder / "in")
        began = time.monotonic()
        calm = judging(folder, folder / "calm")
        assert calm.communicate()[0] and calm.returncode == 0
        longest, expected = time.monotonic() - began, book(folder / "calm")
        while killed.total() - killed["nobody"] < count:
            rounds += 1
            out, code = folder / f"out{rounds}", -1
            while code != 0:
                process = judging(folder, out)
                if killed.total() - killed["nobody"] < count:
                    killed[kill_one(process, draw, longest)] += 1
                said, code = process.communicate()[0], process.returncode
                if code not in (0, 3, -signal.SIGKILL):
                    print(said)
                    return 1
            if book(out) != expected:
                wrong += 1
                print(
                    "\n".join(
                        difflib.unified_diff(expected.splitlines(), book(out).splitlines(), "calm", "killed", n=1)
                    )
                )
            print(f"{killed.total()} kills, {rounds} classes, {wrong} of them differ: {dict(killed)}", flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    sys.exit(main(*[*numbers, *(COUNT, int(time.time()))[len(numbers) :]]))
