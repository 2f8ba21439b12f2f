"""Both ways of running a suite, side by side: through the locked worker of `grade`, and in one process under plain pytest.

Every honest file has the same verdict both ways, test by test. Apart from that stand deadlines, locks, forbidden operators,
files beside the stub, and what a file keeps in its globals from test to test.

    python tests/ways.py [KATA...]    the reference, every variant, every mistake and every habit of each kata
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.authoring.proving import mistakes
from grader.course import Course, find
from grader.kata import Kata

ROOT = Path(__file__).resolve().parents[1]

# What honest people put into their files. `{...}` is a line among the imports; the rest of the file is right.
HABITS = {
    "arguments": "import argparse\nARGS = argparse.ArgumentParser().parse_args()",
    "default dtype": "import sys\nif 'torch' in sys.modules:\n    sys.modules['torch'].set_default_dtype(sys.modules['torch'].float64)",
    "numpy's errors": "import numpy\nnumpy.seterr(all='raise')",
    "seeds": "import random, numpy\nrandom.seed(1)\nnumpy.random.seed(1)",
    "no gradients": "import sys\nif 'torch' in sys.modules:\n    sys.modules['torch'].set_grad_enabled(False)",
    "print options": "import numpy\nnumpy.set_printoptions(precision=2)",
    "warnings": "import warnings\nwarnings.simplefilter('ignore')",
    "logging": "import logging\nlogging.basicConfig(level='INFO')\nlogging.info('hello')",
    "main guard": "if __name__ == '__main__':\n    raise SystemExit(1)",
    "own name": "import sys\nassert sys.modules[__name__].__dict__ is globals() and sys.argv[1:] == []",
    "dataclass": "from dataclasses import dataclass\n@dataclass\nclass Config:\n    rate: float = 0.1",
    "recursion limit": "import sys\nsys.setrecursionlimit(5000)",
    "one thread": "import sys\nif 'torch' in sys.modules:\n    sys.modules['torch'].set_num_threads(1)",
    "relative import": "from . import helpers",
    "not there": "import a_package_that_nobody_has",
}

Outcome = dict[str, str]  # verdict by test; plain pytest knows pass and fail only


@dataclass(frozen=True)
class Solution:
    """A file for one kata, right or wrong."""

    kata: Kata
    name: str
    source: str


def solutions(course: Course, kata: Kata) -> Iterator[Solution]:
    """The reference, every variant, every mistake, and the reference with each habit."""
    reference = course.reference(kata)
    text = reference.read_text(encoding="utf-8")
    yield Solution(kata, "reference", text)
    for variant in sorted((reference.parent / "variants").glob("*.py")):
        yield Solution(kata, f"variant {variant.stem}", variant.read_text(encoding="utf-8"))
    page = reference.parent / "mistakes.toml"
    edits = page.read_text(encoding="utf-8") if page.exists() else ""
    for mistake in mistakes.read(edits, page.name, text).mistakes:
        yield Solution(kata, f"mistake {mistake.id}", mistake.text)
    for name, lines in HABITS.items():
        yield Solution(kata, f"habit {name}", with_habit(text, lines))


def with_habit(source: str, lines: str) -> str:
    """The source with lines right before its first definition."""
    first = min(place for word in ("\ndef ", "\nclass ", "\n@") if (place := source.find(word)) >= 0)
    return f"{source[:first]}\n{lines}\n{source[first:]}"


def disagreements(course: Course, asked: Sequence[Solution]) -> list[str]:
    """Every test of every solution whose two verdicts differ, in a sentence each."""
    found = []
    for solution, locked in zip(asked, graded(course, asked), strict=True):
        plain = tested(course, solution)
        for test in sorted(locked.keys() | plain.keys()):
            ours, theirs = locked.get(test, "missing"), plain.get(test, "missing")
            if (ours == "pass") != (theirs == "pass"):
                found.append(f"{solution.kata.id}, {solution.name}, {test}: {ours} in grade, {theirs} in plain pytest")
    return found


def graded(course: Course, asked: Sequence[Solution]) -> list[Outcome]:
    """What `grade` says of each solution. One run grades a solution of every kata."""
    results: list[Outcome] = [{} for _ in asked]
    left = list(enumerate(asked))
    while left:
        round_of = {solution.kata.id: (place, solution) for place, solution in reversed(left)}
        with tempfile.TemporaryDirectory() as scratch:
            for kata, (_, solution) in round_of.items():
                Path(scratch, kata).mkdir()
                Path(scratch, kata, solution.kata.stub.name).write_text(solution.source, encoding="utf-8")
            report = Path(scratch, "scorecard.json")
            command = [
                sys.executable,
                "-c",
                "from grader.cli import main; main()",
                "run",
                *round_of,
                "--from",
                scratch,
                "--fresh",
            ]
            command += ["--course", str(course.root), "--report", f"json={report}"]
            done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd=ROOT)
            assert report.exists(), done.stderr
            for kata in json.loads(report.read_text())["katas"]:
                results[round_of[kata["id"]][0]] = {test["name"]: test["verdict"] for test in kata["tests"]}
        done_now = {place for place, _ in round_of.values()}
        left = [each for each in left if each[0] not in done_now]
    return results


def tested(course: Course, solution: Solution) -> Outcome:
    """What plain pytest says, in a fork of this process, which may have done its imports."""
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch, solution.kata.stub.name).write_text(solution.source, encoding="utf-8")
        out = Path(scratch, "outcome.json")
        child = os.fork()
        if child == 0:
            code = 1
            try:
                out.write_text(json.dumps(_pytest(course, solution.kata, scratch)), encoding="utf-8")
                code = 0
            finally:
                os._exit(code)
        os.waitpid(child, 0)
        outcome: Outcome = json.loads(out.read_text())
        return outcome


def _pytest(course: Course, kata: Kata, folder: str) -> Mapping[str, str]:
    import pytest

    class Outcomes:
        def __init__(self) -> None:
            self.found: Outcome = {}

        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            name = report.nodeid.rpartition("::")[2]
            if report.failed or name not in self.found:
                self.found[name] = "fail" if report.failed else "pass"

    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    suites = [kata.suite, *([kata.hidden] if kata.hidden else [])]
    config = f"--config-file={ROOT / 'pyproject.toml'}"
    outcomes = Outcomes()
    pytest.main([*map(str, suites), "--from", folder, "-q", config, f"--rootdir={course.root}"], plugins=[outcomes])
    return outcomes.found


def main() -> int:
    import sklearn.cluster  # noqa: F401
    import torch
    import torch._dynamo

    torch.set_num_threads(1)
    course = find(ROOT, ROOT)
    bad = count = 0
    for kata in course.select(sys.argv[1:]):
        asked = list(solutions(course, kata))
        for line in disagreements(course, asked):
            print(line, flush=True)
            bad += 1
        count += len(asked)
    print(f"{count} files, {bad} tests on which the two ways disagree")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
