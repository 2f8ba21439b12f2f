"""The benchmark, `make bench`: ratios from one run, so that a slow or noisy machine does not matter.

Every figure is measured against something on the same machine in the same minute: plain pytest, one process that does
the same imports, the same training step in process. The table is printed as Markdown for the README.
"""

from __future__ import annotations

import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grader.judge.proxies import RemoteFile
    from grader.judge.workers import ForkedWorkshop, Worker

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"

ROOT = Path(__file__).resolve().parents[2]
GRADE = [str(Path(sys.executable).with_name("grade"))]
PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--from", "reference"]
KATA = "04_lstm"

ROWS: list[tuple[str, str, str, str]] = []


def row(what: str, measured: float, unit: str, target: float) -> None:
    """Print one line, and keep it for the table."""
    verdict = "reached" if measured <= target else "not reached"
    ROWS.append((what, f"{measured:.2f} {unit}", f"<= {target:g} {unit}", verdict))
    print(f"{what:<72} {measured:8.2f} {unit:<3} target {target:g} {unit}: {verdict}", flush=True)


def seconds(command: list[str], **options: object) -> float:
    """The wall time of a whole process."""
    began = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False, **options)  # type: ignore[call-overload]
    if done.returncode not in (0, 1):
        raise SystemExit(f"{command} ended with {done.returncode}: {done.stderr.decode()[-2000:]}")
    return time.perf_counter() - began


def median(measure: Callable[[], float], times: int) -> float:
    """The median of some measurements."""
    return statistics.median(measure() for _ in range(times))


LSTM = b"""
import torch
from torch import nn

def add(a, b):
    return a + b

class Model(nn.Module):
    def __init__(self, inputs, hidden):
        super().__init__()
        self.x = nn.Linear(inputs, 4 * hidden)
        self.h = nn.Linear(hidden, 4 * hidden)
        self.out = nn.Linear(hidden, 2)

    def forward(self, x):
        h = c = x.new_zeros(x.shape[0], self.h.in_features)
        for t in range(x.shape[1]):
            i, f, g, o = (self.x(x[:, t]) + self.h(h)).chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
        return self.out(h)
"""


def workshop(locked: bool = True) -> tuple[ForkedWorkshop, socket.socket]:
    """A zygote of torch workers, forked from this process, and its control socket; unlocked ones never enter their jail."""
    from grader.judge.workers import ForkedWorkshop
    from grader.worker import jail, zygote

    control, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    zygote.warm("torch")
    zygote.warm_training()
    if os.fork() == 0:
        control.close()
        if not locked:
            jail.Jail.enter = lambda *limits: None  # type: ignore[method-assign,assignment]
        zygote.main(far, "torch")
    far.close()
    control.recv(1 << 16)  # the layers
    return ForkedWorkshop(control, min(os.sched_getaffinity(0))), control


def begin(shop: ForkedWorkshop) -> tuple[Worker, RemoteFile]:
    """A worker that has imported LSTM."""
    from grader.judge.bridge import Bridge
    from grader.judge.proxies import RemoteFile

    spec = {
        "source": LSTM,
        "filename": "m.py",
        "module": "m",
        "seed": 0,
        "threads": 1,
        "forbidden_imports": [],
        "forbidden_operators": [],
        "forbidden_jobs": [],
    }
    worker = shop.start(1 << 30, 60)
    bridge = Bridge(worker, "m.py", 60)
    return worker, RemoteFile(bridge, bridge.load(spec))


def protection() -> None:
    """The jail: workers of two zygotes in turn, one of which leaves its workers unlocked."""
    shops = [workshop(locked) for locked in (True, False)]
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # as a judge does

    def start(shop: ForkedWorkshop) -> float:
        began = time.perf_counter()
        worker, solution = begin(shop)
        solution.add(1, 2)
        took = time.perf_counter() - began
        worker.end()
        worker.peak()
        return took * 1e3

    pairs = [(start(shops[0][0]), start(shops[1][0])) for _ in range(60)][10:]
    row("what the jail costs a worker, from fork to first answer", statistics.median(a - b for a, b in pairs), "ms", 5)
    for _, control in shops:
        control.close()
    os.sched_setaffinity(0, range(os.cpu_count() or 1))


def bridge() -> None:
    """Workers, calls and training steps, measured in one process with a zygote of its own."""
    shop, control = workshop()
    import torch

    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # as a judge does

    def start() -> float:
        began = time.perf_counter()
        worker, solution = begin(shop)
        solution.add(1, 2)
        took = time.perf_counter() - began
        worker.end()
        worker.peak()
        return took * 1e3

    row("fork to a locked torch worker that answered its first call", median(start, 40), "ms", 30)
    worker, solution = begin(shop)
    x = torch.randn(8, 4)

    def call() -> float:
        began = time.perf_counter()
        solution.add(x, 1.0)
        return (time.perf_counter() - began) * 1e6

    median(call, 200)
    row("a small bridged call", median(call, 3000), "µs", 100)

    here: dict[str, object] = {"__name__": "m"}
    exec(compile(LSTM, "m.py", "exec"), here)

    def training(model: torch.nn.Module) -> Callable[[], float]:
        optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
        inputs, labels = torch.randn(16, 20, 4), torch.randint(0, 2, (16,))

        def step() -> float:
            began = time.perf_counter()
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(model(inputs), labels).backward()
            optimiser.step()
            return time.perf_counter() - began

        return step

    mine, bridged = training(here["Model"](4, 24)), training(solution.Model(4, 24))  # type: ignore[operator]
    pairs = [(bridged(), mine()) for _ in range(150)][20:]
    row(
        "a bridged training step of a small LSTM, of the step in process",
        statistics.median(a / b for a, b in pairs),
        "x",
        2,
    )
    worker.end()
    worker.peak()
    control.close()
    os.sched_setaffinity(0, range(os.cpu_count() or 1))


def ladder() -> None:
    """The ladder against one process that imports the same modules."""
    from grader.course import find
    from grader.engine.hold import Ladder, environment, wait
    from grader.session import Session
    from grader.store import Store

    course = find(ROOT)
    with tempfile.TemporaryDirectory() as folder:
        session = Session(course, Store(Path(folder), print))
        plan = reduce(or_, (task.plan for task in session.tasks(course.katas, ROOT / "reference")))
    modules = [
        "numpy",
        "torch",
        "torch._dynamo",
        "torch.optim",
        "pytest",
        "pytest_timeout",
        "msgspec",
        *sorted(plan.preload),
    ]
    code = "import " + ", ".join(modules) + ", torch.fx.experimental.symbolic_shapes"

    def start() -> float:
        began = time.perf_counter()
        one = Ladder(plan)
        wait(one)
        took = time.perf_counter() - began
        one.close()
        return took

    def imports() -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-I", "-c", code], check=True, env=environment())
        return time.perf_counter() - began

    imports()
    pairs = [(start(), imports()) for _ in range(3)]
    row(
        "the ladder, of one process that imports the same modules", statistics.median(a / b for a, b in pairs), "x", 1.2
    )


def katas() -> None:
    """Whole runs against plain pytest, which isolates nothing."""
    names = sorted(path.parent.name for path in ROOT.glob("katas/*/kata.toml"))
    everything = [*GRADE, "run", "--from", "reference", "--report", "json"]
    with tempfile.TemporaryDirectory() as folder:
        card = Path(folder, "card.json")

        def graded() -> float:
            return seconds([*GRADE, "run", "--from", "reference", "--fresh", "-j", "2", "--report", f"json={card}"])

        def one_each() -> float:
            began = time.perf_counter()
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(lambda name: seconds([*PYTEST, f"katas/{name}"]), names))
            return time.perf_counter() - began

        seconds([*PYTEST, "katas"])
        triples = [(graded(), seconds([*PYTEST, "katas"]), one_each()) for _ in range(3)]
        bar = 0.7 if len(names) >= 20 else 1.0
        share = statistics.median(a / b for a, b, _ in triples)
        row(f"all {len(names)} katas, nothing stored, two jobs, of plain pytest in one process", share, "x", bar)
        row(
            "the same, of one plain pytest per kata, two at a time",
            statistics.median(a / c for a, _, c in triples),
            "x",
            0.2,
        )
        import json

        scorecard = json.loads(card.read_text())
        bodies = sum(test["seconds"] for kata in scorecard["katas"] for test in kata["tests"])
        print(
            f"  the wall was {scorecard['seconds']:.2f} s; test bodies {bodies:.2f} s on two jobs: "
            f"{100 * (1 - bodies / 2 / scorecard['seconds']):.0f}% of the wall is not test bodies"
        )
    seconds(everything)
    row("nothing changed: the whole process", median(lambda: seconds(everything), 5), "s", 0.3)

    def one_kata() -> float:
        return seconds([*GRADE, "run", KATA, "--from", "reference", "--fresh"])

    cold = [(one_kata(), seconds([*PYTEST, f"katas/{KATA}"])) for _ in range(3)]
    row("one kata changed, ladder cold, of plain pytest on it", statistics.median(a / b for a, b in cold), "x", 1.0)
    plain = statistics.median(b for _, b in cold)
    row("one kata changed, ladder warm, of plain pytest on it", median(warm(), 5) / plain, "x", 0.15)


def warm() -> Callable[[], float]:
    """One kata in a session whose ladder stands."""
    from grader.course import find
    from grader.session import Session
    from grader.store import Store

    course = find(ROOT)
    session = Session(course, Store(Path(tempfile.mkdtemp()), print), jobs=2)
    session.grade(course.select([KATA]), ROOT / "reference", fresh=True)

    def once() -> float:
        began = time.perf_counter()
        session.grade(course.select([KATA]), ROOT / "reference", fresh=True)
        return time.perf_counter() - began

    return once


def watch() -> None:
    """`grade watch`, from the write of a file to the painted line."""
    from watching import measure

    measure(row)


def shared() -> None:
    """A whole `grade` on one kata, that starts a ladder, and that gets its judges from another command's."""
    from contextlib import closing

    from grader.engine.keeper import Keeper
    from grader.engine.shared import offered

    asked = [*GRADE, "run", KATA, "--from", "reference", "--fresh"]
    colds, warms = [], []
    for _ in range(5):  # in turn: no other work of the machine is one's alone
        colds.append(seconds(asked))
        with closing(Keeper()) as keeper, offered(keeper, ROOT):
            seconds(asked)  # the holder's ladder is started by the first who asks
            warms.append(seconds(asked))
    print(f"  cold {statistics.median(colds):.2f} s, on a shared ladder {statistics.median(warms):.2f} s")
    share = statistics.median(warm / cold for warm, cold in zip(warms, colds, strict=True))
    row("one kata changed, on a ladder that another command shares, of a ladder of its own", share, "x", 0.6)


if __name__ == "__main__":
    parts = {part.__name__: part for part in (bridge, protection, ladder, katas, shared, watch)}
    for name in sys.argv[1:] or parts:
        parts[name]()
    print(
        f"\n{os.cpu_count()} cores, {platform.processor() or platform.machine()}, Linux {platform.release()}, "
        f"Python {platform.python_version()}\n"
    )
    print("| what | measured | target | |\n|---|---|---|---|")
    for entry in ROWS:
        print("| " + " | ".join(entry) + " |")
