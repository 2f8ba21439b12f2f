"""The jail: a locked worker can work, cannot escape, and dies without a trace."""

import json
import os
import platform
import runpy
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from grader.worker.jail.probe import ATTEMPTS

ROOT = Path(__file__).parents[1]
SCRIPT = Path(__file__).with_name("jail_tasks.py")  # what is done inside
ESCAPES, ALSO_REFUSED = (list(runpy.run_path(str(SCRIPT))[name]) for name in ("ESCAPES", "ALSO_REFUSED"))
X86 = platform.machine() == "x86_64"


class Zygote:
    """The other end."""

    def __init__(self, kind: str, folder: Path, without: str = "", user: int | None = None) -> None:
        self.folder = folder
        command = [sys.executable, str(SCRIPT), kind, str(folder), str(os.getuid() if user is None else user)]
        self.process = subprocess.Popen(
            command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(without)
        )

    @cached_property
    def hello(self) -> dict[str, Any]:
        """Its layers and its probe, told once before anything else."""
        return self._read()

    def run(self, task: str) -> dict[str, Any]:
        for file in self.folder.iterdir():
            file.unlink() if not file.is_dir() else file.rmdir()
        (self.folder / "victim").write_text("intact")
        assert self.hello and self.process.stdin
        print(task, file=self.process.stdin, flush=True)
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def untouched(self) -> bool:
        return [(f.name, f.read_text()) for f in self.folder.iterdir()] == [("victim", "intact")]


def environment(without: str = "") -> dict[str, str]:
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    return {**os.environ, **threads, "PYTHONPATH": str(ROOT), "GRADKATA_TEST_WITHOUT": without}


Start = Callable[..., Zygote]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """A zygote for the given arguments, started once."""
    running: dict[Any, Zygote] = {}
    with ExitStack() as stack:

        def get(kind: str, **options: Any) -> Zygote:
            key = (kind, *options.items())
            if key not in running:
                running[key] = Zygote(kind, tmp_path_factory.mktemp("jail"), **options)
                stack.enter_context(running[key].process)
            return running[key]

        yield get


# --- the tests --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("escape", [*ESCAPES, *ALSO_REFUSED])
def test_an_escape_is_refused_and_changes_nothing(start: Start, escape: str) -> None:
    zygote = start("numpy")
    assert zygote.run(escape).get("refused") in ("EPERM", "EACCES")
    assert zygote.untouched()


@pytest.mark.parametrize("escape", ESCAPES)
def test_it_is_the_jail_that_refuses(start: Start, escape: str) -> None:
    answer = start("numpy", without="landlock,seccomp,rlimits").run(escape)
    assert "value" in answer, answer


@pytest.mark.parametrize(
    "escape", ["create", "overwrite", "unlink", "mkdir", "chmod", "tcp", "fork", "signal its parent"]
)
def test_without_landlock_seccomp_still_refuses_to_change_anything(start: Start, escape: str) -> None:
    zygote = start("numpy", without="landlock")
    assert zygote.run(escape).get("refused") == "EPERM"
    assert zygote.untouched()


@pytest.mark.parametrize("escape", ["read a system file", "create", "unlink", "mkdir", "signal its parent"])
def test_without_seccomp_landlock_still_refuses(start: Start, escape: str) -> None:
    assert start("numpy", without="seccomp").run(escape).get("refused") in ("EPERM", "EACCES")


@pytest.mark.parametrize(
    ("task", "value"), [("numpy", 0.5), ("null", 1), ("random", 4), ("isatty", False), ("signal itself", None)]
)
def test_ordinary_things_work(start: Start, task: str, value: object) -> None:
    assert start("numpy").run(task).get("value", "refused") == value


def test_fifty_of_fifty_locked_children_train(start: Start) -> None:
    zygote = start("torch")
    assert [zygote.run("torch_work") for _ in range(50)] == [{"value": "learns", "code": 0, "core": False}] * 50


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_late_imports_work(start: Start, kind: str) -> None:
    assert start(kind).run("late_imports").get("value") == 1797


def test_a_numpy_worker_cannot_reach_torch(start: Start) -> None:
    assert start("numpy").run("import torch").get("refused") == "EACCES"
    assert start("numpy").run("read torch").get("refused") == "EACCES"
    assert start("torch").run("read torch") == {"value": None, "code": 0, "core": False}


def test_a_locked_worker_tells_its_stack(start: Start) -> None:
    assert "in stack_on_signal" in start("numpy").run("stack_on_signal")["value"]


def test_a_worker_leads_its_session_in_the_root_without_core_files(start: Start) -> None:
    assert start("numpy").run("state")["value"] == [True, "/", 0]


@pytest.mark.parametrize(
    ("task", "ends"),
    [
        ("crash", [-signal.SIGSEGV]),
        ("abort", [-signal.SIGABRT]),
        ("spin", [-signal.SIGXCPU]),
        # where there is no 32-bit door, the instruction itself faults
        *([("old_system_call", [-signal.SIGSYS, -signal.SIGSEGV])] if X86 else []),
    ],
)
def test_a_worker_dies_of_what_it_did_and_leaves_no_core(start: Start, task: str, ends: list[int]) -> None:
    answer = start("numpy").run(task)
    assert (answer["code"] in ends, answer["core"]) == (True, False)


def test_memory_is_refused_beyond_the_budget(start: Start) -> None:
    assert start("numpy").run("memory").get("raised") == "MemoryError"


def test_newer_and_x32_calls_look_unimplemented_so_that_libraries_fall_back(start: Start) -> None:
    assert start("numpy").run("newer calls")["value"] == ["ENOSYS"] * 3


def test_threads_are_counted_where_the_layers_say_so(start: Start) -> None:
    zygote = start("numpy", user=65534) if os.getuid() == 0 else start("numpy")
    counted = "rlimits(64 threads)" in zygote.hello["layers"]
    assert zygote.run("threads")["value"] == (64 if counted else 199)


def test_the_layers_are_told_and_the_probe_agrees(start: Start) -> None:
    hello = start("numpy").hello
    assert hello["layers"].startswith("sandbox: landlock(abi")
    assert (hello["complete"], hello["refused"]) == (True, dict.fromkeys(ATTEMPTS, True))


def test_a_layer_switched_off_is_told_and_the_probe_notices(start: Start) -> None:
    hello = start("numpy", without="landlock").hello
    assert "landlock off (switched off for a test)" in hello["layers"]
    assert (hello["complete"], hello["refused"]["open"], hello["refused"]["write"]) == (False, False, True)
    nothing = start("numpy", without="landlock,seccomp,rlimits").hello
    assert nothing["layers"].startswith("sandbox: none; landlock off")
    assert not any(refused for name, refused in nothing["refused"].items() if name != "limit")  # the machine's own
