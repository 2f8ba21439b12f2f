"""The stub is the reference with its marked lines cut out: what a learner starts from is never written by hand.

    # BEGIN SOLUTION: start from the four gate pre-activations
    ...
    # END SOLUTION

becomes `raise NotImplementedError("lstm_step: start from the four gate pre-activations")`, on three lines where one would
be too long for a formatter. All else stays as it is.
"""

import ast
import io
import json
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass

from grader.course import Course
from grader.errors import CourseFault, Fault, UsageFault
from grader.kata import Kata
from grader.messages import Message, text

ORIGINAL = ".stub"  # how the copy of a stub in a release ends
_LIKE_A_MARKER = re.compile(r"#\s*(BEGIN|END)[\s_-]*SOLUTION\b", re.IGNORECASE)
_MARKER = re.compile(r"# (?:BEGIN SOLUTION: (?P<hint>\S.*?)|END SOLUTION)\s*")
_MARKERS = text("`# BEGIN SOLUTION: <hint>` or `# END SOLUTION`")
_Owners = tuple[ast.stmt, ...]
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_WIDTH = 120


class StubFault(CourseFault):
    """The markers of a reference do not say what to cut out."""

    def __init__(self, file: str, line: int, message: Message) -> None:
        super().__init__([Fault(f"{file}:{line}", wanted=message)])
        self.file, self.line = file, line


@dataclass(frozen=True)
class _Gap:
    """A pair of markers: their lines, counted from 1, their column, and the hint."""

    begin: int
    end: int
    column: int
    hint: str

    def holds(self, statement: ast.stmt) -> bool:
        return self.begin < _first_line(statement) < self.end


def original(course: Course, kata: Kata) -> bytes:
    """The stub as its learner found it: from the reference, or from the copy that a release has of it.

    Raises UsageFault where there is neither.
    """
    if course.reference(kata).is_file():
        return generated(course, kata).encode()
    copy = kata.folder / f"{kata.slug}{ORIGINAL}"
    if copy.is_file():
        return copy.read_bytes()
    raise UsageFault(
        text("the stub of {kata} is not kept in this course", kata=kata.id),
        text("git may have it: git checkout -- katas/{kata}/{file}", kata=kata.id, file=kata.stub.name),
    )


def generated(course: Course, kata: Kata) -> str:
    """The stub that the kata's reference gives; raises CourseFault."""
    reference = course.reference(kata)
    file = f"reference/{kata.id}/{reference.name}"
    try:
        return make_stub(reference.read_bytes().decode("utf-8-sig"), file)
    except FileNotFoundError:
        raise CourseFault([Fault(file, wanted=text("is missing: the stub is made from it"))]) from None
    except OSError as error:
        raise CourseFault([Fault(file, wanted=text("cannot be read: {reason}", reason=error.strerror))]) from None
    except UnicodeDecodeError:
        raise CourseFault([Fault(file, wanted=text("is not UTF-8 text"))]) from None


def make_stub(source: str, filename: str = "<reference>") -> str:
    """The stub of a marked reference; raises StubFault with the line at which the markers make no sense."""
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise StubFault(filename, error.lineno or 1, text("is not valid Python: {error}", error=error.msg)) from None
    gaps = [(gap, _owner(tree, gap, filename)) for gap in _gaps(source, filename)]
    if not gaps:
        raise StubFault(filename, 1, text("marks no solution, so the stub would give all of it away"))

    lines = list(io.StringIO(source, newline=""))
    for gap, owner in reversed(gaps):
        marker = lines[gap.begin - 1]
        line_end = marker[len(marker.rstrip("\r\n")) :]
        hint = json.dumps(f"{owner}: {gap.hint}", ensure_ascii=False)
        lines[gap.begin - 1 : gap.end] = [line + line_end for line in _raise(marker[: gap.column], hint)]
    stub = "".join(lines)
    try:
        compile(stub, filename, "exec", dont_inherit=True)
    except SyntaxError as error:
        message = text(
            "the stub that its markers leave is not valid Python, line {line}: {error}",
            line=error.lineno,
            error=error.msg,
        )
        raise StubFault(filename, gaps[0][0].begin, message) from None
    return stub


def unmarked(source: str) -> str:
    """A reference without its markers: the solution, as one would write it."""
    return "".join(line for line in source.splitlines(keepends=True) if not _LIKE_A_MARKER.match(line.strip()))


def is_in_step(reference_source: str, stub_source: str, filename: str = "<reference>") -> bool:
    """Whether the stub is what the reference gives, whichever line ends a checkout chose."""
    stub = make_stub(reference_source, filename)
    return stub.replace("\r\n", "\n") == stub_source.replace("\r\n", "\n")


def marked_lines(source: str, filename: str = "<reference>") -> list[range]:
    """The lines between each pair of markers, counted from 1; raises StubFault where markers do not pair."""
    return [range(gap.begin + 1, gap.end) for gap in _gaps(source, filename)]


def _gaps(source: str, filename: str) -> Iterator[_Gap]:
    """The marked gaps from top to bottom. Only comments are looked at, so a string may speak of markers."""
    opened: tuple[int, int, str] | None = None
    for token in tokenize.generate_tokens(io.StringIO(source, newline="").readline):
        if token.type != tokenize.COMMENT or not _LIKE_A_MARKER.match(token.string):
            continue
        line, column = token.start
        marker = _MARKER.fullmatch(token.string)
        if not marker or token.line[:column].strip():
            raise StubFault(filename, line, text("a marker must be {markers}, alone on its line", markers=_MARKERS))
        if hint := marker["hint"]:
            if opened:
                raise StubFault(filename, line, text("BEGIN SOLUTION inside the one of line {line}", line=opened[0]))
            opened = line, column, hint
        elif not opened:
            raise StubFault(filename, line, text("END SOLUTION without a BEGIN SOLUTION before it"))
        elif column != opened[1]:
            raise StubFault(
                filename, line, text("END SOLUTION must be indented like its BEGIN on line {line}", line=opened[0])
            )
        else:
            yield _Gap(opened[0], line, column, opened[2])
            opened = None
    if opened:
        raise StubFault(filename, opened[0], text("BEGIN SOLUTION is never ended"))


def _owner(tree: ast.Module, gap: _Gap, filename: str) -> str:
    """The qualified name of the function whose whole statements the gap holds, all of one block."""
    homes = [
        (owners, cut)
        for owners, block in _blocks(tree)
        if (cut := [statement for statement in block if gap.holds(statement)])
        and not (owners and gap.holds(owners[-1]))
    ]
    if not homes:
        raise StubFault(filename, gap.begin, text("BEGIN SOLUTION is followed by no statement"))
    owners, cut = min(homes, key=lambda home: _first_line(home[1][0]))
    scopes = [owner for owner in owners if isinstance(owner, _SCOPES)]
    if not scopes or isinstance(scopes[-1], ast.ClassDef):
        raise StubFault(filename, gap.begin, text("BEGIN SOLUTION stands outside a function"))
    if cut[0].col_offset != gap.column:
        raise StubFault(filename, gap.begin, text("BEGIN SOLUTION must be indented like the statement below it"))
    if len(homes) > 1:
        raise StubFault(
            filename, gap.end, text("END SOLUTION is in another block than its BEGIN on line {line}", line=gap.begin)
        )
    others = [node for node in ast.walk(tree) if isinstance(node, ast.stmt) and node not in owners]
    for line, word in ((gap.begin, "BEGIN"), (gap.end, "END")):
        if any(_first_line(other) < line <= (other.end_lineno or 0) for other in others):
            raise StubFault(filename, line, text("{word} SOLUTION stands inside a statement", word=word))
    return ".".join(scope.name for scope in scopes)


def _blocks(node: ast.AST, owners: _Owners = ()) -> Iterator[tuple[_Owners, list[ast.stmt]]]:
    """Every list of statements, with the statements that it stands in, outermost first."""
    owners = (*owners, node) if isinstance(node, ast.stmt) else owners
    for _, block in ast.iter_fields(node):
        if isinstance(block, list) and block and isinstance(block[0], ast.AST):
            if isinstance(block[0], ast.stmt):
                yield owners, block
            for child in block:
                yield from _blocks(child, owners)


def _first_line(statement: ast.stmt) -> int:
    """Where it starts, decorators included."""
    decorators = statement.decorator_list if isinstance(statement, _SCOPES) else []
    return min([statement.lineno, *(decorator.lineno for decorator in decorators)])


def _raise(indent: str, hint: str) -> list[str]:
    """What stands in place of a solution, as a formatter leaves it."""
    line = f"{indent}raise NotImplementedError({hint})"
    return (
        [line] if len(line) <= _WIDTH else [f"{indent}raise NotImplementedError(", f"{indent}    {hint}", f"{indent})"]
    )
