"""What is alike: copies in disguise are found, and right solutions that were written apart are not.

False alarms are measured on what this repository has of independent right solutions: the variants of each kata, and its
reference.
"""

from __future__ import annotations

import ast
from itertools import combinations
from pathlib import Path

import pytest

from grader.classroom import similarity
from grader.classroom.similarity import MANY, groups
from grader.stub import make_stub, unmarked

REFERENCE = Path(__file__).parents[1] / "reference"
KATAS = sorted(folder.name for folder in REFERENCE.iterdir() if folder.is_dir())


def solutions(kata: str) -> tuple[str, str, dict[str, str]]:
    """The stub, the reference without its markers, and the variants."""
    marked = (REFERENCE / kata / f"{kata.partition('_')[2]}.py").read_text(encoding="utf-8")
    variants = {path.stem: path.read_text(encoding="utf-8") for path in (REFERENCE / kata / "variants").glob("*.py")}
    assert len(variants) >= 2
    return make_stub(marked), unmarked(marked), variants


def renamed(source: str) -> str:
    """The same with other names for whatever is assigned, no comments, and another layout."""
    tree = ast.parse(source)
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in names:
            node.id = f"other_{node.id}"
    return ast.unparse(tree)


def reordered(source: str) -> str:
    """The same with its functions and classes in the opposite order."""
    tree = ast.parse(source)
    defined = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    tree.body = [node for node in tree.body if node not in defined] + defined[::-1]
    return ast.unparse(tree)


def padded(source: str) -> str:
    """The same with a useless line in each function, and every whole number another."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.body.insert(len(node.body) // 2, ast.parse("print('here')").body[0])
        if isinstance(node, ast.Constant) and type(node.value) is int:
            node.value += 1
    return ast.unparse(tree)


@pytest.mark.parametrize("kata", KATAS)
def test_right_solutions_that_were_written_apart_raise_no_alarm(kata: str) -> None:
    stub, solution, variants = solutions(kata)
    assert groups(variants, stub, solution) == []
    assert groups({**variants, "reference": solution}, stub) == []


@pytest.mark.parametrize("kata", KATAS)
def test_a_copy_in_disguise_is_found(kata: str) -> None:
    stub, solution, variants = solutions(kata)
    for name, source in variants.items():
        disguised = padded(renamed(reordered(source)))
        (group,) = groups({**variants, "copy": disguised}, stub, solution)
        assert group.members == tuple(sorted(("copy", name)))
        assert not group.same


def test_the_same_but_for_comments_and_layout_is_the_same() -> None:
    stub, solution, variants = solutions("04_lstm")
    name, source = next(iter(variants.items()))
    laid_out = "# mine\n" + source.replace("(", "(  # here\n        ").replace("\n\n", "\n\n\n")
    (group,) = groups({"one": source, "two": laid_out, name: "x = 1\n"}, stub, solution)
    assert group.same
    assert group.members == ("one", "two")


def test_untouched_and_short_files_tell_nothing() -> None:
    stub, solution, _ = solutions("04_lstm")
    assert groups({"a": stub, "b": stub}, stub, solution) == []
    assert groups({"a": "def f(x):\n    return 2 * x\n", "b": "def f(x):\n    return 2 * x\n"}, "") == []


def test_the_same_file_is_named_also_where_it_is_the_courses_own_solution() -> None:
    stub, solution, _ = solutions("04_lstm")
    (group,) = groups({"a": solution, "b": solution, "c": renamed(solution)}, stub, solution)
    assert (group.members, group.same) == (("a", "b"), True)


def test_what_a_whole_class_writes_alike_is_no_hint() -> None:
    lines = [
        f"    y{place} = torch.relu(x.view({place}, -1)[:, {place}]) + z.{word}(x)" for place, word in enumerate(WORDS)
    ]
    alike = "def f(x, z):\n" + "\n".join(lines)
    own = {f"s{n}": f"{alike}\n    return [{', '.join(['x'] * n)}]\n" for n in range(MANY + 1)}
    assert groups(own, "") == []
    two = dict(list(own.items())[:2])
    assert len(groups(two, "")) == 1


WORDS = ("add", "mul", "sub", "div", "max", "min", "sum", "mean", "std", "var", "exp", "log")


def test_a_chain_is_one_group_and_the_largest_comes_first() -> None:
    stub, solution, variants = solutions("20_gpt2")
    first, second, *_ = variants.values()
    files = {"a": first, "b": renamed(first), "c": padded(first), "x": second, "y": second}
    large, small = groups(files, stub, solution)
    assert (large.members, small.members) == (("a", "b", "c"), ("x", "y"))
    assert (large.same, small.same) == (False, True)
    pair = next(pair for pair in large.pairs if {pair.one, pair.other} == {"a", "b"})
    assert 1 <= pair.one_lines[0] <= pair.one_lines[1] <= len(first.splitlines())


@pytest.mark.parametrize("hostile", ["(" * 5_000, "'''", "\tx\n  y\n", "\x00", "a\\", "é = 1\n" * 50, "def f(:\n" * 9])
def test_what_is_no_python_is_no_fault(hostile: str) -> None:
    assert all(group.same for group in groups({"a": hostile, "b": hostile}, ""))
    assert isinstance(similarity.hashes(hostile), set)


def test_every_pair_of_variants_is_far_below_the_bar() -> None:
    most = 0.0
    for kata in KATAS:
        stub, solution, variants = solutions(kata)
        known = similarity.hashes(stub) | similarity.hashes(solution, stub)
        for one, other in combinations(variants.values(), 2):
            a, b = (similarity.prints(source, stub, known).lines for source in (one, other))
            most = max(most, len(a.keys() & b.keys()) / min(len(a), len(b)))
    assert 0 < most < similarity.NEAR / 3
