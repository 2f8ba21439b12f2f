"""The zoo: solutions that solve nothing, made from the stub. Every test file must fail each of them.

`stub` is the untouched stub, and `pass` does nothing. The others answer every call with an array of the shape of the
first array that they were given: of zeros, of ones, of NaN, or that array itself. Where no array came, they answer
with a number; where a tuple is announced, with a tuple of such answers.
"""

from __future__ import annotations

import ast

ANSWERS = {"zeros": "_like(arguments, 0.0)", "ones": "_like(arguments, 1.0)", "nan": "_like(arguments, float('nan'))",
           "echo": "_first(arguments)"}  # fmt: skip
NAMES = ("stub", "pass", *ANSWERS)

_HELPERS = """
def _first(arguments):
    for argument in arguments:
        for value in argument.values() if isinstance(argument, dict) else [argument]:
            if hasattr(value, "shape"):
                return value
    return next(iter(arguments), 0.0)

def _like(arguments, number):
    first = _first(arguments)
    return first * 0.0 + number if hasattr(first, "shape") else number

def _answer(count, *arguments):
    value = {answer}
    return value if count is None else (value,) * count
"""


def animals(stub: str) -> dict[str, str]:
    """The source of every member of the zoo, by name."""
    return {name: _animal(stub, name) for name in NAMES}


def _animal(stub: str, name: str) -> str:
    if name == "stub":
        return stub
    tree = ast.parse(stub)
    filled = _Filled(answers=name in ANSWERS).visit(tree)
    if name in ANSWERS:
        filled.body += ast.parse(_HELPERS.format(answer=ANSWERS[name])).body
    return ast.unparse(ast.fix_missing_locations(filled))


class _Filled(ast.NodeTransformer):
    """Every gap of a stub filled with an answer, or with `pass`."""

    def __init__(self, answers: bool) -> None:
        self._answers = answers
        self._scopes: list[ast.AST] = []

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._inside(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._inside(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._inside(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        function = self._scopes[-1] if self._scopes else None
        if not _is_gap(node) or not isinstance(function, ast.FunctionDef):
            return node
        if not self._answers or function.name == "__init__":
            return ast.copy_location(ast.Pass(), node)
        method = len(self._scopes) > 1 and isinstance(self._scopes[-2], ast.ClassDef)
        parameters = [parameter.arg for parameter in (*function.args.posonlyargs, *function.args.args)][method:]
        call = f"_answer({_tuple_size(function.returns)}, {', '.join(parameters)})"
        return ast.copy_location(ast.Return(ast.parse(call, mode="eval").body), node)

    def _inside(self, node: ast.AST) -> ast.AST:
        self._scopes.append(node)
        try:
            return self.generic_visit(node)
        finally:
            self._scopes.pop()


def _is_gap(node: ast.Raise) -> bool:
    call = node.exc
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "NotImplementedError"


def _tuple_size(returns: ast.expr | None) -> int | None:
    """How many values the annotation `tuple[A, B]` announces; None where it announces no such tuple."""
    if isinstance(returns, ast.Subscript) and ast.unparse(returns.value) in ("tuple", "Tuple"):
        parts = returns.slice.elts if isinstance(returns.slice, ast.Tuple) else [returns.slice]
        return None if any(isinstance(part, ast.Constant) and part.value is ... for part in parts) else len(parts)
    return None
