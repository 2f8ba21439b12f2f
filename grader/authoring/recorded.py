"""Records what the reference answers to its suite, so that a release can do without it: numbers only, and no code.

The suite is run by plain pytest in a process of its own (`python -m grader.authoring.recorded ROOT KATA`) on the
reference, with the default seed, and every call through the fixture `reference` is kept. Then it is run on the variants and
the mistakes: a call that comes up only there depends on what the learner returned, which no recording can foresee.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from grader.authoring.case import Role
from grader.authoring.subject import Subject
from grader.course import Course, find
from grader.errors import CourseFault, Fault
from grader.kata import Kata

_SECONDS = 600.0
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def record(course: Course, kata: Kata) -> bytes | None:
    """The recording of a kata; None where no test of its suite asks for the reference. Raises CourseFault."""
    if not _asks(kata.suite):
        return None
    command = [sys.executable, "-m", "grader.authoring.recorded", str(course.root), kata.id]
    paths = [str(Path(__file__).parents[2]), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    environment = os.environ | _ONE_THREAD | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    environment.pop("PYTEST_ADDOPTS", None)
    try:
        done = subprocess.run(command, capture_output=True, env=environment, timeout=_SECONDS)
        words = done.stderr.decode(errors="replace").strip()
    except subprocess.TimeoutExpired:
        raise _fault(kata, f"could not be recorded in {_SECONDS:g} s") from None
    if done.returncode:
        raise _fault(kata, f"cannot be recorded: {words or f'the recording process ended with {done.returncode}'}")
    return done.stdout


def _fault(kata: Kata, message: str) -> CourseFault:
    return CourseFault([Fault(f"katas/{kata.id}/{kata.suite.name}", wanted=message)])


def _asks(suite: Path) -> bool:
    """Whether a function of the suite has the fixture."""
    tree = ast.parse(suite.read_bytes())
    return any(isinstance(node, ast.arg) and node.arg == "reference" for node in ast.walk(tree))


class Tape:
    """What stands for the reference while it is recorded."""

    def __init__(self, reference: Any) -> None:
        self._reference = reference
        self.calls: dict[bytes, tuple[str, Any]] = {}  # form and sketch, packed -> name, and the call as it is kept

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._reference, name)
        if callable(value):
            return lambda *args, **kwargs: self._call(name, value, args, kwargs)
        self._keep(name, None, value)
        return value

    def _call(self, name: str, function: Any, args: Any, kwargs: Any) -> Any:
        from grader.judge.recorded import distance, form_of

        before = form_of(name, (args, kwargs))
        start = form_of(name, _still((args, kwargs)))
        value = function(*args, **kwargs)
        after = form_of(name, _still((args, kwargs)))
        if start[0] != after[0] or distance(start[1], after[1]) > 0:
            raise _Unrecordable(f"reference.{name} changes its arguments in place")
        self._keep(name, before, value)
        return value

    def _keep(self, name: str, form: Any, value: Any) -> None:
        from grader.judge.recorded import form_of, packed

        _check(name, value)
        digest, sketch, generators = form or form_of(name, None)
        self.calls.setdefault(packed((digest, sketch)), (name, (digest, sketch, value, generators)))


class _Unrecordable(Exception):
    """Why a call cannot be recorded."""


def _still(value: Any) -> Any:
    """The arguments without their generators, which a call is free to advance."""
    if type(value) in (list, tuple):
        return [_still(each) for each in value]
    if type(value) is dict:
        return {name: _still(each) for name, each in value.items()}
    return None if type(value).__name__ == "Generator" else value


def _check(name: str, value: Any) -> None:
    """Refuses what is no number, and what leads into autograd."""
    if type(value) in (list, tuple):
        for each in value:
            _check(name, each)
    elif type(value) is dict:
        for key, each in value.items():
            if type(key) not in (str, int):
                raise _Unrecordable(f"reference.{name} gives a dict with a key of type {type(key).__name__}")
            _check(name, each)
    elif getattr(value, "requires_grad", False):
        raise _Unrecordable(f"reference.{name} gives a tensor that requires grad, and a recording has no graph: detach it")
    elif not (value is None or type(value) in (bool, int, float, complex) or type(value).__module__ in ("numpy", "torch")):
        raise _Unrecordable(f"reference.{name} gives a {type(value).__name__}, and only numbers are recorded")


def _main(root: Path, name: str) -> bytes:
    """The frame with all calls of one kata."""
    import torch  # noqa: F401  # a suite may send tensors before it has imported torch itself

    from grader.judge.recorded import packed

    course = find(root, root)
    subject = Subject(course, course.select([name])[0])
    known: dict[bytes, tuple[str, Any]] = {}
    for role in (Role.REFERENCE, Role.VARIANT, Role.MISTAKE):
        for case in subject.of(role):
            calls, failed = _run(subject, case.source)
            if role is Role.REFERENCE:
                if failed:
                    raise _Unrecordable(f"{failed[0]} on the reference")
                known = calls
            for call in calls.keys() - known.keys():
                raise _Unrecordable(f"reference.{calls[call][0]} is asked about what the solution returned: {case} asks otherwise")
    return packed([call for _, call in known.values()])


def _run(subject: Subject, source: bytes) -> tuple[dict[bytes, tuple[str, Any]], list[str]]:
    """The calls that the suite makes on one solution, and the tests that fail on it."""
    import pytest

    from grader.judge import local, plugin, reference, recorded

    kata = subject.kata
    path = subject.course.reference(kata)
    tape = Tape(reference.module_from(path, f"reference_{kata.slug}"))
    faults: list[str] = []
    failed: list[str] = []

    class Recording(local.LocalSource):
        """Plain pytest's fixtures, with a given solution and a reference that is listened to."""

        def solution(self, item: pytest.Item) -> Any:
            return local.LocalFile(local.module_of(source, kata.stub.name, kata.slug), self.mutated(item))

        def reference(self, item: pytest.Item) -> Any:
            return tape

        def pytest_configure(self, config: pytest.Config) -> None:
            config.stash[plugin.SOURCE] = self

        def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
            items[:] = [item for item in items if "reference" in getattr(item, "fixturenames", ())]

        def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
            if call.excinfo is not None:
                failed.append(f"{item.name} fails: {call.excinfo.exconly().splitlines()[0]}")
                if call.excinfo.errisinstance(_Unrecordable):
                    faults.append(str(call.excinfo.value))

    arguments = [str(kata.suite), f"--rootdir={subject.root}", "--config-file=/dev/null", "--noconftest", "--import-mode=importlib"]
    arguments += ["--quiet", "--capture=sys", "--no-header", "--no-summary", "-p", "no:cacheprovider", "-p", "no:terminal"]
    pytest.main([*arguments, "-p", "grader.judge.plugin"], plugins=[Recording(None, recorded.SEED)])
    if faults:
        raise _Unrecordable(faults[0])
    return tape.calls, failed


def _words(error: Exception) -> Iterator[str]:
    yield str(error) if isinstance(error, _Unrecordable | CourseFault) else f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    stdout, sys.stdout = sys.stdout, sys.stderr  # what a suite or a solution prints is no part of the recording
    try:
        content = _main(Path(sys.argv[1]), sys.argv[2])
    except Exception as error:
        print(*_words(error), file=sys.stderr)
        sys.exit(1)
    stdout.buffer.write(content)
