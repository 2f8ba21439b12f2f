"""What the learner's code may not reach in torch, or another library, replaced by what refuses."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from importlib.machinery import ModuleSpec
from types import FunctionType, ModuleType
from typing import Any

from grader.worker import jobs


class ForbiddenOperator(RuntimeError):
    """The learner's code reached an operator that the kata forbids."""


class Operators:
    """Operators are refused at torch's dispatcher, where every road (function, module, `torch.ops`, TorchScript) ends.

    What is made of operators that anybody may use is changed in place, so that whoever holds the function or the class
    holds the refusal: its module, a subclass, a table of decompositions. That is done to every function and class that
    does a forbidden job, and to those of modules that are loaded later.
    """

    def __init__(self, operators: Iterable[str], forbidden_jobs: Iterable[str], note: Callable[[str], None]) -> None:
        self._note = note
        self._jobs = tuple(forbidden_jobs)
        self._libraries: dict[str, Any] = {}
        self._replaced: set[int] = set()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a kernel is replaced is the point
            for operator in operators:
                (self._forbid_operator if "::" in operator else self._forbid_call)(operator)
            if self._jobs:
                self._forbid_jobs()

    def _forbid_jobs(self) -> None:
        jobs.survey()
        for job in self._jobs:
            for operator, keys in jobs.operators_of(job):
                self._replace_kernel(operator, keys)
            for call in jobs.JOBS[job].calls:
                self._forbid_call(call)
        self.forbid_what_is_loaded()
        sys.meta_path.insert(0, _Finder(self))

    def forbid_what_is_loaded(self) -> None:
        """Replace all that does a forbidden job in the modules that are there."""
        for job in self._jobs:
            for found in jobs.done_by(job):
                if id(found) not in self._replaced:
                    self._replaced.add(id(found))
                    self._replace(found)

    def _refusal(self, what: str) -> Any:
        def refuse(*args: Any, **kwargs: Any) -> Any:
            self._note(what)
            raise ForbiddenOperator(f"this kata is written without {what}")

        return refuse

    def _replace(self, found: Any) -> None:
        if isinstance(found, FunctionType):
            _change(found, self._refusal(f"{found.__module__}.{found.__qualname__}"))
            return
        kind = found if isinstance(found, type) else type(found)
        for method in jobs.working(kind):
            # What is inherited is a class's own doing only where its base does another job, or none by itself.
            setattr(kind, method, self._refusal(f"{kind.__module__}.{kind.__qualname__}"))

    def _forbid_call(self, call: str) -> None:
        """Replace, say, `torch.nn.functional.multi_head_attention_forward` by one that raises, where torch has it."""
        module, _, name = call.rpartition(".")
        home = sys.modules.get(module)
        if home is None and module.startswith("torch.ops."):
            home = getattr(sys.modules["torch"].ops, module.rpartition(".")[2])
        value = getattr(home, name, None)
        if isinstance(value, FunctionType):
            _change(value, self._refusal(call))
        if value is not None:
            setattr(home, name, _Refusing(self._refusal(call)))

    def _forbid_operator(self, operator: str) -> None:
        """Replace the kernels of every overload of, say, `aten::lstm`."""
        import torch

        namespace, _, name = operator.partition("::")
        packet = getattr(getattr(torch.ops, namespace), name, None)
        for overload in packet.overloads() if packet is not None else ():  # else this version of torch has it not
            self._replace_kernel(operator if overload == "default" else f"{operator}.{overload}", jobs.COMPOSITE_KEYS)

    def _replace_kernel(self, overload: str, keys: tuple[str, ...]) -> None:
        import torch

        namespace, _, full = overload.partition("::")
        if namespace not in self._libraries:  # what it registers lives as long as this object
            self._libraries[namespace] = torch.library.Library(namespace, "IMPL")
        refuse = self._refusal(overload.partition(".")[0])
        for key in keys:
            self._libraries[namespace].m.impl(full, key, refuse, False)


class _Refusing:
    """Refuses when called, and so do its parts: `torch.ops.aten.convolution.default`."""

    def __init__(self, refuse: Any) -> None:
        self._refuse = refuse

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._refuse()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self


class _Finder(importlib.abc.MetaPathFinder):
    """Looks through the modules of a library as they are loaded, whoever loads them."""

    def __init__(self, operators: Operators) -> None:
        self._operators = operators

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not jobs.is_searched(fullname):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                jobs.look_through(module)
                self._operators.forbid_what_is_loaded()

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _change(function: FunctionType, refuse: Any) -> None:
    """Make a function refuse, and what it wraps, wherever they are held. One with a closure keeps it, and what it wraps refuses."""

    def stand_in(*args: Any, _refuse: Any = None, **kwargs: Any) -> Any:
        return _refuse()

    seen = 0
    held: Any = function
    while isinstance(held, FunctionType) and seen < 10:
        if not held.__closure__:
            held.__defaults__, held.__kwdefaults__, held.__code__ = None, {"_refuse": refuse}, stand_in.__code__
        held, seen = getattr(held, "__wrapped__", None), seen + 1
