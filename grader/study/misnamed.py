"""An answer under another name beside a stub that nobody has touched: `LSTM.py`, `lstm (1).py`, `lstm_final.py`."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from grader.course import Course
from grader.errors import GradeError
from grader.kata import Kata
from grader.messages import Message, text
from grader.study.desk import file_of, is_stub
from grader.submission import MAX_BYTES

_MOST = 3  # files that are named


def meant_elsewhere(course: Course, katas: Iterable[Kata]) -> Iterator[Message]:
    """A sentence for each kata whose stub is as it was while a file beside it defines what the kata asks for."""
    for kata in katas:
        with suppress(GradeError, OSError):  # there is no stub to compare with, or the folder cannot be read
            near = [path.name for path in _others(kata) if _answers(kata, path)]
            if near and is_stub(course, kata):
                yield text(
                    "{file} is untouched; you may have meant {near} beside it: only {name} is judged",
                    file=file_of(kata),
                    near=near[:_MOST],
                    name=kata.stub.name,
                )


def _others(kata: Kata) -> list[Path]:
    """The Python files of a kata's folder that are neither its stub nor its suite."""
    own = {kata.stub.name, kata.suite.name}
    found = (path for path in kata.folder.iterdir() if path.suffix.lower() == ".py" and path.name not in own)
    return sorted(path for path in found if path.is_file() and not path.is_symlink())


def _answers(kata: Kata, path: Path) -> bool:
    """Whether a file defines any of the names that the kata asks for."""
    if path.stat().st_size > MAX_BYTES:
        return False
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return any(isinstance(node, kinds) and node.name in kata.entry_points for node in tree.body)
