"""One way to make an entry point wrong, and the file that it gives: the reference, with a few lines behind it."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from grader.authoring.mutating.wrappers.calls import Call
from grader.authoring.mutating.wrappers.entries import Entry

_STANDARD = ("contextlib", "functools", "re", "sys")


@dataclass(frozen=True)
class Change:
    """What stands in an entry point's place.

    name: `clamps-at-5`; says: what is wrong with it, after its name; body: the statements, in which `{right}` is the call
    of the right one; state: statements before it; matters: whether a call may show that it is wrong.
    """

    name: str
    says: str
    body: str
    state: str = ""
    matters: Callable[[Call], bool] = lambda call: True


def wrapped(reference: str, entry: Entry, change: Change) -> str:
    """The reference, of which this entry point alone is wrong."""
    name = "_wrong" if entry.owner else entry.function
    body = change.body.replace("{right}", entry.call)
    used = ast.unparse(ast.parse(f"{change.state}\n{body}"))
    parts = _pieces(used)
    imports = "\n".join(f"import {each}" for each in _STANDARD if each == "functools" or f"{each}." in used + parts)
    binds = f"\n\n{entry.owner}.{entry.function} = {name}\n" if entry.owner else "\n"
    return (
        f"{reference.rstrip()}\n\n\n"
        f"# All of the above is right. From here on {entry.name} {change.says}.\n"
        f"{imports}\n\n{parts}\n"
        f"{change.state}{chr(10) * bool(change.state)}_right = {entry.name}\n\n\n"
        f"@functools.wraps(_right)\ndef {name}({entry.header}):\n{textwrap.indent(body, '    ')}{binds}"
    )


def _pieces(text: str) -> str:
    """The functions of `pieces` that the text needs, and those that these need."""
    known, wanted = _known(), list[str]()
    queue = list(_names(text))
    while queue:
        name = queue.pop()
        if name in known and name not in wanted:
            wanted.append(name)
            queue += _names(known[name])
    return "".join(f"\n{known[name]}\n\n" for name in known if name in wanted)


def _names(text: str) -> Iterator[str]:
    return (node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name))


@cache
def _known() -> dict[str, str]:
    """The functions of `pieces`, without annotations, which would need names that a learner's file may not have."""
    files = sorted(Path(__file__).with_name("pieces").glob("*.py"))
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in files]
    functions = [node for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {node.name: ast.unparse(_Bare().visit(node)) for node in functions}


class _Bare(ast.NodeTransformer):
    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        node.returns = None
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        assert node.value is not None
        return ast.copy_location(ast.Assign([node.target], node.value), node)
