"""Plain pytest: the learner's module in this process, for a debugger, called by value as through the bridge."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest

from grader import course, submission
from grader.judge import reference
from grader.judge.job import test_seed
from grader.judge.pictures import Recorder
from grader.kata import Kata


class LocalSource:
    """The fixtures of plain pytest."""

    def __init__(self, source_dir: Path | None, seed: int) -> None:
        self._source_dir = source_dir
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
        module = reference.module_from(read.path, kata.slug)
        sys.modules[kata.slug] = module
        return LocalFile(module, self.mutated(item))

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
            self._courses[root] = course.find(folder, root, known_good=lambda digest: True)
        return self._courses[root], self._courses[root].select([folder.name])[0]


class LocalFile:
    """The learner's module, whose functions get copies of their arguments and give copies of their results."""

    def __init__(self, module: ModuleType, mutated: list[str]) -> None:
        self._module = module
        self._mutated = mutated
        self._depth = 0  # of calls: what the learner's code hands to itself is not copied

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._module, name)
        if isinstance(value, FunctionType):
            return self._by_value(value)
        if isinstance(value, type) and "torch" in sys.modules and issubclass(value, sys.modules["torch"].nn.Module):
            return self._watched(value)
        return value

    def _by_value(self, function: Any) -> Any:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            mine, my_kwargs = copied(args), copied(kwargs)
            self._depth += 1
            try:
                value = function(*mine, **my_kwargs)
            finally:
                self._depth -= 1
            names = function.__code__.co_varnames[: function.__code__.co_argcount]
            for index, (before, after) in enumerate(zip(args, mine, strict=True)):
                self._note(names[index] if index < len(names) else f"argument {index + 1}", function, before, after)
            for name, before in kwargs.items():
                self._note(name, function, before, my_kwargs[name])
            return copied(value)

        return call

    def _watched(self, kind: Any) -> Any:
        """A module class whose instances' forward, called by the suite, works on copies of its arguments."""

        def construct(*args: Any, **kwargs: Any) -> Any:
            made = kind(*args, **kwargs)
            given: list[Any] = []

            def before(module: Any, inputs: Any) -> Any:
                self._depth += 1
                given.append(None if self._depth > 1 else copied(inputs))
                return None if self._depth > 1 else copied(inputs)

            def after(module: Any, inputs: Any, output: Any) -> None:
                self._depth -= 1
                for index, (old, new) in enumerate(zip(given.pop() or (), inputs, strict=False)):
                    self._note(f"argument {index + 1}", kind, old, new)

            made.register_forward_pre_hook(before)
            made.register_forward_hook(after, always_call=True)
            return made

        return construct

    def _note(self, name: str, owner: Any, before: Any, after: Any) -> None:
        if not same(before, after):
            self._mutated.append(f"{name} of {owner.__qualname__}")


def module_of(source: bytes, filename: str, name: str) -> ModuleType:
    """The module `name` that these bytes are the source of."""
    module = ModuleType(name)
    sys.modules[name] = module
    exec(compile(source, filename, "exec", dont_inherit=True), module.__dict__)
    return module


def operations(function: Any, *args: Any, **kwargs: Any) -> int:
    """What a call spends, counted here and now."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        function(*args, **kwargs)
    return int(counter.get_total_flops())


def copied(value: Any) -> Any:
    """A copy of containers, arrays and tensors; what takes part in autograd, and every other object, is itself."""
    kind = type(value)
    if kind in (list, tuple):
        return kind(copied(each) for each in value)
    if kind is dict:
        return {key: copied(each) for key, each in value.items()}
    if kind.__name__ == "ndarray":
        return value.copy()
    if kind.__name__ == "Tensor" and not value.requires_grad:
        return value.clone()
    return value


def same(before: Any, after: Any) -> bool:
    """Whether no array in `after` differs from its fellow in `before`."""
    if type(before) in (list, tuple):
        return all(same(*pair) for pair in zip(before, after, strict=False))
    if type(before) is dict:
        return all(same(each, after[key]) for key, each in before.items() if key in after)
    if type(before).__name__ in ("ndarray", "Tensor") and before is not after:
        return _content(before) == _content(after)
    return True


def _content(array: Any) -> bytes:
    """The bytes of an array or tensor: NaN equals itself here."""
    plain = array.detach().resolve_conj().resolve_neg().numpy() if hasattr(array, "detach") else array
    return bytes(plain.tobytes())
