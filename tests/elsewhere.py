"""The grader as on a system that is not Linux, with every process that it starts: `elsewhere.py MODULE|grade ARGUMENTS...`

No signal comes from a parent's death, no process has a descriptor, no layer of the sandbox is there, and nothing is forked.
"""

import runpy
import sys
from pathlib import Path

from grader import machine

machine.LINUX = False
machine.PYTHON = (sys.executable, "-I", str(Path(__file__).resolve()))

if __name__ == "__main__":
    del sys.argv[0]
    if sys.argv[0] == "grade":
        from grader.cli import main

        main()
    runpy.run_module(sys.argv[0], run_name="__main__")
