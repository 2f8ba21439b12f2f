"""The tests of a kata as they stand in its suites: read, not run, so that each has its file and line."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from grader.authoring.proving.finding import Finding, read_text
from grader.reports.table import KINDS


@dataclass(frozen=True)
class Test:
    """One test function. `kind` is "" where it does not have exactly one."""

    __test__ = False  # pytest collects classes by the name

    name: str
    kind: str
    title: str
    file: str  # from the root of the course
    line: int


@dataclass(frozen=True)
class Suite:
    """The tests of one file, top to bottom, and what is wrong with how they are written."""

    file: str
    text: str
    tests: tuple[Test, ...]
    findings: tuple[Finding, ...]
    whole: bool = True  # whether it could be read at all


def read(path: Path, file: str) -> Suite:
    """The suite at `path`, which is called `file` in messages."""
    text = read_text("suite", path, file)
    if isinstance(text, Finding):
        return Suite(file, "", (), (text,), whole=False)
    tree = parsed("suite", text, file)
    if isinstance(tree, Finding):
        return Suite(file, text, (), (tree,), whole=False)
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    tests = tuple(_test(node, file) for node in functions)
    findings = [finding for node in functions for finding in _faults(node, file)]
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            findings.append(Finding("suite", file, node.lineno, f"{node.name} is a class: tests are plain functions"))
    seen: set[str] = set()
    for test in tests:
        if test.name in seen:
            findings.append(Finding("suite", file, test.line, f"{test.name} is defined twice: only the last one runs"))
        seen.add(test.name)
    return Suite(file, text, tests, tuple(findings))


def parsed(rule: str, text: str, file: str) -> ast.Module | Finding:
    """The syntax tree of Python source, or why there is none."""
    try:
        return ast.parse(text)
    except SyntaxError as error:
        return Finding(rule, file, error.lineno or 1, f"is not valid Python: {error.msg}")
    except ValueError as error:
        return Finding(rule, file, 1, f"is not valid Python: {error}")


def _test(node: ast.FunctionDef, file: str) -> Test:
    kinds = [mark for mark in _marks(node) if mark in KINDS]
    title = " ".join((ast.get_docstring(node) or "").partition("\n\n")[0].split())
    return Test(node.name, kinds[0] if len(kinds) == 1 else "", title, file, node.lineno)


def _faults(node: ast.FunctionDef, file: str) -> Iterator[Finding]:
    marks = list(_marks(node))
    kinds = [mark for mark in marks if mark in KINDS]
    if len(kinds) != 1:
        found = " and ".join(kinds) or "none"
        message = f"{node.name} must have exactly one kind ({', '.join(KINDS)}), found {found}"
        yield Finding("suite", file, node.lineno, message)
    if not (ast.get_docstring(node) or "").strip():
        message = f"{node.name} has no docstring, which is its line on the scorecard"
        yield Finding("suite", file, node.lineno, message)
    for mark in marks:
        if mark not in KINDS:
            message = f"{node.name} is marked {mark}: a kata's tests have a kind and no other mark"
            yield Finding("suite", file, node.lineno, message)


def _marks(node: ast.FunctionDef) -> Iterator[str]:
    """The names of its `pytest.mark`s."""
    for decorator in node.decorator_list:
        mark = decorator.func if isinstance(decorator, ast.Call) else decorator
        if isinstance(mark, ast.Attribute) and isinstance(mark.value, ast.Attribute) and mark.value.attr == "mark":
            yield mark.attr
