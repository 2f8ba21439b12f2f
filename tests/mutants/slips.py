"""The mutants of a module of the grader: the slips that katas are held to, and one part of a condition left out."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from grader.authoring.mutate import mutants


@dataclass(frozen=True)
class Slip:
    """A changed source, and the lines of the changed statement; of a compound one, those of its head.

    What runs when the module is loaded has no lines: it may matter to every test.
    """

    name: str
    text: str
    line: int
    lines: range


def slips(source: str) -> list[Slip]:
    """All mutants of a module."""
    functions = [
        node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    inside = [node for each in functions for part in each.body for node in ast.walk(part) if isinstance(node, ast.stmt)]
    heads = sorted(map(_head, inside), key=len)
    found = mutants(source, range(1, source.count("\n") + 2), _left_out)
    return [
        Slip(each.name, each.text, each.line, next((head for head in heads if each.line in head), range(0)))
        for each in found
    ]


def _left_out(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """Each side of `and` and `or` alone: a bound that stands in a row of others is one of them."""
    if isinstance(node, cst.BooleanOperation):
        yield node.left
        yield node.right


def _head(node: ast.stmt) -> range:
    body = getattr(node, "body", None) or getattr(node, "cases", None)
    first = getattr(body[0], "lineno", None) or body[0].pattern.lineno if body else node.end_lineno + 1  # type: ignore[operator]
    return range(node.lineno, max(first, node.lineno + 1))
