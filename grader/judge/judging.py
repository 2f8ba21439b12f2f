"""A suite under judgement: one fresh worker for every test, one event for every verdict."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from grader.checks import observations
from grader.checks.failure import AuthorFault
from grader.judge import local, plugin, reference
from grader.judge.alarm import Alarm
from grader.judge.bridge import Bridge
from grader.judge.choice import choice
from grader.judge.clock import NEVER, Clock, Closing
from grader.judge.gone import LearnerError, Lost, WorkerGone
from grader.judge.job import Began, Collected, Event, Fault, Job, Judged, Named, Noticed, global_seed, test_seed
from grader.judge.job import Lost as SaidLost
from grader.judge.pictures import Recorder
from grader.judge.proxies import RemoteFile
from grader.judge.supply import Supply
from grader.judge.trace import trace
from grader.judge.verdicts import Ending, StubProblem, ending, plain_ending, unimportable
from grader.judge.workers import Worker, Workshop
from grader.limits import SUITE_GRACE_SECONDS, WALL_FACTOR
from grader.messages import message, text
from grader.messages.message import first_paragraph
from grader.scorecard import Line, Observation, TestResult, Verdict
from grader.workerkinds import kind_of


class Judging:
    """The pytest plugin of one judge, and the source of its suites' fixtures."""

    def __init__(self, job: Job, workshop: Workshop, emit: Callable[[Event], None]) -> None:
        self.tests = 0
        self._job = job
        self._supply = Supply(workshop, job, emit)
        self._emit = emit
        self._lines = job.source.removeprefix(b"\xef\xbb\xbf").splitlines()
        self._noticed = False
        self._left = 0  # tests that have not begun yet
        self._worker: Worker | None = None
        self._bridge: Bridge | None = None
        self._stub_problem: Ending | None = None
        self._error: BaseException | None = None
        self._closing = NEVER  # of all tests, once one of them ran out of time
        self._alarm: Alarm | None = None
        self._recorder = Recorder()
        self._local_mutated: list[str] = []
        self._local: local.LocalFile | None = None

    # Fixtures

    def solution(self, item: pytest.Item) -> Any:
        if self._stub_problem is not None:
            raise StubProblem(self._stub_problem)
        if self._closed:
            raise StubProblem(Ending(Verdict.NOT_RUN, message("not_run.closed", limit=self._closing.why)))
        if self._job.local:
            self._local_mutated = []
            job = self._job
            file = local.loaded(job.source, job.filename, job.slug, self._local_mutated)
            self._local = file
            return file
        self._worker = self._supply.take(more=self._left > 0)
        job = self._job
        bridge = Bridge(self._worker, job.filename, job.seconds, self._closing, job.kata, self._lines)
        self._bridge = bridge
        spec = {
            "source": job.source,
            "filename": job.filename,
            "module": job.slug,
            "seed": global_seed(self.seed(item)),
            "forbidden_imports": list(job.forbidden_imports),
            "forbidden_operators": list(job.forbidden_operators),
            "forbidden_jobs": list(job.forbidden_jobs),
            "threads": job.threads,
        }
        try:
            names = bridge.load(spec)
            if bridge.absent and not self._noticed:
                self._noticed = True
                self._emit(Noticed(message("kata.absent", packages=bridge.absent)))
            return RemoteFile(bridge, names)
        except Lost:
            raise
        except (LearnerError, WorkerGone) as error:
            problem = unimportable(error, bridge)
            if problem.verdict not in (Verdict.INTERNAL, Verdict.NOT_RUN):
                self._stub_problem = problem
            raise StubProblem(problem) from None

    def reference(self, item: pytest.Item) -> Any:
        return reference.load(Path(self._job.reference))

    def mutated(self, item: pytest.Item) -> list[str]:
        return self._bridge.mutated if self._bridge is not None else self._local_mutated

    def operations(self, function: Any, *args: Any, **kwargs: Any) -> int:
        bridge = self._bridge
        if bridge is None:
            return local.operations(function, *args, **kwargs)
        if not kind_of(self._job.worker).torch:
            raise AuthorFault("operations counts those of torch, which this kata's worker is without")
        bridge.counting, bridge.operations = True, 0
        try:
            function(*args, **kwargs)
        finally:
            bridge.counting = False
        return bridge.operations

    def recorder(self, item: pytest.Item) -> Recorder:
        return self._recorder

    def seed(self, item: pytest.Item) -> int:
        seed = reference.course_seed(item, Path(self._job.reference), self._job.seed)
        return test_seed(seed, self._job.kata, item.name)

    @property
    def _closed(self) -> bool:
        """Whether the time of the whole kata is up."""
        return time.monotonic() >= self._closing.at

    # Hooks

    def pytest_configure(self, config: pytest.Config) -> None:
        config.stash[plugin.SOURCE] = self

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            said = str(report.longrepr).strip()
            reason = getattr(crash, "message", None) or said.splitlines()[-1].removeprefix("E").strip()
            if place := self._line_of_suite(said):
                reason = f"{place}: {reason}"
            self._emit(Fault(text("the suite does not collect: {reason}", reason=reason)))

    def _line_of_suite(self, said: str) -> str:
        """The last line of a suite that a traceback names, as `test_lstm.py:38`; "" where it names none."""
        names = "|".join(re.escape(Path(suite).name) for suite in self._job.suites)
        found = re.findall(rf'(?:^|[/\s])({names})(?:", line |:)(\d+)', said)
        return ":".join(found[-1]) if found else ""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if self._job.only:
            items[:] = [item for item in items if item.name in self._job.only]
            items.sort(key=lambda item: self._job.only.index(item.name))
        self._tell(items)
        if self._job.choose:
            meant = choice(self._job.choose)
            items[:] = [item for item in items if meant(item.name)]
        self._left = len(items)

    def _tell(self, items: list[pytest.Item]) -> None:
        """Say which tests there are, and what is wrong with any of them."""
        self._emit(Collected(tuple(Named(item.name, _kind(item), _title(item), self._hidden(item)) for item in items)))
        for item in items:
            if len(_kinds(item)) != 1:
                kinds = _kinds(item) or ["none"]
                self._emit(Fault(text("{test} must have exactly one kind, found {kinds}", test=item.name, kinds=kinds)))
            if not _title(item):
                self._emit(Fault(text("{test} has no docstring, which is its line on the scorecard", test=item.name)))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        self._emit(Began(item.name))
        self._left -= 1
        self._worker = self._bridge = self._local = self._error = None
        self._recorder = Recorder()
        observations.drain()
        began = time.perf_counter()
        if self._job.local and not self._closed:
            self._alarm = Alarm(Clock.of_test(self._job.seconds, time.process_time, self._closing))
        result = yield
        lost = self._lost()
        if lost is None:
            self._finish(item, time.perf_counter() - began)
        else:
            self._supply.report(wait=True)
            self._emit(SaidLost(lost.said))
            item.session.shouldstop = lost.message
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
        if call.excinfo is not None and self._error is None:
            self._error = call.excinfo.value
        return (yield)

    def finish(self) -> None:
        """See the last workers off."""
        self._supply.close()

    def _lost(self) -> Lost | None:
        """What died on our side under this test, whatever the suite made of it."""
        for gone in (self._error, self._bridge and self._bridge.gone):
            if isinstance(gone, Lost):
                return gone
        return None

    def _finish(self, item: pytest.Item, seconds: float) -> None:
        if self._alarm is not None:
            self._alarm.stop()
        end, returned = self._end()
        if end.verdict is Verdict.TIMEOUT and self._closing is NEVER:
            self._closing = Closing.after_timeout(self._job.seconds)
        output, dropped = "", 0
        if self._worker is not None:
            self._worker.end()
            output, dropped = self._worker.output(), self._worker.dropped
        result = TestResult(
            name=item.name,
            kind=_kind(item),
            title=_title(item),
            verdict=end.verdict,
            hidden=self._hidden(item),
            recorded=reference.asks_for_recorded(item, Path(self._job.reference)),
            seconds=seconds,
            message=end.message,
            cause=end.cause,
            said=end.said,
            advice=end.advice,
            trace=trace(returned) if end.verdict is Verdict.FAIL else None,
            step=self._step(),
            line=self._line(end.line),
            output=output,
            output_dropped=dropped,
            pictures=tuple(self._recorder.pictures),
            observations=tuple(
                Observation(seen.check, seen.name, seen.error, seen.tolerance, seen.margin)
                for seen in observations.drain()
            ),
        )
        self.tests += 1
        transcript = self._bridge.transcript.hexdigest() if self._bridge is not None else ""
        self._error = None
        self._emit(Judged(result, transcript))
        if self._worker is not None:
            self._supply.leave(self._worker, item.name)
        self._supply.report(wait=False)

    def _hidden(self, item: pytest.Item) -> bool:
        """Whether a test stands in another file than the suite that learners have."""
        return str(item.path) in self._job.suites[1:]

    def _end(self) -> tuple[Ending, list[Any]]:
        """How the test ended, and what the learner's functions returned in it."""
        if not self._job.local:
            return ending(self._error, self._bridge), self._bridge.returned if self._bridge else []
        returned, nothing = self._local._told() if self._local else ([], "")
        return plain_ending(self._error, self._job.filename, nothing), returned

    def _step(self) -> int:
        """The last of the kata's entry points that this test called, counted from 1; 0 where it called none."""
        called, steps = self._bridge.called if self._bridge is not None else set(), self._job.entry_points
        return max((place for place, name in enumerate(steps, 1) if name in called), default=0)

    def _line(self, number: int | None) -> Line | None:
        if number is None or not 0 < number <= len(self._lines):
            return None
        return Line(number, self._lines[number - 1].decode("utf-8", "replace").strip())


def _kinds(item: pytest.Item) -> list[str]:
    return [mark.name for mark in item.iter_markers() if mark.name in plugin.KINDS]


def _kind(item: pytest.Item) -> str:
    return next(iter(_kinds(item)), "")


def _title(item: pytest.Item) -> str:
    """The first paragraph of the test's docstring, on one line."""
    return first_paragraph(getattr(getattr(item, "obj", None), "__doc__", None) or "")


def judge(job: Job, workshop: Workshop, emit: Callable[[Event], None]) -> int:
    """Run a kata's suites with a judging plugin; returns how many tests were judged."""
    judging = Judging(job, workshop, emit)
    # A worker has its own clock, and so has a file that is imported here; past both it is the suite that hangs.
    patience = 0.0 if job.local else WALL_FACTOR * job.seconds + SUITE_GRACE_SECONDS
    os.chdir(job.root)  # pytest takes a `[` or a `::` in a name for a part of a test's; a kata's own path has none
    arguments = [
        *(os.path.relpath(suite, job.root) for suite in job.suites),
        "--rootdir=.",
        "--config-file=/dev/null",
        "--noconftest",
        "--import-mode=importlib",
        "--assert=plain",
        "--tb=no",  # verdicts say their own; a traceback takes pytest longer than most tests
        "--quiet",
        "--capture=no",
        "--strict-markers",
        *("-p", "grader.judge.plugin"),
        *("-p", "pytest_timeout", f"--timeout={patience}", "--timeout-method=signal"),
        *(["--exitfirst"] if job.stop else []),
        *(part for name in _IDLE_PLUGINS for part in ("-p", f"no:{name}")),
    ]
    code = pytest.main(arguments, plugins=[judging])
    judging.finish()
    in_order = {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED}
    if code not in in_order | ({pytest.ExitCode.NO_TESTS_COLLECTED} if job.choose else set()):
        how = pytest.ExitCode(code).name.lower().replace("_", " ")
        emit(Fault(text("pytest ended with {how}", how=how)))
    return judging.tests


_IDLE_PLUGINS = (
    "cacheprovider", "junitxml", "pastebin", "doctest", "unittest", "stepwise", "setuponly", "setupplan", "tmpdir",
    "monkeypatch", "recwarn", "logging", "legacypath", "faulthandler", "debugging",
    "unraisableexception", "threadexception",
)  # fmt: skip
