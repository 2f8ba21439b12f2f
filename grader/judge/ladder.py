"""The ladder: a chain of processes that does each import once, and forks workers and judges from its rungs.

    start -> numpy -> [zygote of numpy workers] -> torch -> [zygote of torch workers] -> scikit-learn -> [zygote
    of sklearn workers] -> pytest and oracles -> zygote of judges

Run by name in an isolated interpreter with an environment of its own: `python -I -m grader.judge.ladder CONTROL LIFE`.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import socket
import sys
import time
from typing import Any, NoReturn

from grader import forkserver, machine
from grader.workerkinds import up_to

_WORKER = "grader.worker.zygote"
_NAMESPACES = "grader.worker.jail.namespaces"


def main(control: socket.socket, life: socket.socket) -> NoReturn:
    """Climb the ladder as far as the plan asks, report, and serve judges until the control socket closes.

    Where `life` closes, all of it is ended at once.
    """
    forkserver.die_with(life)
    began = time.perf_counter()
    plan = json.loads(control.recv(1 << 16))
    namespaces = importlib.import_module(_NAMESPACES).enter_tree()
    # With namespaces the parent is their guard, which has one thread, and not the command.
    forkserver.harden(with_parent=namespaces.on)
    rungs: dict[str, _Rung] = {}
    worker = importlib.import_module(_WORKER)
    training = plan["training"]
    for kind in up_to(*plan["workers"]):
        worker.warm(kind.name)
        if kind.torch and training:
            worker.warm_training()
            training = False
        if kind.name in plan["workers"]:
            rungs[kind.name] = _Rung(worker, kind.name, namespaces, control)
    if training:  # of suites whose learners are without torch
        worker.warm_training()
    warm_judge(plan["preload"])
    sandbox = {kind: rung.describe() for kind, rung in rungs.items()}
    control.send(json.dumps({"sandbox": sandbox, "seconds": time.perf_counter() - began}).encode())
    controls = {kind: rung.control for kind, rung in rungs.items()}
    forkserver.serve(
        control,
        lambda document, descriptors: _judge(descriptors[0], controls),
        at_end=lambda: _end(rungs),
    )


def _end(rungs: dict[str, _Rung]) -> None:
    for rung in rungs.values():
        rung.end()


class _Rung:
    """A zygote of workers, forked from the ladder where it stands."""

    def __init__(self, worker: Any, kind: str, namespaces: Any, ladder_control: socket.socket) -> None:
        self.control, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._pid = os.fork()
        if self._pid == 0:
            forkserver.harden()
            ladder_control.close()
            worker.main(far, kind, namespaces)
        far.close()

    def describe(self) -> dict[str, Any]:
        """Which layers the zygote's workers will be in."""
        said = self.control.recv(1 << 16)
        if not said:
            raise RuntimeError("a zygote of workers did not start")
        layers: dict[str, Any] = json.loads(said)
        return layers

    def end(self) -> None:
        """Hang up, so that the zygote kills its workers and ends; wait for that."""
        self.control.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)


def warm_judge(preload: list[str]) -> None:
    """Import what every judge needs, and what the suites will import; run one empty pytest session."""
    import pytest
    import pytest_timeout  # type: ignore[import-untyped]  # noqa: F401  # it ships no types

    import grader.judge.judging
    import grader.judge.plugin

    sys.dont_write_bytecode = True
    for name in preload:
        with contextlib.suppress(Exception):  # a suite that imports what is not there will say so itself
            importlib.import_module(name)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
        import grader.judge.autograd
        import grader.judge.modules  # noqa: F401
    with open(os.devnull, "w") as null, contextlib.redirect_stdout(null):
        pytest.main(
            [
                "--version",
                "--noconftest",
                "-p",
                "grader.judge.plugin",
                "-p",
                "pytest_timeout",
                "--config-file=/dev/null",
            ]
        )


def _judge(line: int, controls: dict[str, socket.socket]) -> None:
    """One judge: a fork of this process that reads its job, judges, and ends."""
    from grader.judge.workers import ForkedWorkshop

    forkserver.close_all_but([line, *(control.fileno() for control in controls.values())])
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(null, descriptor)
    serve_one(socket.socket(fileno=line), lambda job: ForkedWorkshop(controls[job.worker], job.processor))


def serve_one(line: socket.socket, workshop: Any) -> None:
    """Read one job, judge it, and say so."""
    from grader.judge import job as jobs
    from grader.judge.judging import judge

    job = jobs.receive_job(line)
    if job.processor is not None:
        os.sched_setaffinity(0, {job.processor})
    tests = judge(job, workshop(job), lambda event: jobs.send(line, event))
    jobs.send(line, jobs.Done(tests))


def alone(arguments: list[str]) -> NoReturn:
    """A judge without a ladder, where fork is not to be had: `python -I -m grader.judge.ladder alone LINE LIFE PLAN`."""
    from grader.judge.workers import FreshWorkshop

    life = socket.socket(fileno=int(arguments[1]))  # held, for where it closes
    forkserver.die_with(life)
    plan = json.loads(arguments[2])
    if plan["training"]:
        importlib.import_module(_WORKER).warm_training()
    warm_judge(plan["preload"])
    os.dup2(os.open(os.devnull, os.O_RDWR), 1)
    serve_one(socket.socket(fileno=int(arguments[0])), lambda job: FreshWorkshop(job.worker, plan["training"]))
    os._exit(0)


if __name__ == "__main__":
    try:
        if sys.argv[1] == "alone":
            alone(sys.argv[2:])
        main(*(socket.socket(fileno=int(number)) for number in sys.argv[1:]))
    except (OSError, MemoryError) as refused:
        sys.exit(str(machine.words(refused)))
