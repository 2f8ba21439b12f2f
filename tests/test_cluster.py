"""A class judged by a real scheduler and two real workers, over TLS; one of them and the scheduler are killed on the way."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from distributed import Client, Security
from distributed.scheduler import KilledWorker

from grader.classroom.cluster import Cluster
from grader.classroom.hands import Bench, Finding
from grader.classroom.journal import Journal
from grader.classroom.run import Listener, Run, Wanted
from grader.course import Course
from grader.scorecard import Verdict
from grader.seeds import draw

DASK = str(Path(sys.executable).with_name("dask"))
RIGHT = (Path(__file__).parent / "toy/reference/01_scale/scale.py").read_text()
WRONG = "\n\ndef scale(x, factor):\n    return x\n"
FILES = 6


class Farm:
    """A scheduler and workers as processes, each the leader of its own group."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made = 0
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.address = f"tls://127.0.0.1:{self._port}"
        self.tls = self._certificate()
        authority, certificate, key = map(str, self.tls)
        self._security = ["--tls-ca-file", authority, "--tls-cert", certificate, "--tls-key", key]
        self.workers: list[subprocess.Popen[bytes]] = []
        self.start()

    def start(self) -> None:
        self.scheduler = self._run("scheduler", "--protocol", "tls", "--host", "127.0.0.1", "--port", str(self._port))

    def work(self) -> None:
        """One more worker, with one slot."""
        place = ["--local-directory", str(self._folder), "--nthreads", "1", "--no-nanny", "--host", "127.0.0.1"]
        self.workers.append(self._run("worker", self.address, *place))

    def deaths(self) -> int:
        """How many workers may die with a task in hand before the scheduler gives it up, less one."""
        authority, certificate, key = map(str, self.tls)
        security = Security(tls_ca_file=authority, tls_client_cert=certificate, tls_client_key=key)
        with Client(self.address, security=security, set_as_default=False) as client:
            cloudpickle.register_pickle_by_value(sys.modules[__name__])  # nobody there knows of this file
            found: int = client.run_on_scheduler(allowed)
            cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
        return found

    def close(self) -> None:
        for process in (self.scheduler, *self.workers):
            kill(process)

    def _run(self, *command: str) -> subprocess.Popen[bytes]:
        self._made += 1
        with open(self._folder / f"{self._made}.log", "wb") as log:
            whole = [DASK, *command, *self._security, "--no-dashboard"]
            return subprocess.Popen(whole, stdout=log, stderr=log, start_new_session=True)

    def _certificate(self) -> tuple[Path, Path, Path]:
        key, certificate = self._folder / "key.pem", self._folder / "certificate.pem"
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"]
        files = ["-keyout", str(key), "-out", str(certificate), "-addext", "subjectAltName=IP:127.0.0.1"]
        subprocess.run([*command, *files], check=True, capture_output=True)
        return certificate, certificate, key


def allowed(dask_scheduler: Any) -> int:
    found: int = dask_scheduler.allowed_failures
    return found


def kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    (tmp_path / "farm").mkdir()
    with closing(Farm(tmp_path / "farm")) as made:
        made.work()
        made.work()
        yield made


class Killing(Listener):
    """Kills a worker after the first result, and the scheduler after the third; then all are started again."""

    def __init__(self, farm: Farm) -> None:
        self._farm = farm
        self.count = 0

    def judged(self, finding: Finding, students: int) -> None:
        self.count += 1
        if self.count == 1:
            kill(self._farm.workers[0])
        if self.count == 3:
            kill(self._farm.scheduler)
            for worker in self._farm.workers:
                kill(worker)
            self._farm.start()
            self._farm.work()


def test_whoever_dies_on_the_way_every_file_has_its_verdict(farm: Farm, toy: Course, tmp_path: Path) -> None:
    for number in range(FILES):
        (tmp_path / f"in/s{number}").mkdir(parents=True)
        text = RIGHT + (WRONG if number % 2 else "") + f"# {number}\n"
        (tmp_path / f"in/s{number}/scale.py").write_text(text)
    wanted = Wanted(toy, toy.select(["scale"]), tmp_path / "in", tmp_path / "out")
    listener = Killing(farm)
    outcome = Run(wanted, listener, lambda bench, packed: Cluster(bench, packed, farm.address, farm.tls)).go()
    assert (outcome.judged, outcome.left, outcome.faults) == (FILES, 0, {})
    with closing(Journal.read(tmp_path / "out")) as journal:
        assert journal.facts().complete
        found = [journal.rows(f"s{number}")[0].result for number in range(FILES)]
    assert farm.deaths() == 2
    verdicts = [result.verdict for result in found if result is not None]
    assert verdicts == [Verdict.PASS, Verdict.FAIL] * (FILES // 2)


class Failed:
    """A future of a task that ended in an error where it ran."""

    status = "error"

    def __init__(self, error: Exception) -> None:
        self._error = error

    def exception(self) -> Exception:
        return self._error


JOB = ("01_scale", "digest")


def test_what_was_in_hand_when_three_workers_died_is_named_and_no_verdict(toy: Course) -> None:
    cluster = Cluster(Bench(toy, toy.katas, draw()), b"", "tcp://nowhere")
    finding = cluster._heard(JOB, Failed(KilledWorker("task", None, 2)), Counter())
    assert finding is not None
    assert (finding.result.verdict, finding.result.points) == (Verdict.INTERNAL, 0)
    assert "3 workers died" in finding.result.message


def test_what_fails_elsewhere_is_tried_three_times_and_then_named(toy: Course) -> None:
    cluster, errors = Cluster(Bench(toy, toy.katas, draw()), b"", "tcp://nowhere"), Counter[tuple[str, str]]()
    found = [cluster._heard(JOB, Failed(OSError("no space left")), errors) for _ in range(3)]
    assert found[:2] == [None, None]
    assert found[2] is not None and found[2].result.verdict is Verdict.INTERNAL
    assert "no space left" in found[2].result.message
