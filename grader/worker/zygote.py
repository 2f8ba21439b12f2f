"""Where workers come from: forked from a warm zygote, or, where fork is not to be had, started as a fresh process.

Either way a worker is given three descriptors (the channel to its judge, the pipe for what it prints, the pipe for
its stack), gives up everything else, enters the jail, and serves.
"""

from __future__ import annotations

import faulthandler
import io
import json
import os
import signal
import site
import socket
import sys
import sysconfig
from dataclasses import replace
from typing import Any, NoReturn

from grader import forkserver, machine
from grader.worker import jobs
from grader.worker.jail import Jail, Layer, Policy, prepare
from grader.worker.jail.probe import probe
from grader.worker.serve import Server
from grader.workerkinds import up_to

STACK_SIGNAL = getattr(signal, "SIGUSR1", None)


def main(control: socket.socket, kind: str, namespaces: Layer | None = None) -> NoReturn:
    """Say which layers hold, having tried them, and serve workers of one kind until the control socket closes.

    Called in a fork that has done its imports.
    """
    forkserver.close_all_but([control.fileno()])
    _forget_the_course()
    jail = prepare(Policy.of(kind), namespaces)
    control.send(json.dumps(_layers(jail)).encode())
    forkserver.serve(control, lambda document, descriptors: _worker(jail, document, descriptors))


def _layers(jail: Jail) -> dict[str, Any]:
    """Which layers hold, having tried them."""
    tried = probe(jail)
    return {
        "text": str(jail.layers),
        "layers": jail.layers.names if tried.holds or not jail.layers.complete else [],
        "complete": jail.layers.complete and tried.holds,
        "refused": tried.refused,
    }


def describe(arguments: list[str]) -> None:
    """Print which layers a worker would be in: `python -I -m grader.worker.fresh describe KIND`."""
    _forget_the_course()
    print(json.dumps(_layers(prepare(Policy.of(arguments[0])))))


def fresh(arguments: list[str]) -> NoReturn:
    """Become a single worker: `python -I -m grader.worker.fresh KIND DOCUMENT CHANNEL OUTPUT TRACE`."""
    kind = arguments[0]
    document = json.loads(arguments[1])
    warm(kind)
    if document["training"]:
        warm_training()
    _forget_the_course()
    jail = replace(prepare(Policy.of(kind)), parent=os.getppid())
    _worker(jail, document, [int(number) for number in arguments[2:]])
    os._exit(0)


def warm(kind: str) -> None:
    """Import what workers of this kind lean on, rung by rung, and find what katas forbid."""
    import logging
    import tempfile

    # A worker has nowhere to keep what matplotlib finds out about fonts, of which that would tell the learner each time.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)

    tempfile.tempdir = "/tmp"  # no worker can look for a folder that it may write to: there is none
    for each in up_to(kind):
        each.warm()
    jobs.survey()


def warm_training() -> None:
    """Import what the first step of an optimiser pulls in, so that no worker and no judge has to."""
    import torch._dynamo
    import torch.optim  # noqa: F401

    jobs.survey()


def _forget_the_course() -> None:
    """Leave only the interpreter's own folders on the path: an editable install puts the course itself there."""
    paths = {os.path.realpath(path) for path in (*sysconfig.get_paths().values(), *site.getsitepackages())}
    sys.path[:] = [path for path in sys.path if _below(os.path.realpath(path), paths)]


def _below(path: str, folders: set[str]) -> bool:
    return any(path == folder or path.startswith(folder + os.sep) for folder in folders) or path.endswith(".zip")


def _worker(jail: Jail, document: dict[str, Any], descriptors: list[int]) -> None:
    channel, output, trace = descriptors
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    forkserver.close_all_but([channel, trace, *([jail.ruleset] if jail.ruleset >= 0 else [])])
    sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False))
    sys.stdout = _text(1)
    sys.stderr = _text(2)
    faulthandler.enable(trace, all_threads=True)
    if STACK_SIGNAL is not None:
        faulthandler.register(STACK_SIGNAL, trace, all_threads=True)
    if document["processor"] is not None:
        os.sched_setaffinity(0, {document["processor"]})
    jail.enter(document["memory_bytes"], document["cpu_seconds"])
    if not machine.LINUX:
        forkserver.end_after(jail.parent)
    Server(socket.socket(fileno=channel)).run()


def _text(descriptor: int) -> io.TextIOWrapper:
    raw = io.BufferedWriter(io.FileIO(descriptor, "w", closefd=False))
    return io.TextIOWrapper(raw, "utf-8", "backslashreplace", line_buffering=True)
