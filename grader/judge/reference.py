"""The hidden reference as an oracle: imported in the judge, never in a worker.

A release has none. There its recorded values answer, of one course seed: see `grader.judge.recorded`.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from grader.errors import InternalFault
from grader.judge import recorded
from grader.messages import text


def load(path: Path) -> ModuleType | recorded.Recorded:
    """The reference's module, or what was recorded of it. Raises InternalFault where there is neither."""
    if is_recorded(path):
        return recorded.load(_recording(path))
    if not path.is_file():
        raise InternalFault(text("the suite asks for the reference, and {file} is not here", file=path.name))
    return module_from(path, f"reference_{path.stem}")


def is_recorded(path: Path) -> bool:
    """Whether the reference at `path` is absent, and its recorded values are there."""
    return not path.is_file() and _recording(path).is_file()


def asks_for_recorded(item: pytest.Item, path: Path) -> bool:
    """Whether a test asks for a reference that is only recorded."""
    return "reference" in getattr(item, "fixturenames", ()) and is_recorded(path)


def course_seed(item: pytest.Item, path: Path, seed: int | str) -> int | str:
    """The course seed for a test: that of the recording where it asks for a reference that is only recorded."""
    return recorded.SEED if asks_for_recorded(item, path) else seed


def _recording(path: Path) -> Path:
    """Beside the suite: `katas/04_lstm/recorded.bin` for `reference/04_lstm/lstm.py`."""
    return path.parents[2] / "katas" / path.parent.name / recorded.FILE


def module_from(path: Path, name: str) -> ModuleType:
    """Import the file at `path` under `name`, afresh."""
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InternalFault(text("{file} is not a Python file", file=str(path)))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
