"""`make mutants`: which mutants of a small package its tests kill, where its lines are reached, and that nothing else is touched."""

from __future__ import annotations

import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from .mutants import table
from .mutants.copy import Copy
from .mutants.fates import Module, Tally, Trials, modules
from .mutants.slips import slips
from .mutants.swap import Unfit, swap

SMALL = '''"""Small."""

LIMIT = 3


def check(values):
    """The sum of a few numbers."""
    if len(values) > LIMIT or 0 in values:
        raise ValueError
    return sum(values)


def down(n):
    while n > 5:
        n -= 1
    return n


def forked(n):
    return n + 1


def spawned(n):
    return n + 2


def unseen(n):
    return -n
'''
TESTS = '''"""Tests of it."""

import os
import subprocess
import sys

import pytest

from grader.small import check, down, forked


def test_check():
    assert check([1, 2, 4]) == 7
    with pytest.raises(ValueError):
        check([1, 2, 3, 4])


def test_down():
    assert down(7) == 5


def test_forked():
    child = os.fork()
    if child == 0:
        os._exit(forked(1))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2


def test_spawned():
    program = "from grader.small import spawned; raise SystemExit(spawned(1))"
    assert subprocess.run([sys.executable, "-I", "-c", program]).returncode == 3
'''
FATES = {
    "check: if not (len(values) > LIMIT or 0 in values)": "test_check",
    "check: if len(values) > LIMIT and 0 in values": "test_check",
    "check: if len(values) > LIMIT": None,
    "check: if 0 in values": "test_check",
    "check: if len(values) >= LIMIT or 0 in values": "test_check",
    "check: if len(values) > LIMIT or 1 in values": "test_check",
    "check: without raise ValueError": "test_check",
    "check: return mean(values)": "test_check",
    "down: while not (n > 5)": "test_down",
    "down: while n >= 5": "test_down",
    "down: while n > 6": "test_down",
    "down: while n > 4": "test_down",
    "down: without n -= 1": "it ended its process",  # after its time
    "down: n += 1": "it ended its process",
    "down: n -= 2": None,
    "down: n -= 0": "it ended its process",
    "forked: return n - 1": "test_forked",
    "forked: return n + 2": "test_forked",
    "forked: return n + 0": "test_forked",
    "spawned: return n - 2": "test_spawned",
    "spawned: return n + 3": "test_spawned",
    "spawned: return n + 1": "test_spawned",
    "unseen: return n": None,
    ": LIMIT = 4": "test_check",
    ": LIMIT = 2": "test_check",
}
HELD = """
["small.py"]
tests = ["test_small.py"]

[["small.py".excused]]
mutants = ["down: n -= 2", "unseen: return n", "nowhere: pass"]
reason = "So it is."

[["small.py".excused]]
mutants = ["forked: return n + 2"]
reason = "It is not."
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of one module, with the tool's own files, which the copy runs."""
    root = tmp_path_factory.mktemp("project")
    files = {
        "pyproject.toml": '[tool.pytest.ini_options]\naddopts = "--import-mode=importlib"\n',
        "grader/__init__.py": "",
        "grader/judge/plugin.py": "",  # pytest is told of it by whoever installed the grader
        "grader/small.py": SMALL,
        "tests/test_small.py": TESTS,
        "tests/mutants/held.toml": HELD,
    }
    tool = Path(__file__).with_name("mutants")
    files |= {f"tests/mutants/{file.name}": file.read_text(encoding="utf-8") for file in tool.glob("*.py")}
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def copy(project: Path) -> Iterator[Copy]:
    with Copy(project, patience=1) as made:
        yield made


def files(root: Path) -> dict[str, bytes]:
    own = (path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(root)): path.read_bytes() for path in own if ".mutants" not in path.parts}


def test_the_lines_that_a_test_reaches_are_those_of_all_its_processes(copy: Copy) -> None:
    tests = copy.measure("tests/test_small.py")["tests"]
    lines = {name.partition("::")[2]: row["reached"].get("small.py") for name, row in tests.items()}
    place = {
        name: SMALL[: SMALL.index(name)].count("\n") + 1 for name in ("return sum", "n -=", "n + 1", "n + 2", "-n")
    }
    assert all(row["passed"] for row in tests.values())
    assert {name: [test for test in lines if place[name] in lines[test]] for name in place} == {
        "return sum": ["test_check"],
        "n -=": ["test_down"],
        "n + 1": ["test_forked"],
        "n + 2": ["test_spawned"],
        "-n": [],
    }


def test_every_mutant_has_its_fate(project: Path, copy: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    """One that never ends is killed, one on a line that no test reaches lives, and an excuse must be for one that lives."""
    before = files(project)
    (held,) = modules(project)
    tally = Trials(project, copy).judge(held)
    assert sorted(tally.killed) == sorted(name for name, test in FATES.items() if test)
    assert tally.alive == ["check: if len(values) > LIMIT"]
    assert sorted(tally.excused) == ["down: n -= 2", "unseen: return n"]
    assert tally.score == 22 / 23
    assert tally.wrong == [
        "'nowhere: pass' is excused, and there is no such mutant",
        "'forked: return n + 2' is excused, and tests/test_small.py::test_forked kills it",
    ]
    told = "grader/small.py:8: alive: check: if len(values) > LIMIT\n"
    assert capsys.readouterr().out == told
    assert files(project) == before, "what is changed is the copy"
    assert Trials(project, copy).judge(held, left=True) == tally
    assert capsys.readouterr().out == told, "what lived is run again"


def test_a_sample_is_the_same_in_the_same_week(project: Path, copy: Copy) -> None:
    (held,) = modules(project)
    some = {name for name in FATES if name.startswith(("forked", "spawned"))}
    held = Module(held.file, held.tests, dict.fromkeys(FATES.keys() - some, ""))
    one, again, other = (Trials(project, copy).sample(held, 2, week) for week in (1, 1, 2))
    assert one == again and len(one.killed) == 2
    assert {*one.killed, *other.killed} <= some
    assert one.killed != other.killed


def test_tests_that_fail_without_any_mutant_say_so(project: Path, tmp_path: Path, copy: Copy) -> None:
    (copy.root / "tests/test_red.py").write_text("def test_red():\n    assert False\n", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"red without any mutant: tests/test_red.py::test_red"):
        Trials(tmp_path, copy).judge(Module("small.py", ("tests/test_red.py",), {}))
    with pytest.raises(SystemExit, match="cannot be collected"):
        copy.open(["tests/test_nowhere.py"])


def test_an_interrupt_leaves_nothing(project: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Copy(project) as copy:
        copy.open(["tests/test_small.py"])
        runner = copy.runner
        assert runner is not None and runner.poll() is None
        raise KeyboardInterrupt
    assert not copy.root.exists() and runner.poll() is not None


def test_a_mutant_is_on_the_lines_of_its_statement_or_of_its_head() -> None:
    source = "def f(x):\n    if (\n        x > 1\n        and x\n    ):\n        x = (\n            1\n        )\n    return x\n"
    found = {each.name: each.lines for each in slips(source)}
    assert found["f: if x"] == range(2, 6)
    assert found["f: x = 2"] == range(6, 9)
    (loaded,) = {each.lines for each in slips("class A:\n    x = 1\n\ndef f(x=1):\n    pass\n")}
    assert not loaded


# Changed code in functions that are loaded already

LOADED = """
import functools

BOUND = 1

def plain(): return 1

@functools.cache
def cached(): return 1

class Thing:
    def method(self): return 1
    @property
    def value(self): return 1
    @staticmethod
    def static(): return 1
    class Inner:
        def deep(self): return 1

def outer():
    def inner(): return 1
    return inner()

def default(x=1): return x
"""


def loaded() -> types.ModuleType:
    module = types.ModuleType("loaded")
    exec(compile(LOADED, "loaded.py", "exec"), module.__dict__)
    return module


@pytest.mark.parametrize(
    "call",
    ["plain()", "cached()", "Thing().method()", "Thing().value", "Thing.static()", "Thing.Inner().deep()", "outer()"],
)
def test_a_loaded_function_does_what_its_changed_source_says(call: str) -> None:
    module = loaded()
    name = call.removesuffix("()").split(".")[-1].replace("outer", "inner")
    held = dict(module.__dict__)
    swap(module, LOADED, LOADED.replace(f"def {name}(): return 1", f"def {name}(): return 2").replace(
        f"def {name}(self): return 1", f"def {name}(self): return 2"
    ))  # fmt: skip
    assert eval(call, held) == 2
    others = {"plain()", "cached()", "Thing().method()", "outer()"} - {call}
    assert all(eval(other, held) == 1 for other in others)


@pytest.mark.parametrize("change", [("BOUND = 1", "BOUND = 2"), ("x=1", "x=2"), ("@functools.cache", "")])
def test_what_runs_when_a_module_is_loaded_cannot_be_swapped(change: tuple[str, str]) -> None:
    with pytest.raises(Unfit):
        swap(loaded(), LOADED, LOADED.replace(*change))


# The table


def test_the_table_has_a_row_for_each_module_that_is_held_in_their_order(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(f"Before.\n{table.BEGIN}| `gone.py` | 1 |\n{table.END}\nAfter.\n", encoding="utf-8")
    held = [Module(name, (), {}) for name in ("b.py", "a.py", "c.py")]
    table.write(page, held, Tally("a.py", killed=["x", "y"], excused=["z"]))
    table.write(page, held, Tally("b.py", killed=["x"], alive=["y"]))
    table.write(page, held, Tally("b.py", killed=["x", "y"], alive=["z"]))
    rows = ["| `b.py` | 3 | 2 | 0 | 1 | 66.7 % |", "| `a.py` | 3 | 2 | 1 | 0 | 100.0 % |"]
    assert page.read_text(encoding="utf-8").splitlines() == [
        "Before.", table.BEGIN.strip(), *table.HEAD, *rows, table.END, "After."
    ]  # fmt: skip


def test_what_is_held_is_there() -> None:
    project = Path(__file__).parents[1]
    named = {f"grader/{each.file}" for each in modules(project)} | {
        name for each in modules(project) for name in each.tests
    }
    assert named and not [name for name in named if not (project / name).is_file()]
    reasons = [reason for each in modules(project) for reason in each.excused.values()]
    assert all(reasons)
