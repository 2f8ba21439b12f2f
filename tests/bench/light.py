"""How light the verbs are that judge nothing: the processor time of each, of `import click` in the same run. `make light`

Each is taken turn about, some times, and the least of its times counts: what else the machine does adds to a time, and
takes nothing from it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
GRADE = str(Path(sys.executable).with_name("grade"))
CLICK = [sys.executable, "-c", "import click"]
VERBS = (
    ("list",),
    ("next",),
    ("show", "lstm"),
    ("hint", "lstm", "--again"),
    ("history",),
)
TARGET = 3.0
TURNS = 15


def seconds(command: list[str]) -> float:
    """The processor time of one process that ends in order."""
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return used.ru_utime + used.ru_stime


def main() -> int:
    """Print a line for each verb; 1 where one of them is heavier than the target."""
    commands = {"import click": CLICK, **{" ".join(verb): [GRADE, *verb] for verb in VERBS}}
    least = dict.fromkeys(commands, float("inf"))
    for _ in range(TURNS):
        for name, command in commands.items():
            least[name] = min(least[name], seconds(command))
    click = least.pop("import click")
    print(f"import click: {1000 * click:.0f} ms of processor time")
    for name, found in least.items():
        print(f"grade {name}: {found / click:.2f} x  (<= {TARGET:g} x)")
    return int(max(least.values()) > TARGET * click)


if __name__ == "__main__":
    sys.exit(main())
