"""First-order mutants of a reference, inside its solution markers, or of any source: each with one small change, as by a slip
of the hand."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

from grader.stub import marked_lines

_OPERATORS: dict[type[cst.CSTNode], type[cst.CSTNode]] = {
    cst.Add: cst.Subtract,
    cst.Subtract: cst.Add,
    cst.Multiply: cst.Divide,
    cst.Divide: cst.Multiply,
    cst.FloorDivide: cst.Divide,
    cst.Modulo: cst.Multiply,
    cst.Power: cst.Multiply,
    cst.AddAssign: cst.SubtractAssign,
    cst.SubtractAssign: cst.AddAssign,
    cst.MultiplyAssign: cst.DivideAssign,
    cst.DivideAssign: cst.MultiplyAssign,
    cst.LessThan: cst.LessThanEqual,
    cst.LessThanEqual: cst.LessThan,
    cst.GreaterThan: cst.GreaterThanEqual,
    cst.GreaterThanEqual: cst.GreaterThan,
    cst.Equal: cst.NotEqual,
    cst.NotEqual: cst.Equal,
    cst.And: cst.Or,
    cst.Or: cst.And,
}
_PAIRS = (("sum", "mean"), ("max", "min"), ("amax", "amin"), ("argmax", "argmin"), ("any", "all"), ("std", "var"),
          ("cumsum", "cumprod"), ("zeros", "ones"), ("zeros_like", "ones_like"), ("new_zeros", "new_ones"))  # fmt: skip
_CALLED = {one: other for pair in _PAIRS for one, other in (pair, pair[::-1])}
_TRUTHS = {"True": "False", "False": "True"}
_REMOVABLE = (cst.Expr, cst.AugAssign, cst.Assign, cst.Raise, cst.Break, cst.Continue, cst.Assert, cst.Del)
_LEFT_ALONE = (cst.Annotation, cst.FormattedString, cst.Raise, cst.Import, cst.ImportFrom)


@dataclass(frozen=True)
class Mutant:
    """One changed source. Its name is the changed statement, with the function that it stands in."""

    name: str
    text: str
    line: int


Slips = Callable[[cst.CSTNode], Iterable[cst.CSTNode]]


def mutants(source: str, lines: Collection[int] | None = None, more: Slips = lambda node: ()) -> list[Mutant]:
    """All first-order mutants of a source, top to bottom; none that Python reads as the source itself, none twice.

    Changed is what begins on one of `lines`, by default those between solution markers. `more` gives what may stand in the
    place of a node beside the usual slips.
    """
    if lines is None:
        lines = [line for marked in marked_lines(source) for line in marked]
    collector = _Collector(lines, lambda node: (*_slips(node), *more(node)))
    module = cst.parse_module(source)
    MetadataWrapper(module, unsafe_skip_copy=True).visit(collector)
    seen, names, found = {ast.dump(ast.parse(source))}, dict[str, int](), list[Mutant]()
    for change in collector.changes:
        text = change.apply(module)
        try:
            tree = ast.dump(ast.parse(text))
        except SyntaxError:
            continue
        if tree not in seen:
            seen.add(tree)
            names[change.name] = names.get(change.name, 0) + 1
            again = f" ({names[change.name]})" if names[change.name] > 1 else ""
            found.append(Mutant(change.name + again, text, change.line))
    return found


@dataclass(frozen=True)
class _Change:
    """A statement, and what takes its place."""

    owner: str
    statement: cst.CSTNode
    changed: cst.CSTNode
    within: tuple[cst.CSTNode, ...]
    removed: bool
    line: int

    def apply(self, module: cst.Module) -> str:
        changed = module.visit(_Put(self))
        assert isinstance(changed, cst.Module)
        return changed.code

    @property
    def name(self) -> str:
        shown = self.statement if self.removed else self.changed
        return f"{self.owner}: {'without ' * self.removed}{_on_one_line(shown)}"


class _Put(cst.CSTTransformer):
    """Puts the changed statement in its place, and looks at nothing that it does not stand in."""

    def __init__(self, change: _Change) -> None:
        super().__init__()
        self._change = change
        self._within = frozenset(map(id, change.within))

    def on_visit(self, node: cst.CSTNode) -> bool:
        return id(node) in self._within

    def on_leave(self, original_node: cst.CSTNode, updated_node: cst.CSTNode) -> cst.CSTNode:  # type: ignore[override]
        return self._change.changed if original_node is self._change.statement else updated_node


def _on_one_line(statement: cst.CSTNode) -> str:
    """A simple statement, or the head of a compound one."""
    bare = statement.with_changes(leading_lines=())
    if isinstance(statement, cst.SimpleStatementLine):
        bare = bare.with_changes(trailing_whitespace=cst.TrailingWhitespace())
    else:
        bare = bare.with_changes(body=cst.SimpleStatementSuite([cst.Pass()]))
        bare = bare.with_changes(orelse=None) if hasattr(bare, "orelse") else bare
    return " ".join(cst.Module([]).code_for_node(bare).split()).removesuffix(": pass")


class _Collector(cst.CSTVisitor):
    """Walks a module and notes every change to what stands on the given lines."""

    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self, lines: Collection[int], slips: Slips) -> None:
        super().__init__()
        self._slips = slips
        self.changes: list[_Change] = []
        self._lines = frozenset(lines)
        self._scopes: list[str] = []
        self._bound: list[set[str]] = [set()]
        self._statements: list[cst.CSTNode] = []
        self._within: list[cst.CSTNode] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.FunctionDef | cst.ClassDef):
            self._scopes.append(node.name.value)
            self._bound.append(_parameters(node))
        if isinstance(node, cst.SimpleStatementLine | cst.BaseCompoundStatement):
            self._statements.append(node)
            self._remove(node)
        self._within.append(node)
        if isinstance(node, _LEFT_ALONE):
            return False
        if self._statements and self._line(node) in self._lines:
            for other in self._slips(node):
                statement = self._statements[-1]
                self._note(statement, statement.deep_replace(node, other), self._line(node))
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        self._within.pop()
        if isinstance(original_node, cst.FunctionDef | cst.ClassDef):
            self._scopes.pop()
            self._bound.pop()
        if isinstance(original_node, cst.SimpleStatementLine | cst.BaseCompoundStatement):
            self._statements.pop()

    def _remove(self, node: cst.CSTNode) -> None:
        """The statement without effect, unless that only leaves a name undefined."""
        if not isinstance(node, cst.SimpleStatementLine) or self._line(node) not in self._lines:
            return
        (statement, *others) = node.body
        names = _targets(statement)
        defines = names is not None and not names <= self._bound[-1]
        self._bound[-1] |= names or set()
        if isinstance(statement, _REMOVABLE) and not others and not defines and not _is_text(statement):
            self._note(node, node.with_changes(body=[cst.Pass()]), self._line(node), removed=True)

    def _note(self, statement: cst.CSTNode, changed: object, line: int, *, removed: bool = False) -> None:
        assert isinstance(changed, cst.CSTNode)
        self.changes.append(_Change(".".join(self._scopes), statement, changed, tuple(self._within), removed, line))

    def _line(self, node: cst.CSTNode) -> int:
        place = self.get_metadata(PositionProvider, node, None)
        return place.start.line if place is not None else 0


def _slips(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """What may stand in the place of one node."""
    if type(node) in _OPERATORS:
        yield _OPERATORS[type(node)]()
    elif isinstance(node, cst.BinaryOperation) and isinstance(
        node.operator, cst.MatrixMultiply | cst.Subtract | cst.Divide
    ):
        yield node.with_changes(left=node.right, right=node.left)
    elif isinstance(node, cst.UnaryOperation) and not isinstance(node.expression, cst.Integer):
        yield node.expression  # the last axis, -1, is often axis 1 as well: there the integer alone is changed
    elif isinstance(node, cst.Integer):
        value = int(node.value, 0)
        yield cst.Integer(str(value + 1))
        if value > 0:
            yield cst.Integer(str(value - 1))
    elif isinstance(node, cst.Float):
        yield cst.Float(repr(2 * float(node.value) or 1.0))
    elif isinstance(node, cst.Name) and node.value in _TRUTHS:
        yield node.with_changes(value=_TRUTHS[node.value])
    elif isinstance(node, cst.If | cst.IfExp | cst.While):
        yield node.with_changes(test=cst.UnaryOperation(cst.Not(), _bracketed(node.test)))
    elif isinstance(node, cst.Call):
        yield from _other_calls(node)


def _other_calls(node: cst.Call) -> Iterator[cst.Call]:
    """The call of a sibling, such as mean for sum, and the call with its first two arguments swapped."""
    name = node.func.attr if isinstance(node.func, cst.Attribute) else node.func
    if isinstance(name, cst.Name) and name.value in _CALLED:
        yield node.with_deep_changes(name, value=_CALLED[name.value])
    if len(node.args) > 1:
        first, second, *rest = node.args
        if not (first.keyword or second.keyword or first.star or second.star):
            swapped = [first.with_changes(value=second.value), second.with_changes(value=first.value)]
            yield node.with_changes(args=[*swapped, *rest])


def _is_text(statement: cst.CSTNode) -> bool:
    """Whether a statement is a docstring, or another text that nothing is done with."""
    return isinstance(statement, cst.Expr) and isinstance(statement.value, cst.SimpleString | cst.ConcatenatedString)


def _bracketed(test: cst.BaseExpression) -> cst.BaseExpression:
    return test if test.lpar else test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])


def _parameters(node: cst.FunctionDef | cst.ClassDef) -> set[str]:
    if isinstance(node, cst.ClassDef):
        return set()
    kinds = node.params.posonly_params, node.params.params, node.params.kwonly_params
    return {parameter.name.value for kind in kinds for parameter in kind}


def _targets(statement: cst.CSTNode) -> set[str] | None:
    """The plain names that a statement binds; None where it binds something else, or nothing."""
    if not isinstance(statement, cst.Assign):
        return None
    names: set[str] = set()
    for target in statement.targets:
        parts = target.target.elements if isinstance(target.target, cst.Tuple | cst.List) else [target]
        for part in parts:
            value = part.target if isinstance(part, cst.AssignTarget) else part.value
            if not isinstance(value, cst.Name):
                return None
            names.add(value.value)
    return names
