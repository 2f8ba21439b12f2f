"""The entry points of a reference, as its source and its docstrings have them: functions, and methods of classes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from grader.authoring.proving.statement import shape_lines

_LEAST = re.compile(r"([A-Za-z_]\w*),? (?:is )?at least (\d+)")
_STEPS = re.compile(r"\b([A-Z]) (?:new |tokens so far|length |steps|words|places|frames|tokens(?! in )|queries|keys)")


@dataclass(frozen=True)
class Entry:
    """One function or method. `name` is `lstm`, or `LSTMClassifier.forward`.

    axes: letters per array, as the docstring has them; steps: the letters that count steps in time; least: by argument or
    letter, the least number that is said to come; positive: arguments that are said to be above zero.
    """

    owner: str
    function: str
    header: str  # what stands between the brackets
    names: tuple[str, ...]  # of the arguments, `self` too
    keywords: frozenset[str]  # of those that go by name alone
    line: int
    axes: dict[str, tuple[str, ...]]
    steps: frozenset[str]
    least: dict[str, int]
    positive: frozenset[str]
    optional: frozenset[str]  # those that are None by default

    @property
    def name(self) -> str:
        return f"{self.owner}.{self.function}" if self.owner else self.function

    @property
    def arguments(self) -> tuple[str, ...]:
        """Those that a caller gives."""
        return self.names[1:] if self.owner else self.names

    @property
    def call(self) -> str:
        """The call of the right one, with the arguments as they came."""
        return f"_right({', '.join(f'{name}={name}' if name in self.keywords else name for name in self.names)})"

    def axis(self, argument: str, letters: frozenset[str]) -> int | None:
        """The axis of the argument that has one of these letters."""
        axes = self.axes.get(argument, ())
        return next((place for place, letter in enumerate(axes) if letter in letters), None)


def entries(source: str) -> list[Entry]:
    """All public ones, top to bottom, and constructors; none that is decorated, since it may be no function."""
    tree = ast.parse(source)
    steps = frozenset(_STEPS.findall(" ".join((ast.get_docstring(tree) or "").split())))
    found = []
    for owner, node in _functions(tree):
        arguments = node.args
        positional = [*arguments.posonlyargs, *arguments.args]
        doc = ast.get_docstring(node) or ""
        late = positional[len(positional) - len(arguments.defaults) :]
        defaults = [*zip(late, arguments.defaults, strict=True)]
        defaults += [
            (each, value) for each, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if value
        ]
        lines = {name: _said_of(name, doc) for name in (each.arg for each in positional)}
        found.append(
            Entry(
                owner=owner,
                function=node.name,
                header=ast.unparse(arguments),
                names=tuple(each.arg for each in [*positional, *arguments.kwonlyargs]),
                keywords=frozenset(each.arg for each in arguments.kwonlyargs),
                line=node.lineno,
                axes={name: tuple(re.findall(r"[^\s,()]+", shape)) for name, shape in shape_lines(doc)},
                steps=steps,
                least=_least(doc, lines),
                positive=frozenset(name for name, text in lines.items() if re.search(r"positive|greater than 0", text)),
                optional=frozenset(each.arg for each, value in defaults if ast.unparse(value) == "None"),
            )
        )
    return found


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in tree.body:
        inside = node.body if isinstance(node, ast.ClassDef) else [node]
        owner = node.name if isinstance(node, ast.ClassDef) else ""
        for each in inside:
            if isinstance(each, ast.FunctionDef) and not each.decorator_list:
                public = not each.name.startswith("_") or each.name == "__init__"
                if public and not each.args.vararg and not each.args.kwarg:
                    yield owner, each


def _said_of(name: str, doc: str) -> str:
    """The line of the docstring that begins with the argument."""
    return next((line for line in doc.splitlines() if re.match(rf"\s*(\w+, )*{name}\b", line)), "")


def _least(doc: str, lines: dict[str, str]) -> dict[str, int]:
    """What stands as `N at least 2` anywhere, or as `at least 2` in the line of an argument."""
    found = {name: int(number) for name, number in _LEAST.findall(" ".join(doc.split()))}
    for name, line in lines.items():
        if at := re.search(r"at least (\d+)", line):
            found.setdefault(name, int(at[1]))
    return found
