"""Imports of what is not installed and that nothing uses: a file is run without them.

Only a statement of the file's own counts, in no block: who asks in a `try` is ready for the answer.
"""

from __future__ import annotations

import ast
import dis
import sys
from collections.abc import Iterator
from importlib.machinery import PathFinder
from types import CodeType

_IMPORT = dis.opmap["IMPORT_NAME"]


def compiled(text: str, filename: str) -> tuple[CodeType, list[str]]:
    """The code of a file, and the packages whose imports were left out. Raises SyntaxError, as `compile` does."""
    code = compile(text, filename, "exec", dont_inherit=True)
    if all(_is_there(name) for name in _imported(code)):
        return code, []
    tree = ast.parse(text, filename)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} | _exported(tree)
    left_out: list[str] = []
    tree.body = [_without(statement, used, left_out) for statement in tree.body]
    if not left_out:
        return code, []
    return compile(tree, filename, "exec", dont_inherit=True), list(dict.fromkeys(left_out))


def _imported(code: CodeType) -> Iterator[str]:
    """The packages that the file's own statements import, in whatever block; not a file beside it (`from . import a`)."""
    names = (instruction.argval for instruction in dis.get_instructions(code) if instruction.opcode == _IMPORT)
    return (name.partition(".")[0] for name in names if name)


def _is_there(package: str) -> bool:
    """Whether a package is installed. No finder of `sys.meta_path` is asked: those that forbid would take it for an import."""
    if package in sys.modules or package in sys.builtin_module_names:
        return True
    try:
        return PathFinder.find_spec(package) is not None
    except (ImportError, ValueError, OSError):
        return True


def _without(statement: ast.stmt, used: set[str], left_out: list[str]) -> ast.stmt:
    """The statement without the imports that nothing uses of what is not there; `pass` where none is left."""
    if isinstance(statement, ast.ImportFrom):
        package = (statement.module or "").partition(".")[0]
        if statement.level or not package or _is_there(package):
            return statement
        if any(alias.name == "*" or (alias.asname or alias.name) in used for alias in statement.names):
            return statement
        left_out.append(package)
        return ast.copy_location(ast.Pass(), statement)
    if isinstance(statement, ast.Import):
        kept = []
        for alias in statement.names:
            package = alias.name.partition(".")[0]
            if (alias.asname or package) in used or _is_there(package):
                kept.append(alias)
            else:
                left_out.append(package)
        return ast.copy_location(ast.Import(kept), statement) if kept else ast.copy_location(ast.Pass(), statement)
    return statement


def _exported(tree: ast.Module) -> set[str]:
    """Words in text, which may be names that are looked up, as in `__all__` or `globals()[name]`."""
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
