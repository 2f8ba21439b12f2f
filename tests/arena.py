"""Where hostile files are judged: a course with planted canaries, the real command in an outer limit, seven invariants.

A case is a folder of `tests/escapes/`: `expect.toml`, and the file that is handed in (`scale.py` or `line.py`), or a `case.py` that
makes it (`prepare(arena)`) or looks at more than the invariants do (`check(arena, outcome)`). In what is handed in,
`@ROOT@` stands for the arena's folder: the attacker is told where everything is.
"""

from __future__ import annotations

import ast
import ctypes
import json
import math
import os
import re
import resource
import secrets
import shutil
import signal
import subprocess
import sys
import sysconfig
import tomllib
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

CASES = Path(__file__).parent / "escapes"
TOY = Path(__file__).parent / "toy"
COURSE = Path(__file__).parents[1]
GRADE = str(Path(sys.executable).with_name("grade"))
PLACES = ("reference", "suite", "environment", "neighbour", "home")
NEIGHBOUR = "99_neighbour"
OUTER_SECONDS = 100
# Of each process: 24 GiB of addresses (torch takes ten), 100 s of processor, files of 1 GiB. The inner limits come first.
# One at a time, for dash takes no more; and without them nothing is run.
OUTER = f'ulimit -v {24 << 20} && ulimit -t {OUTER_SECONDS} && ulimit -f {1 << 21} && exec "$@"'
_LEFT_BEHIND = ("/tmp", "/var/tmp", "/dev/shm", "/", sysconfig.get_paths()["purelib"])


@dataclass(frozen=True)
class Case:
    """One row of the table: what is tried, and what must come of it."""

    id: str
    title: str
    kind: str
    kata: str = "01_scale"
    verdict: str = "fail"
    says: tuple[str, ...] = ()  # must occur in the scorecard, and
    silent: tuple[str, ...] = ()  # must not
    seconds: float = 5.0
    memory_mb: int = 256
    arguments: tuple[str, ...] = ()
    tests: tuple[tuple[str, str], ...] = ()
    environment: tuple[tuple[str, str], ...] = ()

    @classmethod
    def read(cls, folder: Path) -> Case:
        """The case of a folder. A key that means nothing is an error."""
        document = tomllib.loads((folder / "expect.toml").read_text(encoding="utf-8"))
        for name in ("tests", "environment"):
            document[name] = tuple(document.get(name, {}).items())
        for name in ("says", "silent", "arguments"):
            document[name] = tuple(document.get(name, ()))
        return cls(id=folder.name, kind=document.pop("class"), **document)

    @property
    def slug(self) -> str:
        return self.kata.partition("_")[2]

    @property
    def file(self) -> Path:
        """What is handed in, where no script makes it."""
        return CASES / self.id / f"{self.slug}.py"

    @cached_property
    def script(self) -> ModuleType | None:
        """The case's own `case.py`."""
        path = CASES / self.id / "case.py"
        if not path.exists():
            return None
        module = ModuleType(f"escape_{self.id}")
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
        return module


@dataclass(frozen=True)
class Outcome:
    """What a run said, in every way in which it says it."""

    code: int
    seconds: float  # of processor time, of all its processes
    stdout: str
    stderr: str
    card: dict[str, Any]
    junit: str
    left: list[str]  # processes
    changed: list[str]  # files

    def kata(self, id: str) -> dict[str, Any]:
        return next(kata for kata in self.card["katas"] if kata["id"] == id)

    def everything(self) -> str:
        return "\n".join((self.stdout, self.stderr, json.dumps(self.card, ensure_ascii=False), self.junit))


class Arena:
    """A folder that holds all that a run could betray or spoil: course, home, neighbour's submission."""

    def __init__(self, root: Path, course: Path = TOY) -> None:
        self.root = root
        self.canaries = {place: f"canary-{place}-{secrets.token_hex(16)}" for place in PLACES}
        self.environment: dict[str, str] = {}
        self.arguments: tuple[str, ...] = ()
        self.outer_seconds = OUTER_SECONDS  # twice what a run may take, and what one process can
        self.volatile: set[Path] = set()  # what a case changes itself while the run goes on
        self.course, self.handed_in, self.home = root / "course", root / "handed-in", root / "home"
        for folder in ("katas", "reference"):
            ignored = shutil.ignore_patterns("__pycache__", ".grade")
            shutil.copytree(course / folder, self.course / folder, ignore=ignored)
        for folder in (root / "tmp", self.home / ".ssh", self.home / ".config/systemd/user"):
            folder.mkdir(parents=True)
        for file in (".ssh/id_ed25519", ".bash_history", ".bashrc"):
            self.home.joinpath(file).write_text(f"# {self.canaries['home']}\n", encoding="utf-8")
        self.copy_kata("01_scale", NEIGHBOUR)
        for folder, place in (("katas", "suite"), ("reference", "reference")):
            for path in self.course.glob(f"{folder}/*/*.py"):
                with path.open("a", encoding="utf-8") as file:
                    file.write(f'\n_SECRET = "{self.canaries[place]}"\n')
        right = (TOY / "reference/01_scale/scale.py").read_text(encoding="utf-8")
        self.neighbour = self.handed_in / NEIGHBOUR / "neighbour.py"
        self.neighbour.parent.mkdir(parents=True)
        self.neighbour.write_text(f'{right}\n_MINE = "{self.canaries["neighbour"]}"\n', encoding="utf-8")

    def copy_kata(self, old: str, new: str) -> None:
        """Give the course another kata that is like one of the toy course."""
        number, _, slug = new.partition("_")
        old_slug = old.partition("_")[2]
        for folder in ("katas", "reference"):
            shutil.copytree(
                TOY / folder / old, self.course / folder / new, ignore=shutil.ignore_patterns("__pycache__")
            )
            for path in list((self.course / folder / new).glob("*.py")):
                path.rename(path.with_name(path.name.replace(old_slug, slug)))
        manifest = self.course / "katas" / new / "kata.toml"
        text = manifest.read_text(encoding="utf-8").replace(f'id = "{old}"', f'id = "{new}"')
        manifest.write_text(re.sub(r"(?m)^number = .*$", f"number = {int(number)}", text), encoding="utf-8")

    def admit(self, case: Case, kata: str = "") -> None:
        """Put the submission of a case where it is handed in, on its own kata or on a copy of it."""
        kata = kata or case.kata
        if kata != case.kata:
            self.copy_kata(case.kata, kata)
        self._limit(kata, seconds=case.seconds, memory_mb=case.memory_mb)
        self._target(kata).parent.mkdir(exist_ok=True)
        if case.file.exists():
            self._hand_in(kata, case.file.read_bytes())
        self.environment |= dict(case.environment)
        self.arguments += case.arguments
        if case.script and hasattr(case.script, "prepare"):
            case.script.prepare(self)

    def disguise(self, case: Case, kata: str) -> None:
        """Hand in the file of a case on another kata: whatever its suite calls, the case's own function answers."""
        stub = self.course / "katas" / kata / f"{kata.partition('_')[2]}.py"
        entries = (ast.FunctionDef, ast.ClassDef)
        names = [node.name for node in ast.parse(stub.read_bytes()).body if isinstance(node, entries)]
        content = case.file.read_bytes()
        with suppress(SyntaxError, ValueError):
            own = {node.name for node in ast.parse(content).body if isinstance(node, ast.FunctionDef)}
            attack = next((name for name in ("scale", "predict", "halves", "fit") if name in own), "print")
            content += f"""
def _answer(*arguments, _attack={attack}, **named):
    wanted = _attack.__code__.co_argcount if hasattr(_attack, "__code__") else 1
    return _attack(*(*arguments, *named.values(), None, None, None)[:wanted])

{" = ".join(names)} = _answer
""".encode()
        self._limit(kata, seconds=1.0)
        self._hand_in(kata, content)

    def _limit(self, kata: str, **limits: float) -> None:
        manifest = self.course / "katas" / kata / "kata.toml"
        text = manifest.read_text(encoding="utf-8")
        for name, value in limits.items():
            text = re.sub(rf"(?m)^{name} = .*$", f"{name} = {value}", text)
        manifest.write_text(text, encoding="utf-8")

    def _target(self, kata: str) -> Path:
        return self.handed_in / kata / f"{kata.partition('_')[2]}.py"

    def _hand_in(self, kata: str, content: bytes) -> None:
        target = self._target(kata)
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(content.replace(b"@ROOT@", str(self.root).encode()))

    def grade(self, *katas: str, **environment: str) -> Outcome:
        """Run the command over these katas and the neighbour's, and look at what it left."""
        reports = self.root / "out"
        reports.mkdir(exist_ok=True)
        command = [
            GRADE,
            "run",
            *katas,
            NEIGHBOUR,
            "--from",
            str(self.handed_in),
            "--fresh",
            "-j",
            "1",
            *self.arguments,
        ]
        command += [
            "--report",
            "terminal",
            "--report",
            f"json={reports}/card.json",
            "--report",
            f"junit={reports}/card.xml",
        ]
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "TMPDIR": str(self.root / "tmp"),
            "COLUMNS": "100",
            "GRADKATA_SECRET": self.canaries["environment"],
            "AWS_SECRET_ACCESS_KEY": self.canaries["environment"],
            **self.environment,
            **environment,
        }
        adopt_orphans()
        files, processes, before = self._files(), descendants(), _spent()
        said = [(reports / name).open("w+", encoding="utf-8", errors="replace") for name in ("stdout", "stderr")]
        process = subprocess.Popen(
            ["sh", "-c", OUTER, "sh", *command],
            cwd=self.course, stdin=subprocess.DEVNULL, stdout=said[0], stderr=said[1], env=env, start_new_session=True,
        )  # fmt: skip
        left: list[str] = []
        try:
            code = process.wait()  # how long that may take on the wall is the test's own deadline
            left = [name for pid, name in descendants().items() if pid not in processes]
        finally:
            for pid in descendants().keys() - processes.keys():
                os.kill(pid, signal.SIGKILL)
            reap(processes)
        seconds = _spent() - before
        texts = []
        for file in said:
            file.seek(0)
            texts.append(file.read(4 << 20))
            file.close()
        written = {name: reports / name for name in ("card.json", "card.xml")}
        card = json.loads(written["card.json"].read_text(encoding="utf-8")) if written["card.json"].exists() else {}
        junit = written["card.xml"].read_text(encoding="utf-8") if written["card.xml"].exists() else ""
        changed = sorted(f"{path}" for path, _ in set(files.items()) ^ set(self._files().items()))
        return Outcome(code, seconds, *texts, card, junit, left, changed)

    def _files(self) -> dict[str, Any]:
        """What each file holds that the run could spoil, and the marked ones that it could leave elsewhere."""
        found: dict[str, Any] = {}
        for folder, folders, names in os.walk(self.root):
            folders[:] = [name for name in folders if name not in (".grade", "out")]
            for name in (*folders, *names):
                path = Path(folder, name)
                if path in self.volatile:
                    continue
                status = path.lstat()
                small = path.is_file() and not path.is_symlink() and status.st_size < 1 << 20
                found[str(path)] = path.read_bytes() if small else (status.st_mode, status.st_size)
        for folder in _LEFT_BEHIND:
            for entry in os.scandir(folder):
                if entry.name.startswith("escaped-"):
                    found[entry.path] = entry.stat(follow_symlinks=False).st_mtime_ns
                elif entry.name.endswith(".pth"):
                    found[entry.path] = Path(entry.path).read_bytes()
        return found


def broken_invariants(arena: Arena, outcome: Outcome, lost: frozenset[int] = frozenset()) -> list[str]:
    """Every departure from the invariants of the table's head, but for those that a missing layer loses."""
    card, found = outcome.card, []
    if not card:
        return [f"2: the run wrote no scorecard: code {outcome.code}, {outcome.stderr[-1000:]}"]
    tests = {kata["id"]: kata["tests"] for kata in card["katas"]}
    for kata in card["katas"]:
        passed = [test for test in kata["tests"] if test["verdict"] == "pass"]
        if not same(kata["points"], *(test["points"] for test in kata["tests"])) or any(
            t["points"] for t in kata["tests"] if t not in passed
        ):
            found.append("1: points without a pass")
        manifest = tomllib.loads((arena.course / "katas" / kata["id"] / "kata.toml").read_text(encoding="utf-8"))
        complete = len(kata["tests"]) == manifest["tests"]
        if (kata["verdict"] == "pass") != (complete and len(passed) == len(kata["tests"])):
            found.append("1: a kata's verdict is not that of its tests")
        if not complete and (kata["verdict"] not in ("error", "internal") or kata["points"]):
            found.append(f"6: {len(kata['tests'])} verdicts, the manifest says {manifest['tests']}")
    if outcome.seconds > arena.outer_seconds / 2:
        found.append(f"2: the run took {outcome.seconds:.0f} s of processor time")
    if len(outcome.everything()) > 2_000_000:
        found.append(f"2: {len(outcome.everything())} characters of reports")
    if outcome.kata(NEIGHBOUR)["verdict"] != "pass":
        found.append(f"3: the neighbour's verdict is {outcome.kata(NEIGHBOUR)['verdict']}")
    found += [
        f"4: the canary of {place} is in a report"
        for place, text in arena.canaries.items()
        if text in outcome.everything()
    ]
    found += [f"5: a process is left: {name}" for name in outcome.left]
    found += [f"5: a file changed: {name}" for name in outcome.changed]
    found += [f"6: {line}" for line in _disagreements(outcome, tests)]
    switched_off = arena.environment.get("GRADKATA_TEST_WITHOUT", "").split(",")
    for layer in ("landlock", "seccomp", "rlimits", "namespaces"):
        if layer not in card["sandbox"] or (layer in switched_off) != (
            f"{layer} off (switched off for a test)" in card["sandbox"]
        ):
            found.append(f"7: the report does not say how it stands with {layer}: {card['sandbox']}")
    if f"sandbox: {card['sandbox']}" not in " ".join(outcome.stdout.split()):
        found.append("7: the terminal says nothing about the sandbox, or something else")
    return [each for each in found if int(each[0]) not in lost]


def _disagreements(outcome: Outcome, tests: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Where exit code, terminal, JUnit and JSON tell different stories."""
    verdicts = {kata["verdict"] for kata in outcome.card["katas"]}
    code = 3 if "internal" in verdicts else int(verdicts != {"pass"})
    found = [] if outcome.code == code else [f"exit code {outcome.code}, by the JSON {code}"]
    words = {"todo": "to do", "internal": "our fault", "not_run": "not run"}
    suites = {suite.get("name"): suite for suite in ElementTree.fromstring(outcome.junit)}
    for kata in outcome.card["katas"]:
        rows = re.findall(rf"(?m)^\S \w[\w ]* +{kata['id']} .*/.*$", outcome.stdout)
        word = re.escape(words.get(kata["verdict"], kata["verdict"]))
        row = re.compile(rf"\S {word} +{kata['id']} .*?([\d.]+)/([\d.]+) +[\d.]+ s")
        shown = row.fullmatch(rows[0]) if len(rows) == 1 else None
        if not shown or not shows(shown[1], kata["points"]) or not shows(shown[2], kata["max"]):
            found.append(f"the terminal has another line for {kata['id']} than the JSON")
        passed = sum(
            all(case.find(tag) is None for tag in ("failure", "error", "skipped"))
            for case in suites[kata["id"]].iter("testcase")
        )
        if passed != sum(test["verdict"] == "pass" for test in tests[kata["id"]]):
            found.append(f"JUnit has {passed} passes for {kata['id']}")
    score = outcome.card["score"]
    total = re.findall(r"(?m)^([\d.]+) of ([\d.]+) points", outcome.stdout)
    if len(total) != 1 or not shows(total[0][0], score["points"]) or not shows(total[0][1], score["max"]):
        found.append("the terminal has another total")
    return found


def same(whole: float, *parts: float) -> bool:
    """Whether the parts make the whole, but for the last digits: a third of a point has no end."""
    return math.isclose(whole, math.fsum(parts), abs_tol=1e-9)


def shows(text: str, points: float) -> bool:
    """Whether a report's text stands for so many points: to hundredths, and never rounded up."""
    return 0 <= points + 1e-6 - float(text) < 0.01


def _spent() -> float:
    """Processor seconds of all descendants that have ended and were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def adopt_orphans() -> None:
    """Whatever a run leaves becomes a child of this process, where it is seen."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def descendants() -> dict[int, str]:
    """The living processes below this one, with their names."""
    parents: dict[int, tuple[int, str]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                head, _, rest = Path("/proc", entry, "stat").read_text(errors="replace").rpartition(") ")
            except OSError:
                continue  # it ended meanwhile
            state, parent = rest.split()[:2]
            if state not in "ZX":
                parents[int(entry)] = int(parent), head.partition("(")[2]
    below, found = {os.getpid()}, {}
    while grown := {pid: name for pid, (parent, name) in parents.items() if parent in below and pid not in below}:
        below |= grown.keys()
        found |= grown
    return found


def reap(known: dict[int, str]) -> None:
    """Wait for adopted children that ended; those of other tests are theirs."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    for pid in map(int, children):
        if pid not in known:
            os.waitpid(pid, os.WNOHANG)
