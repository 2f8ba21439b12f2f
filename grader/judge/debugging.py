"""A kata's suite in this process, for a debugger: to the first test that fails, and there into the learner's own file.

An exception of the learner's is looked at where it was raised. Where a value was wrong no line failed: the test is run
once more, and stops at the first line of the call whose value it was.
"""

from __future__ import annotations

import os
import pdb
import sys
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from traceback import extract_tb, format_exception_only
from types import TracebackType
from typing import Any

import pytest

from grader.course import Course
from grader.judge import plugin
from grader.judge.choice import choice
from grader.judge.literals import Call, Pasted
from grader.judge.local import LocalSource
from grader.judge.verdicts import Ending, plain_ending
from grader.kata import Kata
from grader.messages import message
from grader.messages.message import first_paragraph
from grader.scorecard import Verdict

_PLUGINS = ("cacheprovider", "terminal", "debugging", "unraisableexception", "threadexception", "warnings", "logging")


@dataclass
class Found:
    """The first test that fails, and the last call of the learner's code in it."""

    name: str
    title: str
    ending: Ending
    calls: int = 0
    call: Call | None = None
    making: list[Call] = field(default_factory=list)  # the calls of classes before it
    raised: TracebackType | None = None  # from the learner's line on, where an exception came out of their file

    @property
    def line(self) -> int | None:
        """The learner's line that failed, where one did."""
        return self.ending.line if self.raised is None else self.raised.tb_lineno

    @property
    def can_stop(self) -> bool:
        """Whether there is a place in the learner's file to stop at."""
        return self.raised is not None or self.calls > 0

    def pasted(self, module: str, source: Path, folder: Path) -> list[str]:
        """The last call as lines to paste into a Python shell; what is long is saved in `folder`."""
        return Pasted(module, source, folder, self.making).lines(self.call) if self.call else []


@dataclass
class Round:
    """What one run through the suite came to."""

    found: Found | None = None
    ran: int = 0
    to_do: str = ""  # what the first test says that is still to do
    fault: str = ""  # why no test of the suite is found at all
    fault_line: int = 0  # of the suite; 0 where none is at fault


def find(course: Course, kata: Kata, names: str, source_dir: Path | None = None) -> Round:
    """Run the tests whose names are meant, all where none is named, up to the first that fails.

    Only tests that a learner can read are run. Raises ValueError where `names` is no expression.
    """
    run = _Finding(kata, names, source_dir)
    _pytest(course, kata, run)
    return run.round


def step_in(course: Course, kata: Kata, found: Found, source_dir: Path | None = None) -> None:
    """Open the debugger where the test failed, or at the first line of the call whose value was wrong."""
    if found.raised is not None:
        pdb.post_mortem(found.raised)
    else:
        _pytest(course, kata, _Stopping(kata, found, source_dir))


class _Run:
    """A pytest plugin for some tests of a suite, on the learner's file in this process."""

    def __init__(self, source_dir: Path | None, meant: Callable[[str], bool]) -> None:
        self._source_dir = source_dir
        self._meant = meant

    def pytest_configure(self, config: pytest.Config) -> None:
        config.stash[plugin.SOURCE] = LocalSource(self._source_dir, 0, self.watch)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if self._meant(item.name)]

    def watch(self, call: Call, run: Callable[[], Any]) -> Any:
        """Make one call."""
        raise NotImplementedError


class _Finding(_Run):
    def __init__(self, kata: Kata, names: str, source_dir: Path | None) -> None:
        super().__init__(source_dir, choice(names) if names else lambda name: True)
        self.round = Round()
        self._file = f"{kata.slug}.py"
        self._calls = 0
        self._last: Call | None = None
        self._making: list[Call] = []

    def watch(self, call: Call, run: Callable[[], Any]) -> Any:
        self._calls += 1
        self._last = call
        value = run()
        if isinstance(call.function, type):
            self._making.append(call._replace(made=value))
        return value

    def pytest_exception_interact(self, node: pytest.Item | pytest.Collector, call: pytest.CallInfo[Any]) -> None:
        if isinstance(node, pytest.Module) and call.excinfo is not None:
            error = call.excinfo.value.__cause__ or call.excinfo.value
            self.round.fault = "".join(format_exception_only(error)).strip().splitlines()[-1]
            own = [frame.lineno for frame in extract_tb(error.__traceback__) if Path(frame.filename) == node.path]
            line = error.lineno if isinstance(error, SyntaxError) else next(iter(own), None)
            self.round.fault_line = line or 0

    def pytest_runtest_setup(self) -> None:
        self._calls, self._last, self._making = 0, None, []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
        report = yield
        self.round.ran += call.when == "call" or call.excinfo is not None
        if call.excinfo is not None and self.round.found is None:
            error = call.excinfo.value
            path = _path_of(error, self._file)
            ending = _unreadable(error, self._file) or plain_ending(error, path)
            title = first_paragraph(getattr(getattr(item, "obj", None), "__doc__", None) or "")
            if ending.verdict is Verdict.TODO:
                self.round.to_do = self.round.to_do or ending.message
            else:
                raised = _from(error.__traceback__, path)
                found = Found(item.name, title, ending, self._calls, self._last, self._making, raised)
                self.round.found = found
                item.session.shouldstop = "found"
        return report


class _Stopping(_Run):
    """Runs one test again, and stops in the call that was its last."""

    def __init__(self, kata: Kata, found: Found, source_dir: Path | None) -> None:
        super().__init__(source_dir, lambda name: name == found.name)
        self._left = found.calls

    def watch(self, call: Call, run: Callable[[], Any]) -> Any:
        self._left -= 1
        return run() if self._left else pdb.Pdb(nosigint=True).runcall(run)


def _unreadable(error: BaseException, file: str) -> Ending | None:
    """How a test ends whose file Python cannot read; None where it can."""
    if not isinstance(error, SyntaxError) or Path(error.filename or "").name != file:
        return None
    return Ending(Verdict.ERROR, message("import.syntax", file=file, error=error.msg), None, error.lineno)


def _path_of(error: BaseException, file: str) -> str:
    """The path under which the learner's file was compiled, from a traceback that goes through it."""
    traceback = error.__traceback__
    while traceback is not None:
        path = traceback.tb_frame.f_code.co_filename
        if Path(path).name == file:
            return path
        traceback = traceback.tb_next
    return file


def _from(traceback: TracebackType | None, path: str) -> TracebackType | None:
    """The traceback from the learner's last line on; None where it does not come from their file."""
    found = None
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == path:
            found = traceback
        traceback = traceback.tb_next
    if found is not None:
        found.tb_next = None  # what a library does below is not where the debugger is to open
    return found


def _pytest(course: Course, kata: Kata, run: _Run) -> None:
    """One run of pytest in this process, with nothing of the caller's configuration, and no deadline."""
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    os.environ.pop("PYTEST_ADDOPTS", None)
    os.environ.pop("PYTEST_PLUGINS", None)
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        pytest.main(
            [
                str(kata.suite),
                f"--rootdir={course.root}",
                f"--config-file={os.devnull}",
                "--noconftest",
                "--import-mode=importlib",
                "--assert=plain",
                "--capture=no",
                *("-p", "grader.judge.plugin"),
                *(part for name in _PLUGINS for part in ("-p", f"no:{name}")),
            ],
            plugins=[run],
        )
    finally:
        sys.dont_write_bytecode = writes
