"""Imports run downward only: every arrow of the grader is read from its source, and none of them may run up."""

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from grader.engine import key

ROOT = Path(__file__).parents[1]

FLOORS = {
    **dict.fromkeys(["cli"], 8),
    **dict.fromkeys(["authoring", "autograder", "classroom", "notebook", "watch"], 7),
    **dict.fromkeys(["kept", "session"], 6),
    **dict.fromkeys(["engine", "study"], 5),
    **dict.fromkeys(["judge", "reports", "standing", "solved", "copies", "nudges", "moving"], 4),
    **dict.fromkeys(["checks", "scorecard", "store", "diagnosis", "stub"], 3),
    **dict.fromkeys(["worker", "course", "kata", "settings", "formats", "submission"], 2),
    **dict.fromkeys(
        [
            "wire",
            "limits",
            "messages",
            "forkserver",
            "modulestate",
            "absent",
            "given",
            "todo",
            "errors",
            "schema",
            "seeds",
            "machine",
            "workerkinds",
            "seeding",
            "writing",
        ],
        1,
    ),
    "": 0,  # grader/__init__.py
}
# Straight down inside a floor: a submission is for a kata of a course, the store keeps what a scorecard is made of, and
# copies are among what is moved.
STAIRS = {
    ("authoring", "autograder"),
    ("submission", "course"),
    ("submission", "kata"),
    ("course", "kata"),
    ("course", "settings"),
    ("kata", "settings"),
    ("kata", "formats"),
    ("settings", "formats"),
    ("store", "scorecard"),
    ("diagnosis", "scorecard"),
    ("moving", "copies"),
}
FOUNDATION = {
    "limits",
    "errors",
    "messages",
    "machine",
}  # what the files of floor 1 may stand on, beside their own folder
JUDGING = {"wire", "worker", "checks", "judge", "scorecard"}
COLD = {
    "cli",
    "engine",
    "session",
    "course",
    "kata",
    "settings",
    "formats",
    "submission",
    "scorecard",
    "store",
    "diagnosis",
    "reports",
    "stub",
    "study",
    "watch",
    "authoring",
}
HEAVY = {"torch", "numpy", "scipy", "sklearn"}  # the last two import numpy
TYPES_ONLY = {"TYPE_CHECKING", "typing.TYPE_CHECKING"}

Sources = Mapping[str, str]  # path in the repository -> text


@dataclass(frozen=True)
class Arrow:
    """One import. `when` is "start" (as the file is imported), "call" (inside a function) or "types" (for hints)."""

    path: str
    line: int
    source: str
    target: str
    when: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line} imports {self.target}"


def module_of(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def unit(module: str) -> str:
    """What stands on a floor: the file or folder right inside grader/."""
    return [*module.split("."), ""][1]


def arrows(sources: Sources) -> list[Arrow]:
    modules = {module_of(path) for path in sources}
    found = []
    for path, text in sources.items():
        source = module_of(path)
        for when, node in _imports(ast.parse(text), "start"):
            for target in _targets(node, source, path.endswith("__init__.py"), modules):
                found.append(Arrow(path, node.lineno, source, target, when))
    return found


def _imports(node: ast.AST, when: str) -> Iterator[tuple[str, ast.Import | ast.ImportFrom]]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield when, node
        return
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        when = "call"
    for_types = node.body if isinstance(node, ast.If) and ast.unparse(node.test) in TYPES_ONLY else []
    for child in ast.iter_child_nodes(node):
        yield from _imports(child, "types" if child in for_types else when)


def _targets(node: ast.Import | ast.ImportFrom, source: str, package: bool, modules: set[str]) -> list[str]:
    """The modules that are named: `from grader import kata` names grader.kata, `from grader.kata import Kata` too."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    base = source.split(".")
    above = base[: len(base) - node.level + package] if node.level else []
    start = ".".join([*above, *([node.module] if node.module else [])])
    return sorted({name if (name := f"{start}.{alias.name}") in modules else start for alias in node.names})


def faults(sources: Sources) -> list[str]:
    """Every arrow that a rule forbids, in words."""
    homeless = sorted({unit(module_of(path)) for path in sources} - set(FLOORS))
    if homeless:
        return [f"grader/{name} stands on no floor: give it one in FLOORS" for name in homeless]
    found = arrows(sources)
    inside = [arrow for arrow in found if arrow.target.split(".")[0] == "grader"]
    return [*up(inside), *judge_and_worker(inside), *verdicts(inside), *warm_starts(found), *circles(inside)]


def up(inside: list[Arrow]) -> Iterator[str]:
    for arrow in inside:
        here, there = unit(arrow.source), unit(arrow.target)
        if there not in FLOORS:
            yield f"{arrow}, which stands on no floor"
        elif FLOORS[there] > FLOORS[here]:
            yield f"{arrow}: up from floor {FLOORS[here]} to {FLOORS[there]}"
        elif FLOORS[there] == FLOORS[here] and not _straight_down(here, there):
            yield f"{arrow}: sideways on floor {FLOORS[here]}"


def _straight_down(here: str, there: str) -> bool:
    return here == there or (here, there) in STAIRS or (FLOORS[here] == 1 and there in FOUNDATION)


def judge_and_worker(inside: list[Arrow]) -> Iterator[str]:
    """The judge starts a worker by name: not a line of the worker's is ever in the judge's process."""
    edges = _edges(arrow for arrow in inside if arrow.when != "types")
    for source in sorted(source for source in edges if unit(source) == "judge"):
        for target, chain in _reached(source, edges).items():
            if unit(target) == "worker":
                yield f"the judge must not import the worker: {chain}"


def verdicts(inside: list[Arrow]) -> Iterator[str]:
    """What judges stands on nothing of which the stored verdicts are said to be independent."""
    edges = _edges(arrow for arrow in inside if arrow.when != "types")
    showing = {name.removesuffix(".py") for name in key.SHOWING}
    for source in sorted(source for source in edges if unit(source) in JUDGING):
        for target, chain in _reached(source, edges).items():
            if unit(target) in showing:
                yield f"a verdict would depend on what grader/engine/key.py leaves out: {chain}"


def warm_starts(found: list[Arrow]) -> Iterator[str]:
    """The command, and all that it starts with, answers before numpy and torch could be imported."""
    edges = _edges(arrow for arrow in found if arrow.when == "start")
    for source in sorted(source for source in edges if source.startswith("grader.") and unit(source) in COLD):
        for target, chain in _reached(source, edges).items():
            if target.split(".")[0] in HEAVY:
                yield f"{target} is imported before it is needed: {chain}"


def circles(inside: list[Arrow]) -> Iterator[str]:
    try:
        TopologicalSorter(_edges((arrow for arrow in inside if arrow.when != "types"), parents=False)).prepare()
    except CycleError as error:
        yield "a circle: " + " > ".join(reversed(error.args[1]))


def _edges(chosen: Iterator[Arrow], *, parents: bool = True) -> dict[str, set[str]]:
    """What each module imports; with `parents`, importing grader.judge.run counts as importing grader.judge as well."""
    edges: dict[str, set[str]] = {}
    for arrow in chosen:
        parts = arrow.target.split(".")
        names = {".".join(parts[:count]) for count in range(1, len(parts))} if parents else set()
        edges.setdefault(arrow.source, set()).update(names | {arrow.target})
    return edges


def _reached(source: str, edges: Mapping[str, set[str]]) -> dict[str, str]:
    """Everything that importing `source` imports, each with the shortest chain to it."""
    chains = {source: source}
    queue = [source]
    for module in queue:
        for target in sorted(edges.get(module, set()) - set(chains)):
            chains[target] = f"{chains[module]} > {target}"
            queue.append(target)
    return chains


def house() -> dict[str, str]:
    files = sorted((ROOT / "grader").rglob("*.py"))
    return {file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8") for file in files}


def test_no_arrow_of_the_grader_is_forbidden() -> None:
    sources = house()
    assert {"grader/wire/frame.py", "grader/worker/serve.py", "grader/judge/bridge.py"} <= set(sources)
    assert faults(sources) == []


def test_the_cold_floors_are_cold_in_a_real_interpreter() -> None:
    cold = [module for path in house() if unit(module := module_of(path)) in COLD and not module.endswith("__main__")]
    program = f"import sys, {', '.join(cold)}; print(sorted({HEAVY!r} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


BITES = {
    "up": ({"grader/kata.py": "import grader.cli"}, "grader/kata.py:1 imports grader.cli: up from floor 2 to 8"),
    "up, for types": (
        {"grader/wire/frame.py": "if TYPE_CHECKING:\n    from grader.judge.bridge import Bridge"},
        "grader/wire/frame.py:2 imports grader.judge.bridge: up from floor 1 to 4",
    ),
    "up, inside a function": (
        {"grader/checks/close.py": "def f():\n    from grader import judge", "grader/judge/__init__.py": ""},
        "grader/checks/close.py:2 imports grader.judge: up from floor 3 to 4",
    ),
    "up, relatively": (
        {"grader/judge/run.py": "from .. import cli", "grader/cli/__init__.py": ""},
        "grader/judge/run.py:1 imports grader.cli: up from floor 4 to 8",
    ),
    "up, out of a package's __init__": (
        {"grader/judge/__init__.py": "from ..cli import main", "grader/cli/__init__.py": ""},
        "grader/judge/__init__.py:1 imports grader.cli: up from floor 4 to 8",
    ),
    "sideways": (
        {"grader/reports/json.py": "from grader.judge import run"},
        "grader/reports/json.py:1 imports grader.judge: sideways on floor 4",
    ),
    "up the stairs of floor 2": (
        {"grader/kata.py": "from grader.course import Course"},
        "grader/kata.py:1 imports grader.course: sideways on floor 2",
    ),
    "the worker reads a manifest": (
        {"grader/worker/serve.py": "from grader.kata import Kata"},
        "grader/worker/serve.py:1 imports grader.kata: sideways on floor 2",
    ),
    "floor 1 leans on floor 1": (
        {"grader/forkserver.py": "from grader.wire import Frame"},
        "grader/forkserver.py:1 imports grader.wire: sideways on floor 1",
    ),
    "the judge holds a worker": (
        {"grader/judge/run.py": "def f():\n    import grader.worker.serve"},
        "the judge must not import the worker: grader.judge.run > grader.worker",
    ),
    "the judge holds a worker through another floor": (
        {"grader/judge/run.py": "import grader.store", "grader/store.py": "from grader.worker import zygote"},
        "the judge must not import the worker: grader.judge.run > grader.store > grader.worker",
    ),
    "the judge leans on what only shows": (
        {"grader/judge/run.py": "import grader.nudges", "grader/nudges.py": ""},
        "a verdict would depend on what grader/engine/key.py leaves out: grader.judge.run > grader.nudges",
    ),
    "torch in the command": (
        {"grader/cli/run.py": "try:\n    import torch.nn\nexcept ImportError: ..."},
        "torch is imported before it is needed: grader.cli.run > torch",
    ),
    "torch where types are not checked": (
        {"grader/store/__init__.py": "if not TYPE_CHECKING:\n    import torch"},
        "torch is imported before it is needed: grader.store > torch",
    ),
    "numpy in a class body": (
        {"grader/scorecard/records.py": "class A:\n    from numpy import array"},
        "numpy is imported before it is needed: grader.scorecard.records > numpy",
    ),
    "torch behind a package": (
        {
            "grader/cli/run.py": "from grader.judge.job import Job",
            "grader/judge/__init__.py": "from grader.judge.autograd import attach",
            "grader/judge/autograd.py": "import torch",
            "grader/judge/job.py": "",
        },
        "torch is imported before it is needed: grader.cli.run > grader.judge > grader.judge.autograd > torch",
    ),
    "a circle": (
        {"grader/judge/a.py": "from grader.judge import b", "grader/judge/b.py": "def f():\n    import grader.judge.a"},
        "a circle: grader.judge.a > grader.judge.b > grader.judge.a",
    ),
    "a file on no floor": ({"grader/utils.py": ""}, "grader/utils stands on no floor: give it one in FLOORS"),
    "an import on no floor": (
        {"grader/kata.py": "import grader.utils"},
        "grader/kata.py:1 imports grader.utils, which stands on no floor",
    ),
}


@pytest.mark.parametrize(("sources", "fault"), BITES.values(), ids=BITES)
def test_a_forbidden_arrow_is_seen(sources: dict[str, str], fault: str) -> None:
    assert fault in faults(sources)


def test_what_is_allowed_is_left_alone() -> None:
    assert not faults(
        {
            "grader/__init__.py": "__version__ = '0'",
            "grader/wire/__init__.py": "from grader.wire.frame import Frame\nfrom grader.limits import X",
            "grader/wire/frame.py": "from grader.errors import Fault",
            "grader/kata.py": "from grader import __version__\nfrom grader.schema import faults",
            "grader/course.py": "from grader import kata\nfrom grader.kata import Kata",
            "grader/submission.py": "from grader.course import Course\nfrom grader.kata import Kata",
            "grader/worker/jail/__init__.py": "from . import rlimits\nfrom ..serve import Server",
            "grader/worker/jail/rlimits.py": "from .syscalls import prctl\nimport torch",
            "grader/judge/bridge.py": "import torch\ndef f():\n    from grader.judge.autograd import attach",
            "grader/judge/autograd.py": "if TYPE_CHECKING:\n    from grader.judge.bridge import Bridge",
            "grader/cli/__init__.py": "from grader.course import find\ndef f():\n    import torch, grader.judge.bridge",
            "grader/cli/doctor.py": "if TYPE_CHECKING:\n    import numpy\ndef f():\n    import grader.worker.jail",
        }
    )
