"""The hidden reference as an oracle: imported in the judge, never in a worker."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

from grader.errors import InternalFault


def load(path: Path) -> ModuleType:
    """The reference's module. Raises InternalFault where there is none."""
    if not path.is_file():
        raise InternalFault(f"the suite asks for the reference, and {path.name} is not here")
    return module_from(path, f"reference_{path.stem}")


def module_from(path: Path, name: str) -> ModuleType:
    """Import the file at `path` under `name`, afresh."""
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InternalFault(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
