"""Plain pytest: the learner's module in this process, for a debugger, called by value as through the bridge."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest

from grader import course, submission
from grader.absent import compiled
from grader.given import Given
from grader.judge import recorded, reference
from grader.judge.job import test_seed
from grader.judge.literals import Call
from grader.judge.pictures import Recorder
from grader.kata import Kata
from grader.wire import Unsendable, like, plain

Watch = Callable[[Call, Callable[[], Any]], Any]  # makes a call of the learner's code, which it is told of before


class LocalSource:
    """The fixtures of plain pytest."""

    def __init__(self, source_dir: Path | None, seed: int, watch: Watch | None = None) -> None:
        self._source_dir = source_dir
        self._watch = watch
        self._seed = seed
        self._courses: dict[Path, course.Course] = {}
        self._mutated: dict[str, list[str]] = {}

    def solution(self, item: pytest.Item) -> Any:
        found, kata = self._kata(item)
        read = submission.read(kata, self._source_dir, found)
        if read.problem is not None:
            pytest.fail(read.problem.message, pytrace=False)
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(1)  # as in a worker; on tensors this small, more threads only wait
        return loaded(read.source or b"", str(read.path), kata.slug, self.mutated(item), self._watch)

    def reference(self, item: pytest.Item) -> Any:
        found, kata = self._kata(item)
        return reference.load(found.reference(kata))

    def mutated(self, item: pytest.Item) -> list[str]:
        return self._mutated.setdefault(item.nodeid, [])

    def operations(self, function: Any, *args: Any, **kwargs: Any) -> int:
        return operations(function, *args, **kwargs)

    def recorder(self, item: pytest.Item) -> Recorder:
        return Recorder()

    def seed(self, item: pytest.Item) -> int:
        found, kata = self._kata(item)
        return test_seed(reference.course_seed(item, found.reference(kata), self._seed), kata.id, item.name)

    def _kata(self, item: pytest.Item) -> tuple[course.Course, Kata]:
        """The kata whose folder, in `katas/` or in `reference/`, holds the suite."""
        folder = item.path.parent
        root = folder.parent.parent
        if root not in self._courses:
            self._courses[root] = course.find(folder, root, on_fault=lambda fault: None)
        return self._courses[root], self._courses[root].select([folder.name])[0]


class LocalFile:
    """The learner's module, called by value: its functions, classes and their methods get copies of what the suite gives
    them, and give copies of what they return, as they would across the wire."""

    def __init__(self, module: ModuleType, mutated: list[str], watch: Watch | None = None) -> None:
        self._module = module
        self._calls = _Calls(mutated, watch)
        for value in list(vars(module).values()):
            if isinstance(value, type) and value.__module__ == module.__name__:
                self._calls.enter(value)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._module, name)
        return self._calls.by_value(value) if callable(value) else crossed(value)

    def _told(self) -> tuple[list[Any], str]:
        """What its functions have returned so far, and what the last call was of, where it returned None."""
        return self._calls.returned, self._calls.nothing


class _Calls:
    """What passes between a suite and the learner's code in one process; what that code hands to itself is its own."""

    def __init__(self, mutated: list[str], watch: Watch | None) -> None:
        self._mutated = mutated
        self._watch = watch
        self.returned: list[Any] = []
        self.nothing = ""  # what the last call was of, where it returned None
        self._inside = False
        self._settings = _settings()  # the learner's; those of the suite hold outside of calls

    def enter(self, kind: type) -> None:
        """Make the public methods of a class of the learner's ones that take and give values, for calls of the suite."""
        for name, value in list(vars(kind).items()):
            if isinstance(value, FunctionType) and not name.startswith("_"):
                setattr(kind, name, self._method(value))

    def _method(self, function: FunctionType) -> Any:
        @functools.wraps(function)
        def call(this: Any, *args: Any, **kwargs: Any) -> Any:
            bound = function.__get__(this)
            if self._inside:
                return bound(*args, **kwargs)
            return self.by_value(bound, this if function.__name__ == "forward" else None)(*args, **kwargs)

        return call

    def by_value(self, function: Any, owner: Any = None) -> Any:
        """The function as a suite calls it; `owner` is what was called, where that is not the function itself."""

        @functools.wraps(function, updated=())
        def call(*args: Any, **kwargs: Any) -> Any:
            mine, my_kwargs = crossed(args), crossed(kwargs)
            given = Given(owner or function, mine, my_kwargs)
            run = functools.partial(function, *mine, **my_kwargs)
            if self._watch is not None:
                asked = Call(function, crossed(args), crossed(kwargs), getattr(function, "__self__", None))
                run = functools.partial(self._watch, asked, run)
            with self._learners_turn():
                value = run()
            self._mutated.extend(given.changed())
            value = crossed(value)
            self.returned.append(value)
            self.nothing = "" if value is not None else getattr(function, "__name__", type(function).__name__)
            return value

        return call

    @contextlib.contextmanager
    def _learners_turn(self) -> Iterator[None]:
        suites = _settings()
        _set(self._settings)
        self._inside = True
        try:
            yield
        finally:
            self._inside = False
            self._settings = _settings()
            _set(suites)


def _settings() -> dict[str, Any]:
    """What a file may set for its process, and must not set for the suite's."""
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    found: dict[str, Any] = {"argv": sys.argv}
    if numpy is not None:
        found["errors"] = numpy.geterr()
    if torch is not None:
        found["dtype"] = torch.get_default_dtype()
    return found


def _set(settings: dict[str, Any]) -> None:
    sys.argv = settings["argv"]
    if "errors" in settings:
        sys.modules["numpy"].seterr(**settings["errors"])
    if "dtype" in settings and sys.modules["torch"].get_default_dtype() is not settings["dtype"]:
        sys.modules["torch"].set_default_dtype(settings["dtype"])


def loaded(source: bytes, path: str, name: str, mutated: list[str], watch: Watch | None = None) -> LocalFile:
    """The learner's file, imported as a worker does: as if Python had been started with it, and with nothing else."""
    suites = _settings()
    sys.argv = [Path(path).name]
    grad = "torch" not in sys.modules or sys.modules["torch"].is_grad_enabled()
    module = ModuleType(name)
    module.__file__, module.__package__ = path, ""
    sys.modules[name] = module
    try:
        exec(compiled(source.decode("utf-8-sig"), path)[0], module.__dict__)
        return LocalFile(module, mutated, watch)
    finally:
        _set(suites)
        if "torch" in sys.modules:
            sys.modules["torch"].set_grad_enabled(grad)


def operations(function: Any, *args: Any, **kwargs: Any) -> int:
    """What a call spends, counted here and now."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        function(*args, **kwargs)
    return int(counter.get_total_flops())


class _Sequence(list[Any]):
    """A deque of the learner's as a suite has it: a list, which is a deque again where it is given back."""

    model: deque[Any]


def crossed(value: Any) -> Any:
    """The value as it would arrive across the wire; what takes part in autograd, and what is no value, is itself."""
    kind = type(value)
    if isinstance(value, deque):
        made = _Sequence(map(crossed, value))
        made.model = value
        return made
    if isinstance(value, _Sequence):
        return like(value.model, list(map(crossed, value)))
    if isinstance(value, dict):
        content = {key: crossed(each) for key, each in dict.items(value)}
        return content if kind is dict else like(value, content)
    if isinstance(value, list | tuple) and kind.__name__ != "Size":
        items = plain(value)
        items = type(items)(map(crossed, items))
        return items if kind is type(items) else like(value, items)
    if kind.__name__ == "ndarray" or (kind.__name__ == "Tensor" and not value.requires_grad):
        with contextlib.suppress(Unsendable):
            return recorded.unpacked(recorded.packed(value))
    return value
