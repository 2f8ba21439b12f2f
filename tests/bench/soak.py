"""The soak, `make soak`: 5,000 workers in one run, a third of them hostile; nothing of them may be left, and nothing may grow.

One session grades submission after submission on a kata of 25 tests, as a class run would. Open descriptors, processes,
memory and temporary files are counted after a tenth of the run, when everything is warm, and again at its end.
"""

from __future__ import annotations

import os
import re
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, fields
from pathlib import Path

WORKERS = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
TESTS = 25
GROWTH_MB = 16.0  # of all processes together; a worker that left a hundred kilobytes would cost 400
TOY = Path(__file__).resolve().parents[1] / "toy"

TEST = '''
@pytest.mark.value
def test_{number}(solution, rng):
    """Every entry is multiplied, {number}."""
    x = rng.normal(size=4)
    assert_close(solution.scale(x, {number}.0), x * {number}.0)
'''
HONEST = "import numpy as np\n\ndef scale(x, factor):\n    return x * factor\n"
CHANNEL = """
import os
import stat

def channel():
    for number in range(3, 64):
        try:
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                return number
        except OSError:
            pass
"""
HOSTILE = {  # what is done in place of the multiplication, and the verdict that every test gets for it
    "exit": ("import os; os._exit(0)", "crash"),
    "segmentation fault": ("import ctypes; ctypes.string_at(0)", "crash"),
    "closed line": ("import os; os.closerange(3, 64); [0 for _ in iter(int, 1)]", "crash"),
    "garbage": ("os.write(channel(), bytes(4096))", "crash"),
    "fork": ("import os; os.fork()", "fail"),
    "memory": ("return np.ones(1 << 33)", "memory"),
    "output": ("print('x' * 1_000_000); return -x", "fail"),
    "threads": (
        "import threading; [threading.Thread(target=threading.Event().wait).start() for _ in range(20)]",
        "pass",
    ),
    "endless loop": ("while True: pass", "timeout"),
    "temporary files": ("open('/tmp/soak-left', 'w').write('x')", "fail"),
}


@dataclass(frozen=True)
class Count:
    """What a run holds at a moment: its own process, and those of its ladder."""

    descriptors: int
    processes: int
    memory_mb: float
    files: int


def count(folder: Path) -> Count:
    """Everything below this process. Memory is what the processes do not share, and their share of the rest."""
    family = below(os.getpid())
    left = sum(len(files) for _, _, files in os.walk(folder)) + Path("/tmp/soak-left").exists()
    return Count(sum(map(descriptors, family)), len(family), sum(map(memory, family)) / 1024, left)


def below(root: int) -> list[int]:
    """A process and its descendants, the ended ones that nobody waited for among them."""
    parents = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            parents[int(entry)] = int(Path("/proc", entry, "stat").read_text().rpartition(") ")[2].split()[1])
        except OSError:
            continue  # it ended meanwhile
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def descriptors(pid: int) -> int:
    """Its open descriptors; of the ladder's processes, which nobody may look into, only the superuser sees them."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def memory(pid: int) -> int:
    """Its memory in KiB, shared pages by their share; where that may not be seen, all that is resident."""
    for file, field in (("smaps_rollup", "Pss"), ("status", "VmRSS")):
        try:
            found = re.search(rf"{field}:\s+(\d+)", Path(f"/proc/{pid}/{file}").read_text())
        except OSError:
            continue
        return int(found[1]) if found else 0
    return 0


def main() -> int:
    from grader.course import find
    from grader.session import Session
    from grader.store import Store

    with tempfile.TemporaryDirectory() as made:
        root, handed_in, scratch, store = (Path(made, name) for name in ("course", "handed-in", "tmp", "store"))
        folder = root / "katas/01_scale"
        for new in (folder, handed_in, scratch, store):
            new.mkdir(parents=True)
        os.environ["TMPDIR"] = tempfile.tempdir = str(scratch)
        manifest = (TOY / "katas/01_scale/kata.toml").read_text(encoding="utf-8")
        manifest = re.sub(r"(?s)\[points\].*?\n\n", "[points]\nvalue = 4\n\n", manifest).replace(
            "tests = 4", f"tests = {TESTS}"
        )
        manifest = manifest.replace("seconds = 2.0", "seconds = 0.5").replace('["scale", "halves"]', '["scale"]')
        (folder / "kata.toml").write_text(manifest, encoding="utf-8")
        (folder / "scale.py").write_text(HONEST, encoding="utf-8")
        suite = "import pytest\n\nfrom grader.checks import assert_close\n"
        suite += "".join(TEST.format(number=number) for number in range(1, TESTS + 1))
        (folder / "test_scale.py").write_text(suite, encoding="utf-8")

        course = find(root, root)
        session = Session(course, Store(store, print), jobs=2)
        seconds: dict[str, list[float]] = {}
        wrong: list[str] = []
        runs = -(-WORKERS // TESTS)
        began, warm, names = time.monotonic(), None, list(HOSTILE)
        for run in range(runs):
            name = names[run // 3 % len(names)] if run % 3 == 1 else "honest"
            act, verdict = HOSTILE.get(name, ("pass", "pass"))
            source = CHANNEL + HONEST.replace("    return", f"    {act}\n    return")
            (handed_in / "scale.py").write_text(source, encoding="utf-8")
            started = time.monotonic()
            (result,) = session.grade(course.katas, handed_in, fresh=True).katas
            seconds.setdefault(name, []).append((time.monotonic() - started) / TESTS * 1e3)
            found = {test.verdict.value for test in result.tests}
            if found != {verdict} or len(result.tests) != TESTS:
                wrong.append(f"{name}: {len(result.tests)} tests, {sorted(found)}, not {verdict}: {result.message}")
            if run == runs // 10:
                warm = count(scratch)
        assert warm is not None
        end = count(scratch)
        took = time.monotonic() - began
        session.close()
        after = below(os.getpid())[1:]

    hostile = sum(len(times) for name, times in seconds.items() if name != "honest") * TESTS
    print(f"{runs * TESTS} workers in {took:.0f} s, {hostile} of them hostile, handed in {runs} times\n")
    print("| what each worker did | workers | ms for each |\n|---|---|---|")
    for name, times in sorted(seconds.items()):
        print(f"| {name} | {len(times) * TESTS} | {statistics.median(times):.0f} |")
    print("\n| what is held | after a tenth | at the end |\n|---|---|---|")
    for field in fields(Count):
        print(
            f"| {field.name.replace('_mb', ', MB')} | {getattr(warm, field.name):.4g} | {getattr(end, field.name):.4g} |"
        )
    if (end.descriptors, end.processes, end.files) != (warm.descriptors, warm.processes, warm.files):
        wrong.append(f"something is left: {end}, after a tenth of the run {warm}")
    if end.memory_mb > warm.memory_mb + GROWTH_MB:
        wrong.append(f"memory grew by {end.memory_mb - warm.memory_mb:.0f} MB")
    if after:
        wrong.append(f"processes outlive the run: {after}")
    print("\n" + ("\n".join(wrong) or "nothing is left, nothing grew, and every verdict was right"))
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
