"""Judges of other machines, by dask: the one file that imports `distributed`, which the extra `cluster` brings.

Each slot of each worker judges one content at a time, on a ladder of its own, with the grader that is installed there. The
course is sent once to each worker, by its digest; what is asked and answered is JSON and bytes. Nothing is kept there:
whoever asked writes the journal. A worker that dies costs nobody a verdict: what it had in hand is judged elsewhere; what
was in hand when three died is named. A scheduler that dies is waited for, and asked again for whatever was in hand.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from distributed import Client, Future, Security, WorkerPlugin
from distributed.scheduler import KilledWorker

from grader.classroom import snapshot
from grader.classroom.hands import Bench, Finding, Local, Work
from grader.classroom.journal import Job
from grader.course import Course
from grader.engine.sandbox import Sandbox, weakest
from grader.errors import UsageFault
from grader.messages import Message, Value, text
from grader.scorecard import KataResult, Verdict, reject_kata
from grader.seeds import Secret

PATIENCE = 600  # seconds in which a scheduler or a first worker has to be there
DEATHS = 3  # of workers that had a content in hand, before it is named
_TRY = 10  # seconds of one attempt to reach them
_LOOK = 0.5  # seconds between two looks at whether the run is to stop


class Asked(msgspec.Struct, frozen=True):
    """One content to judge, as it travels. A source of None asks for the sandbox only."""

    course: str  # digest
    katas: tuple[str, ...]
    seed: str
    kata: str = ""
    sha256: str = ""
    source: bytes | None = None


class Answer(msgspec.Struct, frozen=True):
    """What came of it. fault: why this worker cannot judge at all; strange: nobody brought it the course, since its
    scheduler is another one than that which was asked to."""

    text: str = ""
    layers: tuple[str, ...] = ()
    complete: bool = False
    result: KataResult | None = None
    fault: Message | None = None
    strange: bool = False


# What runs in a worker.

_courses: dict[str, Course] = {}  # by digest, as the plugin unpacked them
_own = threading.local()  # a slot is a thread, with judges of its own


class Bring(WorkerPlugin):  # type: ignore[misc]
    """Brings the course to a worker, once, also to one that comes later."""

    def __init__(self, packed: bytes, digest: str) -> None:
        self.name = f"gradkata-{digest}"
        self._packed, self._digest = packed, digest

    def setup(self, worker: Any) -> None:
        self._stack = ExitStack()
        folder = Path(worker.local_directory, self.name)
        _courses[self._digest] = self._stack.enter_context(snapshot.unpacked(self._packed, folder))

    def teardown(self, worker: Any) -> None:
        _courses.pop(self._digest, None)
        self._stack.close()


def judge(asked: bytes) -> bytes:
    """One content, judged on this machine."""
    return msgspec.json.encode(_answer(msgspec.json.decode(asked, type=Asked)))


def _answer(wanted: Asked) -> Answer:
    key = (wanted.course, wanted.katas, wanted.seed)
    if getattr(_own, "key", None) != key:
        if (held := getattr(_own, "hands", None)) is not None:
            held.close()
        course = _courses.get(wanted.course)
        if course is None:
            return Answer(strange=True)
        katas = course.select(wanted.katas)
        if snapshot.digest(snapshot.facts(course, katas)) != wanted.course:
            return Answer(fault=text("its grader, Python or libraries are other ones, and verdicts may depend on them"))
        _own.hands = Local(Bench(course, katas, Secret(wanted.seed)), 1)
        _own.sandbox = _own.hands.ready()
        _own.key = key
    sandbox: Sandbox = _own.sandbox
    told = Answer(sandbox.text, tuple(sorted(sandbox.layers)), sandbox.complete)
    if wanted.source is None:
        return told
    (finding,) = _own.hands.judge(iter([Work((wanted.kata, wanted.sha256), wanted.source)]))
    return Answer(told.text, tuple(sorted(finding.layers)), told.complete, finding.result)


def _deaths(dask_scheduler: Any) -> None:
    """How often a worker may die with a task in hand before the scheduler gives the task up."""
    dask_scheduler.allowed_failures = DEATHS - 1


# What runs here.


@dataclass
class Cluster:
    """The workers of a scheduler, as those who judge. tls: files of the authority, of the client's certificate and its key."""

    bench: Bench
    packed: bytes
    address: str
    tls: Sequence[Path] = ()
    tell: Callable[[Message], None] = lambda said: None
    _client: Client | None = field(default=None, init=False)
    _stopped: threading.Event = field(default_factory=threading.Event, init=False)

    def __post_init__(self) -> None:
        katas = tuple(self.bench.katas)
        self._digest = snapshot.digest(snapshot.facts(self.bench.course, list(self.bench.katas.values())))
        self._asked = Asked(self._digest, katas, self.bench.seed.digits)

    def ready(self) -> Sandbox:
        """The weakest of all that there are now; one that comes later with less ends the run."""
        client = self._connected()
        rungs = []
        for worker in client.scheduler_info(n_workers=-1)["workers"]:
            asked = client.submit(judge, msgspec.json.encode(self._asked), workers=[worker], pure=False)
            try:
                answer = msgspec.json.decode(asked.result(), type=Answer)
            except Exception as error:  # of any kind: it was raised elsewhere
                raise _cannot(worker, f"{type(error).__name__}: {error}") from None
            if answer.fault is not None:
                raise _cannot(worker, answer.fault)
            rungs.append({"text": answer.text, "layers": answer.layers, "complete": answer.complete, "refused": {}})
        return Sandbox(weakest(rungs))

    def judge(self, work: Iterator[Work]) -> Iterator[Finding]:
        going: dict[Job, Work] = {}
        asked: dict[Job, Future] = {}  # but for what is to be asked for again
        errors: Counter[Job] = Counter()
        ended: queue.SimpleQueue[tuple[Job, Future]] = queue.SimpleQueue()

        def ask() -> None:
            client = self._connected()
            slots = max(1, sum(client.nthreads().values()))
            while len(going) < slots and (following := next(work, None)) is not None:
                going[following.job] = following
            for job in [job for job in going if job not in asked]:
                each = msgspec.structs.replace(self._asked, kata=job[0], sha256=job[1], source=going[job].source)
                asked[job] = client.submit(judge, msgspec.json.encode(each), pure=False)
                asked[job].add_done_callback(lambda done, job=job: ended.put((job, done)))

        while not self._stopped.is_set():
            try:
                ask()
                if not going:
                    return
                job, future = ended.get(timeout=_LOOK)
                if asked.get(job) is not future:  # it was asked for again since
                    continue
                finding = self._heard(job, future, errors)
            except queue.Empty:
                continue
            except OSError:  # of this end of the line: what a worker raises comes as a future's
                finding, job = None, ("", "")
            if finding is not None:
                del going[job], asked[job]
                yield finding
            elif job in asked and asked[job].status == "error":
                del asked[job]
            else:
                self._lose()
                asked.clear()

    def _heard(self, job: Job, future: Future, errors: Counter[Job]) -> Finding | None:
        """What a future came to; None where it is to be asked for again, since the scheduler or something there failed."""
        if future.status == "error":
            errors[job] += 1
            error = future.exception()
            if isinstance(error, KilledWorker):
                why = text("it was in hand when {count} workers died, one after another", count=DEATHS)
            elif errors[job] < DEATHS:
                return None
            else:
                why = text("a worker failed: {error}", error=f"{type(error).__name__}: {error}")
            result = reject_kata(self.bench.katas[job[0]], Verdict.INTERNAL, [why], sha256=job[1])
            return Finding(job, result, frozenset())
        if future.status != "finished":
            return None
        answer = msgspec.json.decode(future.result(), type=Answer)
        if answer.fault is not None:
            raise _cannot("", answer.fault)
        if answer.strange:
            return None
        assert answer.result is not None
        return Finding(job, answer.result, frozenset(answer.layers))

    def stop(self) -> None:
        self._stopped.set()

    def close(self) -> None:
        self._lose()

    def _lose(self) -> None:
        if self._client is not None:
            with suppress(Exception):  # whatever is left of a connection
                self._client.close(timeout=2)
        self._client = None

    def _connected(self) -> Client:
        """The client, with the course at the workers. Raises UsageFault where nobody answers in time, or it is to stop."""
        if self._client is not None:
            return self._client
        self.tell(text("waiting for the scheduler at {address}, and a worker", address=self.address))
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self._client = Client(self.address, security=self._security(), timeout=_TRY, set_as_default=False)
                with suppress(Exception):  # a scheduler without the grader keeps the number that it has
                    self._client.run_on_scheduler(_deaths)
                self._client.register_plugin(Bring(self.packed, self._digest))
                self._client.wait_for_workers(1, timeout=_TRY)
                return self._client
            except OSError as error:  # a timeout is one, too
                self._lose()
                if self._stopped.is_set() or time.monotonic() > deadline:
                    raise UsageFault(
                        text("nobody answers at {address}: {reason}", address=self.address, reason=str(error)),
                        text("start it with `dask scheduler` and `dask worker`; what was judged is kept"),
                    ) from None

    def _security(self) -> Security | None:
        if not self.tls:
            return None
        authority, certificate, key = map(str, self.tls)
        return Security(tls_ca_file=authority, tls_client_cert=certificate, tls_client_key=key, require_encryption=True)


def _cannot(worker: str, fault: Value) -> UsageFault:
    return UsageFault(
        text("worker {worker} cannot judge: {fault}", worker=worker, fault=fault),
        text("give every worker the same grader, Python and libraries as here"),
    )
