"""A process that offers a ladder in a course until its standard input closes: `holder.py ROOT [warm] [LIBRARY]`.

With `warm` its ladder stands before it says so; with a LIBRARY it takes itself to be of other libraries.
"""

import sys
from contextlib import closing
from pathlib import Path

from grader.engine import key, shared
from grader.engine.hold import wait
from grader.engine.keeper import Keeper
from grader.engine.plan import Plan

if __name__ == "__main__":
    root, *words = sys.argv[1:]
    for other in set(words) - {"warm"}:
        key._LIBRARIES = (*key._LIBRARIES, other)
    with closing(Keeper()) as keeper, shared.offered(keeper, Path(root), by="grade watch"):
        if "warm" in words:
            plan = Plan(frozenset(["numpy"]), frozenset(["numpy"]))
            wait(keeper.reaching(plan, plan))
        print("offered", flush=True)
        sys.stdin.read()
