"""Mutants of the grader itself: `make mutants`. Each is run against the tests that reach its lines, in a throwaway copy.

A mutant that no test kills is listed, and the exit code is 1, unless `held.toml` beside this file excuses it by name.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from . import table
from .copy import Copy
from .fates import Trials, modules


def main() -> int:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("paths", nargs="*", default=["grader"], help="modules, or folders of them: grader/wire")
    parser.add_argument("--left", action="store_true", help="run only what nothing killed the last time")
    parser.add_argument("--sample", type=int, metavar="K", help="only K mutants, of one module")
    parser.add_argument("--week", type=int, default=0, metavar="N", help="which module, and which mutants")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # so that the copy is taken away
    project = Path(__file__).parents[2]
    every = modules(project)
    held = [each for each in every if any(f"grader/{each.file}/".startswith(f"{path}/") for path in chosen.paths)]
    if chosen.sample:
        held = [held[chosen.week % len(held)]]
    good = True
    with Copy(project) as copy:
        trials = Trials(project, copy)
        for module in held:
            if chosen.sample:
                tally = trials.sample(module, chosen.sample, chosen.week)
            else:
                tally = trials.judge(module, chosen.left)
            for excuse in tally.wrong:
                print(f"grader/{module.file}: {excuse}")
            print(table.row(tally), flush=True)
            good &= not tally.alive and not tally.wrong
            if not chosen.sample:
                table.write(project / "tests/README.md", every, tally)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
