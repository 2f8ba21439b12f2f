"""The English texts that Python sources tell a person, found without running them: what a catalogue must have.

Told are the first argument of `text(...)`, both of `.plural(...)`, the sentence of `assert_that(...)`, all of
`Says(...)`, what `name=` and `help=` are given or stand for by default, the names that `record` is given, what a plain
`assert` says, the title of a test, and the help of a command. Where a variable stands there, told is every constant that
it is bound to, by an assignment, a loop, a parametrization or a call of the function whose parameter it is.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from grader.messages.message import first_paragraph, is_name

_KEYWORDS = ("name", "help")
_COMMANDS = ("command", "named")  # decorators of a function that is one, whose docstring is its help
_NO_KEYWORDS = (
    "text",
    "Says",
    "addoption",
)  # in whose calls these are something else; the last is pytest's, which speaks English


class Text(NamedTuple):
    """One text, with what is said of several where it counts something."""

    english: str
    many: str = ""
    line: int = 0


def told(source: str, *, suite: bool = False) -> list[Text]:
    """The texts of one file, each once, in the order of its lines; only a suite has tests and claims. Raises SyntaxError."""
    found: dict[tuple[str, str], Text] = {}
    for text in sorted(_Reader(ast.parse(source), suite).texts(), key=lambda text: text.line):
        found.setdefault((text.english, text.many), text)
    return list(found.values())


def constants(source: str) -> set[str]:
    """Every string of one file, whatever it is for, and the titles of its tests."""
    tree = ast.parse(source)
    strings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return strings | {title for node in ast.walk(tree) if (title := _title(node))}


_Function = ast.FunctionDef | ast.AsyncFunctionDef


class _Reader:
    """One module: what is bound to the names of each of its scopes, and what is told in it."""

    def __init__(self, tree: ast.Module, suite: bool) -> None:
        self._tree = tree
        self._suite = suite
        self._bound: dict[tuple[ast.AST, str], list[ast.expr]] = {}
        self._functions = {node.name: node for node in ast.walk(tree) if isinstance(node, _Function)}
        self._scopes = dict(self._scoped(tree, tree))
        for node, scope in self._scopes.items():
            self._bind_all(node, scope)

    def texts(self) -> Iterator[Text]:
        """Everything that is told, some of it twice."""
        for node, scope in self._scopes.items():
            if isinstance(node, ast.Call):
                yield from self._of_call(node, scope)
            elif isinstance(node, _Function):
                yield from self._of_function(node)
            elif isinstance(node, ast.Assert) and node.msg is not None and self._suite:
                yield from self._words(node.msg, scope)

    def _of_call(self, call: ast.Call, scope: ast.AST) -> Iterator[Text]:
        function, owner = _called(call)
        if function == "plural" and len(call.args) > 1:
            ones, others = (self._strings(argument, scope) for argument in call.args[:2])
            yield from (one._replace(many=other.english) for one, other in zip(ones, others, strict=False))
        elif function in ("text", "Says") or owner == "record":
            told = call.args if function == "Says" else call.args[:1]
            told = [*told, *(keyword.value for keyword in call.keywords if function == "Says")]
            yield from (each for part in told for each in self._strings(part, scope) if self._says(each.english))
        elif function == "assert_that" and len(call.args) > 1:
            yield from self._words(call.args[1], scope)
        for name, value in self._keywords(call, scope) if function not in _NO_KEYWORDS else ():
            if name in _KEYWORDS:
                yield from self._words(value, scope)

    def _of_function(self, function: _Function) -> Iterator[Text]:
        if self._suite and (title := _title(function)):
            yield Text(title, line=function.lineno)
        documented = ast.get_docstring(function, clean=False)
        if documented and any(_called(decorator)[0] in _COMMANDS for decorator in function.decorator_list):
            yield Text(inspect.cleandoc(documented), line=function.lineno)
        for parameter, value in _defaults(function):
            if parameter in _KEYWORDS:
                yield from self._words(value, function)

    def _keywords(self, call: ast.Call, scope: ast.AST) -> Iterator[tuple[str, ast.expr]]:
        """What a call is given by name, also by `**` of a literal dict."""
        for keyword in call.keywords:
            if keyword.arg is not None:
                yield keyword.arg, keyword.value
                continue
            for held in self._values(keyword.value, scope, frozenset()):
                if isinstance(held, ast.Dict):
                    pairs = zip(held.keys, held.values, strict=True)
                    yield from ((str(key.value), each) for key, each in pairs if isinstance(key, ast.Constant))
                elif isinstance(held, ast.Call) and _called(held)[0] == "dict":
                    yield from self._keywords(held, scope)

    def _words(self, node: ast.expr, scope: ast.AST) -> Iterator[Text]:
        """What may stand there, without the names that are the same in every language."""
        yield from (each for each in self._strings(node, scope) if not is_name(each.english))

    def _says(self, english: str) -> bool:
        """Whether there are words beside the fields; one word alone is one of the harness's, or a name in a suite's code."""
        return not is_name(english) or (english.isalpha() and not self._suite)

    def _strings(self, node: ast.expr, scope: ast.AST) -> list[Text]:
        found = [each for each in self._values(node, scope, frozenset()) if isinstance(each, ast.Constant)]
        return [Text(each.value, line=each.lineno) for each in found if isinstance(each.value, str)]

    def _values(self, node: ast.expr, scope: ast.AST, seen: frozenset[str]) -> list[ast.expr]:
        """What an expression may stand for, as far as that can be read off."""
        match node:
            case ast.Name(id=name) if name not in seen:
                bound = self._bound.get((scope, name), []) or self._bound.get((self._tree, name), [])
                return [found for each in bound for found in self._values(each, scope, seen | {name})]
            case ast.IfExp():
                parts = [node.body, node.orelse]
            case ast.BoolOp():
                parts = node.values
            case ast.BinOp(op=ast.BitOr()):  # of dicts
                parts = [node.left, node.right]
            case ast.Subscript():
                parts = [each for held in self._values(node.value, scope, seen) for each in _elements(held)]
            case _:
                return [node]
        return [found for part in parts for found in self._values(part, scope, seen)]

    def _items(self, node: ast.expr, scope: ast.AST) -> list[ast.expr]:
        """What a loop over an expression goes through."""
        match node:
            case ast.Call(func=ast.Name(id="zip"), args=args):
                columns = [self._items(each, scope) for each in args]
                return [ast.Tuple(list(row)) for row in zip(*columns, strict=False)]
            case ast.Call(func=ast.Name(id="enumerate"), args=[inner, *_]):
                return [ast.Tuple([ast.Constant(None), each]) for each in self._items(inner, scope)]
            case ast.Call(func=ast.Attribute(attr="items", value=inner)):
                held = [each for each in self._values(inner, scope, frozenset()) if isinstance(each, ast.Dict)]
                pairs = [pair for each in held for pair in zip(each.keys, each.values, strict=True)]
                return [ast.Tuple([key, value]) for key, value in pairs if key is not None]
        return [each for held in self._values(node, scope, frozenset()) for each in _elements(held, keys=True)]

    def _bind_all(self, node: ast.AST, scope: ast.AST) -> None:
        match node:
            case ast.Assign():
                for target in node.targets:
                    self._bind(target, node.value, scope)
            case ast.AnnAssign(value=ast.expr()) | ast.NamedExpr():
                assert node.value is not None
                self._bind(node.target, node.value, scope)
            case ast.For() | ast.comprehension():
                for item in self._items(node.iter, scope):
                    self._bind(node.target, item, scope)
            case ast.Call():
                self._bind_parameters(node)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                for parameter, value in _defaults(node):
                    self._bind(ast.Name(parameter), value, node)
                for decorator in node.decorator_list:
                    self._bind_parametrized(decorator, node)

    def _bind(self, target: ast.expr, value: ast.expr, scope: ast.AST) -> None:
        if isinstance(target, ast.Name):
            self._bound.setdefault((scope, target.id), []).append(value)
        elif isinstance(target, ast.Tuple | ast.List):
            for one in self._values(value, scope, frozenset()):
                for part, each in zip(target.elts, _elements(one), strict=False):
                    self._bind(part, each, scope)

    def _bind_parameters(self, call: ast.Call) -> None:
        function = self._functions.get(_called(call)[0])
        if function is None or not isinstance(call.func, ast.Name):
            return
        scope = self._scopes[call]
        names = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
        given = [*zip(names, call.args, strict=False), *((each.arg, each.value) for each in call.keywords if each.arg)]
        for name, value in given:
            for each in self._values(value, scope, frozenset()):
                self._bind(ast.Name(name), each, function)

    def _bind_parametrized(self, decorator: ast.expr, function: _Function) -> None:
        match decorator:
            case ast.Call(func=ast.Attribute(attr="parametrize"), args=[names, cases, *_]):
                for one in self._strings(names, self._tree):
                    targets: list[ast.expr] = [ast.Name(name.strip()) for name in one.english.split(",")]
                    for case in self._items(cases, self._tree):
                        self._bind(ast.Tuple(targets) if len(targets) > 1 else targets[0], case, function)

    def _scoped(self, node: ast.AST, scope: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
        for child in ast.iter_child_nodes(node):
            yield child, scope
            yield from self._scoped(child, child if isinstance(child, _Function) else scope)


def _elements(node: ast.expr, *, keys: bool = False) -> list[ast.expr]:
    """What a literal holds; of a dict its values, or its keys."""
    if isinstance(node, ast.Dict):
        return [key for key in node.keys if key is not None] if keys else node.values
    if isinstance(node, ast.Call) and _called(node)[0] == "param":  # pytest.param(...)
        return node.args
    return node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else []


def _called(node: ast.AST) -> tuple[str, str]:
    """The names of what is called, and of what it belongs to."""
    function = node.func if isinstance(node, ast.Call) else node
    match function:
        case ast.Name(id=name):
            return name, ""
        case ast.Attribute(attr=name, value=ast.Name(id=owner)):
            return name, owner
        case ast.Attribute(attr=name):
            return name, ""
    return "", ""


def _defaults(function: _Function) -> Iterable[tuple[str, ast.expr]]:
    """The parameters that may be left out, and what they are then."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    named = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    for parameter, value in (*zip(reversed(positional), reversed(arguments.defaults), strict=False), *named):
        if value is not None:
            yield parameter.arg, value


def _title(node: ast.AST) -> str:
    """What a test is called: the first paragraph of its docstring, as one line; "" of all else."""
    if not isinstance(node, _Function) or not node.name.startswith("test_"):
        return ""
    return first_paragraph(ast.get_docstring(node) or "")
