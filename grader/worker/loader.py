"""The learner's file becomes a module: compiled from bytes, with what the kata forbids kept out of reach."""

from __future__ import annotations

import io
import linecache
import sys
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from grader.absent import compiled
from grader.worker.imports import Imports
from grader.worker.operators import Operators


class Forbidden:
    """What the kata forbids, and what was seen of it."""

    def __init__(self, imports: Iterable[str], operators: Iterable[str], jobs: Iterable[str] = ()) -> None:
        self.seen: list[str] = []
        self._imports = Imports(imports, self._note)
        self._operators = Operators(operators, jobs, self._note)

    def guarded_builtins(self) -> dict[str, Any]:
        """The builtins for the learner's module, whose `__import__` asks first."""
        return self._imports.guarded_builtins()

    def _note(self, what: str) -> None:
        if what not in self.seen:
            self.seen.append(what)


def load(source: bytes, filename: str, name: str, forbidden: Forbidden) -> tuple[ModuleType, list[str]]:
    """Execute the learner's file as the module `name`; returns it, and the packages that it was run without."""
    text = source.decode("utf-8-sig")  # whatever encoding it names: what runs is what a reader of the file sees
    lines = io.StringIO(text, newline=None).readlines()  # where Python sees lines, which `splitlines` does not
    linecache.cache[filename] = (len(text), None, lines, filename)
    module = ModuleType(name)
    module.__file__ = filename
    module.__package__ = ""  # as of a file that stands alone, in the words of an import that looks for a package
    module.__dict__["__builtins__"] = forbidden.guarded_builtins()
    sys.modules[name] = module
    code, absent = compiled(text, filename)
    exec(code, module.__dict__)
    return module, absent
