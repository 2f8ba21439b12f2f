"""The statement in the languages of the course: short, with hints in three levels, and with the shapes that the stub says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from grader.authoring.proving.finding import Finding, read_text

PAGES = {"en": ("README.md", "English"), "zh": ("README.zh.md", "Chinese")}
MOST_LINES = 79

_SHAPE_LINE = re.compile(r"[ \t]*([A-Za-z_][\w.]*(?:, [A-Za-z_][\w.]*)*) (\([^()]*\))(?:[ \t]{2,}(\S.*)|[ \t]*$)")
_SHAPE_CELL = re.compile(r"`([A-Za-z_][\w.]*) (\([^`]*\))`")
_FOLD = re.compile(r"<details>.*?</details>", re.DOTALL)
_LEVEL = re.compile(r"^(\d+)\. ", re.MULTILINE)
_CHINESE = re.compile(r"[\u4e00-\u9fff]")

Shapes = dict[str, int]  # `x (N, D)` -> the line where it stands first


def faults(folder: Path, shown: str, stub: str, languages: Iterable[str]) -> Iterator[Finding]:
    """Everything that is wrong with the pages in `folder`, which is called `shown` in messages."""
    said = docstring_shapes(stub)
    for name, language in (PAGES[code] for code in languages):
        file, path = f"{shown}/{name}", folder / name
        if not path.is_file():
            yield Finding("statement", file, None, f"is missing: the statement in {language}")
            continue
        text = read_text("statement", path, file)
        if isinstance(text, Finding):
            yield text
            continue
        if (count := len(text.splitlines())) > MOST_LINES:
            yield Finding("statement", file, MOST_LINES + 1, f"has {count} lines; a statement has at most {MOST_LINES}")
        if language == "Chinese" and not _CHINESE.search(text):
            yield Finding("statement", file, 1, "is not in Chinese")
        yield from _table_faults(text, file, said)
        yield from _hint_faults(text, file)


def docstring_shapes(source: str) -> Shapes:
    """The lines `x (N, D)  meaning` in the docstrings of functions and classes."""
    found: Shapes = {}
    for line, doc in _docstrings(source):
        for name, shape in shape_lines(doc):
            found.setdefault(f"{name} {shape}", line)
    return found


def docstring_meanings(source: str) -> dict[str, str]:
    """What the same lines say that each shape is; "" where they say nothing."""
    found: dict[str, str] = {}
    for _, doc in _docstrings(source):
        for names, shape, meaning in _lines(doc):
            for name in names:
                found[f"{name} {shape}"] = found.get(f"{name} {shape}") or meaning
    return found


def shape_lines(doc: str) -> Iterator[tuple[str, str]]:
    """The names and shapes of one docstring: `x` and `(N, D)`."""
    yield from ((name, shape) for names, shape, _ in _lines(doc) for name in names)


def _lines(doc: str) -> Iterator[tuple[list[str], str, str]]:
    for text in doc.splitlines():
        if line := _SHAPE_LINE.match(text):
            yield line[1].split(", "), line[2], (line[3] or "").strip()


def _docstrings(source: str) -> Iterator[tuple[int, str]]:
    """Those of functions and classes, with the lines where these begin."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and (doc := ast.get_docstring(node)):
            yield node.lineno, doc


def table_shapes(page: str) -> Shapes:
    """What stands as `x (N, D)` in the first column of the page's tables."""
    found: Shapes = {}
    for number, line in enumerate(page.splitlines(), 1):
        if line.startswith("|"):
            for name, shape in _SHAPE_CELL.findall(line.split("|")[1]):
                found.setdefault(f"{name} {shape}", number)
    return found


def _table_faults(text: str, file: str, said: Shapes) -> Iterator[Finding]:
    shown = table_shapes(text)
    if said and not shown:
        yield Finding("statement", file, 1, "has no table of shapes, like | `x (N, D)` | inputs |")
        return
    for shape, line in shown.items():
        if shape not in said:
            message = f"the table says `{shape}`, and no docstring of the stub does"
            yield Finding("statement", file, line, message)
    first = min(shown.values(), default=1)
    for shape, line in said.items():
        if shape not in shown:
            message = f"the stub's docstring at line {line} says `{shape}`, and the table does not"
            yield Finding("statement", file, first, message)


def _hint_faults(text: str, file: str) -> Iterator[Finding]:
    """Behind one fold there are hints numbered 1 to 3."""
    folds = [[int(level) for level in _LEVEL.findall(fold)] for fold in _FOLD.findall(text)]
    if [1, 2, 3] not in folds:
        found = max(folds, key=len, default=[])
        message = f"must have three levels of hints, numbered 1 to 3, behind a <details> fold; found {len(found)}"
        yield Finding("hints", file, 1, message)
