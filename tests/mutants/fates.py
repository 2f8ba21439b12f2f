"""What became of the mutants of one module: the tests that reach a line are run, the nearest first, until one fails."""

from __future__ import annotations

import hashlib
import json
import random
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .copy import Copy
from .slips import Slip, slips


@dataclass(frozen=True)
class Module:
    """A module of the package, the files that hold tests of it, and the reasons of its excused mutants."""

    file: str
    tests: tuple[str, ...]
    excused: dict[str, str]


@dataclass
class Tally:
    """The mutants of one module by what became of them."""

    file: str
    killed: list[str] = field(default_factory=list)
    excused: list[str] = field(default_factory=list)
    alive: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)  # excuses that excuse nothing

    @property
    def score(self) -> float:
        """The share of the mutants, the excused left out, that a test kills."""
        return len(self.killed) / (len(self.killed) + len(self.alive)) if self.killed or self.alive else 1.0


def modules(project: Path) -> list[Module]:
    """What is held, in its order in `held.toml`."""
    rows = tomllib.loads((project / "tests/mutants/held.toml").read_text(encoding="utf-8"))
    return [
        Module(
            file,
            tuple(f"tests/{name}" for name in row["tests"]),
            {name: each["reason"] for each in row.get("excused", ()) for name in each["mutants"]},
        )
        for file, row in rows.items()
    ]


class Trials:
    """Runs mutants in a copy of a project. What it learns of its tests is kept in `.mutants/` until they change."""

    def __init__(self, project: Path, copy: Copy) -> None:
        self._project, self._copy = project, copy
        self._cache = project / ".mutants"

    def judge(self, module: Module, left: bool = False) -> Tally:
        """All mutants of a module; with `left`, what was killed the last time counts so. What is wrong is told at once."""
        reached = self._reached(module)
        known = self._known("killers", module.file)
        found = slips((self._project / "grader" / module.file).read_text(encoding="utf-8"))
        orders = {slip.name: _order(slip, known.get(slip.name), module, reached) for slip in found}
        killers = {slip.name: known[slip.name] for slip in found if left and slip.name in known}
        for slip, killer in self._killers(module, [slip for slip in found if slip.name not in killers], orders):
            if killer:
                killers[slip.name] = killer
            self._keep("killers", module.file, known | killers)
        self._keep("killers", module.file, killers)
        return _tally(module, found, killers)

    def sample(self, module: Module, size: int, seed: int) -> Tally:
        """A few mutants of a module, against all its tests: to see which of them matter would take longer."""
        found = slips((self._project / "grader" / module.file).read_text(encoding="utf-8"))
        found = [slip for slip in found if slip.name not in module.excused]
        found = random.Random(seed).sample(found, min(size, len(found)))
        killers = {slip.name: killer for slip, killer in self._killers(module, found, {}) if killer}
        return _tally(Module(module.file, module.tests, {}), found, killers)

    def _killers(
        self, module: Module, found: Sequence[Slip], orders: Mapping[str, dict[str, float]]
    ) -> Iterator[tuple[Slip, str | None]]:
        """Each mutant, and the test that fails on it, or how else it shows; None where nothing does."""
        name = f"grader/{module.file}"
        dotted = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        source = (self._project / name).read_text(encoding="utf-8")
        self._copy.open(module.tests)
        for slip in found:
            self._copy.write(name, slip.text)
            answer = self._copy.run(orders.get(slip.name), (dotted, source, slip.text))
            self._copy.write(name, source)
            failed = [test for test, ended in answer.get("tests", {}).items() if not ended["passed"]]
            if not failed and not answer.get("passed"):
                failed = [answer.get("died", "its tests cannot be collected")]
            if not failed and slip.name not in module.excused:
                print(f"{name}:{slip.line}: alive: {slip.name}", flush=True)
            yield slip, next(iter(failed), None)

    def _reached(self, module: Module) -> dict[str, dict[str, Any]]:
        """By test, how long it takes and which lines of the module it reaches; measured where a test has changed."""
        found: dict[str, dict[str, Any]] = {}
        for file in module.tests:
            key, known = self._key(file), self._known("reached", file)
            if known.get("key") != key:
                known = {"key": key, "tests": self._measured(file)}
                self._keep("reached", file, known)
            for test, row in known["tests"].items():
                found[test] = {"seconds": row["seconds"], "lines": set(row["reached"].get(module.file, ()))}
        return found

    def _measured(self, file: str) -> dict[str, Any]:
        tests = self._copy.measure(file).get("tests", {})
        red = [name for name, row in tests.items() if not row["passed"]]
        if red:  # as it may for being slow: the lines are watched
            self._copy.open([file])
            again = self._copy.run({name: tests[name]["seconds"] for name in red}).get("tests", {})
            red = [name for name in red if not again.get(name, {}).get("passed")]
        if red or not tests:
            raise SystemExit(f"red without any mutant: {', '.join(red) or file}\n{self._copy.log()}")
        return tests  # type: ignore[no-any-return]

    def _key(self, file: str) -> str:
        """What a measurement depends on."""
        digest = hashlib.sha256()
        for path in sorted([*self._project.glob("grader/**/*.py"), *self._project.glob("tests/*.py")]):
            if not path.name.startswith("test_") or path == self._project / file:
                digest.update(path.read_bytes())
        return digest.hexdigest()

    def _known(self, what: str, name: str) -> dict[str, Any]:
        path = self._cache / what / f"{name}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def _keep(self, what: str, name: str, value: dict[str, Any]) -> None:
        path = self._cache / what / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value), encoding="utf-8")


def _order(slip: Slip, killer: str | None, module: Module, reached: dict[str, dict[str, Any]]) -> dict[str, float]:
    """The tests to run and their seconds: what killed it last, then file by file the quick ones first.

    For lines that are run when the module is loaded, and for those that no test is seen to reach, that is all tests.
    """
    near = {test for test, row in reached.items() if not row["lines"].isdisjoint(slip.lines)} or set(reached)
    files = {file: place for place, file in enumerate(module.tests)}
    chosen = sorted(near, key=lambda test: (test != killer, files[test.partition("::")[0]], reached[test]["seconds"]))
    return {test: reached[test]["seconds"] for test in chosen}


def _tally(module: Module, found: Sequence[Slip], killers: Mapping[str, str]) -> Tally:
    tally, names = Tally(module.file), [slip.name for slip in found]
    for name in names:
        (tally.killed if name in killers else tally.excused if name in module.excused else tally.alive).append(name)
    for name in module.excused:
        if name not in names:
            tally.wrong.append(f"{name!r} is excused, and there is no such mutant")
        elif name in killers:
            tally.wrong.append(f"{name!r} is excused, and {killers[name]} kills it")
    return tally
