"""The learner's file becomes a module: compiled from bytes, with what the kata forbids kept out of reach."""

from __future__ import annotations

import builtins
import importlib
import importlib.abc
import io
import linecache
import sys
import sysconfig
import warnings
from collections.abc import Iterable, Sequence
from types import FrameType, ModuleType
from typing import Any

_STDLIB = sysconfig.get_paths()["stdlib"]

# Where a call of an operator arrives, whatever its tensors: plain ones with and without autograd, mkldnn and nested
# ones, and those of torch.func, whose vmap would take the operator apart before any of the other keys is reached. Last,
# where a call lands that is sent past all of these (`torch.ops.aten.lstm.input.redispatch`).
_KEYS = (
    "AutogradCPU",
    "CPU",
    "AutogradOther",
    "AutogradNestedTensor",
    "NestedTensorCPU",
    "FuncTorchDynamicLayerFrontMode",
    "CompositeImplicitAutograd",
)


class ForbiddenImport(ImportError):
    """The learner's file imports what the kata forbids."""


class ForbiddenOperator(RuntimeError):
    """The learner's code reached an operator that the kata forbids."""


class Forbidden:
    """What the kata forbids, and what was seen of it.

    Imports are refused in the learner's own `__import__` and, for what is not loaded yet, by a finder; operators at
    torch's dispatcher, where every road (function, module, `torch.ops`, TorchScript) ends. A function of torch that is
    made of operators which anybody may use, such as that behind `nn.MultiheadAttention`, is replaced in its module.
    """

    def __init__(self, imports: Iterable[str], operators: Iterable[str]) -> None:
        self.seen: list[str] = []
        self._imports = frozenset(imports)
        self._builtins = dict(vars(builtins))
        self._libraries: list[Any] = []
        if self._imports:
            self._forbid_imports()
        for operator in operators:
            (self._forbid_operator if "::" in operator else self._forbid_function)(operator)

    def check(self, name: str) -> None:
        """Raise if the module `name` may not be imported."""
        top = name.partition(".")[0]
        if top in self._imports or name in self._imports:
            self._note(f"import {top}")
            raise ForbiddenImport(f"this kata is written without {top}")

    def guarded_builtins(self) -> dict[str, Any]:
        """The builtins for the learner's module, whose `__import__` asks first."""
        return self._builtins

    def asked_by_learner(self, frame: FrameType | None) -> bool:
        """Whether the learner's code led to `frame`, at most through the standard library (importlib, runpy, ...) and text.

        Libraries import for themselves what they like. The learner's code has the guarded builtins, and so has text that
        it execs, unless it names others for it.
        """
        while frame is not None and _is_standard(frame.f_code.co_filename):
            frame = frame.f_back
        return frame is None or frame.f_builtins is self._builtins

    def _forbid_imports(self) -> None:
        plain, plain_module = builtins.__import__, importlib.import_module

        def guarded(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
            if level == 0 and type(name) is str:
                self.check(name)
            return plain(name, globals, locals, fromlist, level)

        def import_module(name: str, package: str | None = None) -> ModuleType:
            if type(name) is str and self.asked_by_learner(sys._getframe(1)):
                self.check(name)
            return plain_module(name, package)

        self._builtins["__import__"] = guarded
        importlib.import_module = import_module  # a module that is loaded already never gets to a finder
        sys.meta_path.insert(0, _Finder(self))

    def _note(self, what: str) -> None:
        if what not in self.seen:
            self.seen.append(what)

    def _refusal(self, what: str) -> Any:
        def refuse(*args: Any, **kwargs: Any) -> Any:
            self._note(what)
            raise ForbiddenOperator(f"this kata is written without {what}")

        return refuse

    def _forbid_function(self, function: str) -> None:
        """Replace, say, `torch.nn.functional.multi_head_attention_forward` by one that raises, where torch has it."""
        module, _, name = function.rpartition(".")
        home = sys.modules.get(module)
        if hasattr(home, name):
            setattr(home, name, self._refusal(function))

    def _forbid_operator(self, operator: str) -> None:
        """Replace the kernels of every overload of, say, `aten::lstm` by one that raises."""
        import torch

        namespace, _, name = operator.partition("::")
        packet = getattr(getattr(torch.ops, namespace), name, None)
        if packet is None:  # not in this version of torch: nothing can reach it
            return
        library = torch.library.Library(namespace, "IMPL")
        self._libraries.append(library)  # the registration lives as long as this object

        refuse = self._refusal(operator)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a kernel is replaced is the point
            for overload in packet.overloads():
                full = name if overload == "default" else f"{name}.{overload}"
                for key in _KEYS:
                    library.impl(full, refuse, key)


class _Finder(importlib.abc.MetaPathFinder):
    """Asks before the learner imports anything by other roads than the import statement."""

    def __init__(self, forbidden: Forbidden) -> None:
        self._forbidden = forbidden

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if self._forbidden.asked_by_learner(sys._getframe(1)):
            self._forbidden.check(fullname)


def _is_standard(file: str) -> bool:
    return file.startswith("<") or (file.startswith(_STDLIB) and "site-packages" not in file)


def load(source: bytes, filename: str, name: str, forbidden: Forbidden) -> ModuleType:
    """Execute the learner's file as the module `name`."""
    text = source.decode("utf-8-sig")  # whatever encoding it names: what runs is what a reader of the file sees
    lines = io.StringIO(text, newline=None).readlines()  # where Python sees lines, which `splitlines` does not
    linecache.cache[filename] = (len(text), None, lines, filename)
    module = ModuleType(name)
    module.__file__ = filename
    module.__package__ = ""  # as of a file that stands alone, in the words of an import that looks for a package
    module.__dict__["__builtins__"] = forbidden.guarded_builtins()
    sys.modules[name] = module
    exec(compile(text, filename, "exec", dont_inherit=True), module.__dict__)
    return module
