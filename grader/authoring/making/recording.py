"""Records what the reference answers to its suite, so that a release can do without it: numbers only, and no code.

The suite is run by plain pytest, in a process of its own (`python -m grader.authoring.making.recording ROOT KATA FILE`), on the
reference and with the default seed, and every call through the fixture `reference` is kept. Then it is run on the variants
and the mistakes: a call that comes up only there depends on what the learner returned, which no recording can foresee.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from grader.authoring.proving.case import Role
from grader.authoring.proving.subject import Subject
from grader.course import Course, find
from grader.errors import CourseFault, Fault
from grader.kata import Kata
from grader.messages import text

_SECONDS = 600.0
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

Calls = dict[bytes, tuple[str, Any]]  # form and sketch, packed -> the function's name, and the call as it is kept


def record(course: Course, kata: Kata) -> bytes | None:
    """The recording of a kata; None where no test of its suite asks for the reference. Raises CourseFault."""
    tree = ast.parse(kata.suite.read_bytes())
    if not any(isinstance(node, ast.arg) and node.arg == "reference" for node in ast.walk(tree)):
        return None
    paths = [str(Path(__file__).parents[3]), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    environment = os.environ | _ONE_THREAD | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "recording")
        command = [sys.executable, "-m", "grader.authoring.making.recording", str(course.root), kata.id, str(file)]
        try:
            done = subprocess.run(command, capture_output=True, env=environment, timeout=_SECONDS)
            words = done.stderr.decode(errors="replace").splitlines() or [f"its process ended with {done.returncode}"]
        except subprocess.TimeoutExpired:
            words = [f"its process took more than {_SECONDS:g} s"]
        if file.is_file():
            return file.read_bytes()
    name = f"katas/{kata.id}/{kata.suite.name}"
    raise CourseFault(
        [Fault(name, wanted=text("asks for the reference, which cannot be recorded: {error}", error=words[-1]))]
    )


class Unrecordable(Exception):
    """Why a call cannot be recorded."""


class Tape:
    """What stands for the reference while it is recorded."""

    def __init__(self, reference: Any) -> None:
        self.calls: Calls = {}
        self._reference = reference

    def __getattr__(self, name: str) -> Any:
        from grader.judge.recorded import form_of, packed
        from grader.wire import Unsendable

        value = getattr(self._reference, name)
        if not callable(value):
            self._keep(name, form_of(name, None), value)
            return value

        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                form, before = form_of(name, (args, kwargs)), packed(_still((args, kwargs)))
            except Unsendable as error:
                raise Unrecordable(f"reference.{name} is given {error}, and only numbers are recorded") from None
            answer = value(*args, **kwargs)
            if packed(_still((args, kwargs))) != before:
                raise Unrecordable(f"reference.{name} changes its arguments in place")
            self._keep(name, form, answer)
            return answer

        return call

    def _keep(self, name: str, form: tuple[str, list[float], list[Any]], value: Any) -> None:
        """Keep a call as it is now: the suite may change the value, and go on with the generators."""
        from grader.judge.recorded import packed, unpacked

        _check(name, value)
        digest, sketch, generators = form
        self.calls.setdefault(packed((digest, sketch)), (name, unpacked(packed((digest, sketch, value, generators)))))


def _still(value: Any) -> Any:
    """The arguments without their generators, which a call is free to advance."""
    if type(value) in (list, tuple):
        return [_still(each) for each in value]
    if type(value) is dict:
        return {name: _still(each) for name, each in value.items()}
    return None if type(value).__name__ == "Generator" else value


def _check(name: str, value: Any) -> None:
    """Refuses what is no number, and what leads into autograd."""
    if type(value) in (list, tuple, dict):
        for each in value.values() if type(value) is dict else value:
            _check(name, each)
    elif getattr(value, "requires_grad", False):
        raise Unrecordable(
            f"reference.{name} gives a tensor that requires grad, and a recording has no graph: detach it"
        )
    elif not (
        value is None or type(value) in (bool, int, float, complex) or type(value).__module__ in ("numpy", "torch")
    ):
        raise Unrecordable(f"reference.{name} gives a {type(value).__name__}, and only numbers are recorded")


def _record(root: Path, name: str) -> bytes:
    """The frame with all calls of one kata."""
    from grader.judge.recorded import packed

    course = find(root, root)
    subject = Subject(course, course.select([name])[0])
    known: Calls = {}
    for case in subject.cases:
        if case.role is Role.ZOO:
            break
        calls, failed = _run(subject, case.source)
        if case.role is Role.REFERENCE:
            known = calls
            if failed:
                raise Unrecordable(failed[0])
        for call in calls.keys() - known.keys():
            raise Unrecordable(f"reference.{calls[call][0]} is asked about what the solution returned, as {case} shows")
    return packed([call for _, call in known.values()])


def _run(subject: Subject, source: bytes) -> tuple[Calls, list[str]]:
    """The calls that the suite makes on one solution, and the tests that fail on it."""
    import pytest

    from grader.judge import local, plugin, recorded, reference

    kata = subject.kata
    tape = Tape(reference.module_from(subject.course.reference(kata), f"reference_{kata.slug}"))
    failed: list[str] = []
    faults: list[str] = []

    class Recording(local.LocalSource):
        """Plain pytest's fixtures, with a given solution and a reference that is listened to."""

        def solution(self, item: pytest.Item) -> Any:
            return local.loaded(source, kata.stub.name, kata.slug, self.mutated(item))

        def reference(self, item: pytest.Item) -> Any:
            return tape

        def pytest_configure(self, config: pytest.Config) -> None:
            config.stash[plugin.SOURCE] = self

        def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
            items[:] = [item for item in items if "reference" in getattr(item, "fixturenames", ())]

        def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
            if call.excinfo is not None:
                failed.append(f"{item.name} fails on it: {call.excinfo.exconly().splitlines()[0]}")
                faults.extend([str(call.excinfo.value)] if isinstance(call.excinfo.value, Unrecordable) else [])

    arguments = [str(kata.suite), f"--rootdir={subject.root}", "--config-file=/dev/null", "--noconftest", "--quiet"]
    plugins = ["--import-mode=importlib", "-p", "no:cacheprovider", "-p", "grader.judge.plugin"]
    pytest.main([*arguments, *plugins], plugins=[Recording(None, recorded.SEED)])
    if faults:
        raise Unrecordable(faults[0])
    return tape.calls, failed


if __name__ == "__main__":
    try:
        found = _record(Path(sys.argv[1]), sys.argv[2])
    except Exception as error:
        print(error if isinstance(error, Unrecordable) else f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(1)
    Path(sys.argv[3]).write_bytes(found)
