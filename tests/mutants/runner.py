"""The process that runs tests, in the throwaway copy: `python -m tests.mutants.runner MARKS LOG FILE...`.

It collects the tests of these files once, and forks for every run. A request is a line of JSON on its standard input, an
answer one on its standard output. When its input ends it ends, and so does the run that is going on. With a file for MARKS,
it sees which lines are reached.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import json
import os
import resource
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

import hypothesis
import pytest

from .lines import Lines
from .swap import Unfit, swap

MEMORY = 12 << 30  # bytes of address space: what takes more has lost its bound
PLUGINS = ("no:xdist", "no:faulthandler", "no:cacheprovider")
WARNINGS = ("error", "ignore::pytest.PytestAssertRewriteWarning")
OPTIONS = ["-q", "--tb=line", *(f"-p{name}" for name in PLUGINS), *(f"-W{rule}" for rule in WARNINGS)]


class Run:
    """A plugin of pytest: runs the wanted tests in their order, and notes how each ended and how long it took."""

    def __init__(self, request: dict[str, Any], answer: int, lines: Lines | None) -> None:
        self._answer = answer
        self._wanted: list[str] | None = request["tests"]
        self._seconds: dict[str, float] = request["seconds"]
        self._patience: float = request["patience"]
        self._lines = lines
        self.tests: dict[str, dict[str, Any]] = {}
        self._began = 0.0

    def choose(self, items: list[Any]) -> None:
        """Leave the wanted tests alone in the list of all; one that is not there any more has failed."""
        if self._wanted is not None:
            there = {item.nodeid: item for item in items}
            self.tests = {name: {"passed": False} for name in self._wanted if name not in there}
            items[:] = [there[name] for name in self._wanted if name in there]

    pytest_collection_modifyitems = choose

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        faulthandler.dump_traceback_later(self._patience + 5 * self._seconds.get(nodeid, 60), exit=True)
        self.tests[nodeid] = {"passed": True, "seconds": 0.0, "reached": {}}
        self._began = time.monotonic()

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.tests[report.nodeid]["passed"] &= report.outcome == "passed"

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        faulthandler.cancel_dump_traceback_later()
        self.tests[nodeid]["seconds"] = round(time.monotonic() - self._began, 3)
        if self._lines:
            self.tests[nodeid]["reached"] = self._lines.taken()

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, exitstatus: int) -> NoReturn:
        """Answer, and end the fork: every fixture is down."""
        os.write(self._answer, json.dumps({"tests": self.tests, "passed": not exitstatus}).encode() + b"\n")
        os._exit(0)


class Server:
    """A plugin of pytest: with the tests collected it serves, each request in a fork of its own."""

    def __init__(self, requests: int, answers: int, files: list[str], lines: Lines | None) -> None:
        self._requests, self._answers, self._files, self._lines = requests, answers, files, lines

    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """True, all done, in the server when no more is asked; None in a fork, which goes on as pytest always does."""
        if self._lines:
            self._lines.taken()
        gc.collect()
        gc.freeze()  # no fork looks at, and so copies, what all have
        os.write(self._answers, b"{}\n")  # ready
        with os.fdopen(os.dup(self._requests)) as asked:
            for line in asked:
                request = json.loads(line)
                reading, answer = os.pipe()
                child = os.fork()
                if child == 0:
                    self._begin(request, answer, session)
                    return None
                os.close(answer)
                said = _wait(child, reading, self._requests, request["limit"])
                os.write(self._answers, json.dumps(said).encode() + b"\n")
        return True

    def _begin(self, request: dict[str, Any], answer: int, session: pytest.Session) -> None:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        run = Run(request, answer, self._lines)
        fits = not request["mutant"] or _swapped(*request["mutant"])
        if not fits:  # then all is loaded anew, from the copy, which has it
            for name in [name for name in sys.modules if name.partition(".")[0] in ("grader", "tests")]:
                del sys.modules[name]
            run.pytest_sessionfinish(pytest.main([*OPTIONS, "-x", *self._files], [run]))
        session.config.option.maxfail = int(request["first"])
        session.config.pluginmanager.register(run)
        run.choose(session.items)


def _swapped(name: str, source: str, changed: str) -> bool:
    """Whether a module does now what its changed source says, if it is loaded at all."""
    try:
        if name in sys.modules:
            swap(sys.modules[name], source, changed)
    except Unfit:
        return False
    return True


def _wait(child: int, reading: int, requests: int, seconds: float) -> dict[str, Any]:
    """What a fork answers, or what it died of."""
    ended = os.pidfd_open(child)
    said, died, until = b"", "", time.monotonic() + seconds
    while not said.endswith(b"\n") and not died:
        ready, _, _ = select.select([reading, ended, requests], [], [], max(0.0, until - time.monotonic()))
        more = os.read(reading, 1 << 20) if reading in ready else b""
        said += more
        if not more:
            died = "it ended its process" if ready else "it took too long"
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # and what it has left behind
    os.waitpid(child, 0)
    os.close(reading)
    os.close(ended)
    return {"died": died} if died else json.loads(said)


def main(marks: str, log: str, *files: str) -> None:
    requests, answers = os.dup(0), os.dup(1)
    for number, where in ((0, os.devnull), (1, log), (2, log)):
        os.dup2(os.open(where, os.O_RDWR | os.O_CREAT), number)
    lines = Lines(Path("grader").resolve(), Path(marks)) if marks else None
    if lines:
        lines.watch()
    # No search of its own: the same examples each time, none made small, and no test fails for being slow.
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    hypothesis.settings.register_profile("mutants", derandomize=True, database=None, deadline=None, phases=phases)
    hypothesis.settings.load_profile("mutants")
    pytest.main([*OPTIONS, *files], [Server(requests, answers, list(files), lines)])


if __name__ == "__main__":
    main(*sys.argv[1:])
