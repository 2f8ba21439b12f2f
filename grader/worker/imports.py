"""What the learner's file may not import, refused on the roads that lead there."""

from __future__ import annotations

import builtins
import dis
import importlib
import importlib.abc
import os
import sys
import sysconfig
from collections.abc import Callable, Iterable, Sequence
from types import FrameType, ModuleType
from typing import Any

_STDLIB = sysconfig.get_paths()["stdlib"]
_STATEMENT = dis.opmap["IMPORT_NAME"]
_SITES = frozenset({"site-packages", "dist-packages"})

# Which of an event's arguments is the file that is about to be read or loaded.
_READING = {"open": 0, "import": 1, "ctypes.dlopen": 0}


class ForbiddenImport(ImportError):
    """The learner's file imports what the kata forbids."""


class Imports:
    """Modules that the learner may not import.

    They are refused in the learner's own `__import__`; by a finder, for other roads to what is not loaded yet; and where
    a file of theirs is opened, for roads that need no name. Libraries import for themselves what they like, by statement:
    a library that imports what it is told to (`pytest.importorskip`) does it for the learner.
    """

    def __init__(self, names: Iterable[str], note: Callable[[str], None]) -> None:
        self._names = frozenset(names)
        self._note = note
        self._builtins = dict(vars(builtins))
        if self._names:
            self._files = tuple(
                os.path.join(os.path.realpath(entry), name)
                for entry in sys.path
                if os.path.basename(entry) in _SITES
                for name in self._names
            )
            self._forbid()

    def check(self, name: str) -> None:
        """Raise if the module `name` may not be imported."""
        top = name.partition(".")[0]
        if top in self._names or name in self._names:
            self._note(f"import {top}")
            raise ForbiddenImport(f"this kata is written without {top}")

    def guarded_builtins(self) -> dict[str, Any]:
        """The builtins for the learner's module, whose `__import__` asks first."""
        return self._builtins

    def asked_by_learner(self, frame: FrameType | None, name: str) -> bool:
        """Whether the learner's code wants what `frame` is at: the module `name`, or a file of it.

        The standard library (importlib, runpy, ...) and text come in between. The learner's code has the guarded builtins,
        and so has text that it execs, unless it names others for it. A library's wish is its own in an import statement, and
        where it fetches a part of itself.
        """
        while frame is not None and _is_standard(frame.f_code.co_filename):
            frame = frame.f_back
        if frame is None or frame.f_builtins is self._builtins:
            return True
        if frame.f_code.co_code[frame.f_lasti] == _STATEMENT:
            return False
        return bool(frame.f_globals.get("__name__", "").partition(".")[0] != name.partition(".")[0])

    def _forbid(self) -> None:
        plain, plain_module = builtins.__import__, importlib.import_module

        def guarded(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
            if level == 0 and type(name) is str:
                self.check(name)
            return plain(name, globals, locals, fromlist, level)

        def import_module(name: str, package: str | None = None) -> ModuleType:
            if type(name) is str and self.asked_by_learner(sys._getframe(1), name):
                self.check(name)
            return plain_module(name, package)

        self._builtins["__import__"] = guarded
        importlib.import_module = import_module  # a module that is loaded already never gets to a finder
        sys.meta_path.insert(0, _Finder(self))
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Refuse the files of what is forbidden, whatever they are opened as: modules by another name, shared libraries."""
        if (place := _READING.get(event)) is None or not isinstance(file := arguments[place], str | bytes):
            return
        path = os.path.realpath(os.fsdecode(file))
        for module in self._files:
            if path.startswith(module) and path[len(module) :][:1] in ("", ".", os.sep):
                name = os.path.basename(module)
                if self.asked_by_learner(sys._getframe(1), name):
                    self.check(name)
                return


class _Finder(importlib.abc.MetaPathFinder):
    """Asks before the learner imports anything by other roads than the import statement."""

    def __init__(self, imports: Imports) -> None:
        self._imports = imports

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if self._imports.asked_by_learner(sys._getframe(1), fullname):
            self._imports.check(fullname)


def _is_standard(file: str) -> bool:
    return file == __file__ or file.startswith("<") or (file.startswith(_STDLIB) and "site-packages" not in file)
