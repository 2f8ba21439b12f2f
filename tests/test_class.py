"""A class run: what is planned, judged and kept, whatever ends it; who may run beside it; what a course's edit does to it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs, to_builtins

from grader.classroom import shards
from grader.classroom.hands import Bench, Finding, Work
from grader.classroom.journal import Journal
from grader.classroom.lock import alone
from grader.classroom.plan import Plan, Shard
from grader.classroom.records import State
from grader.classroom.run import Listener, Outcome, Run, Wanted
from grader.course import Course, find
from grader.engine.sandbox import LAYERS, Sandbox
from grader.errors import UsageFault
from grader.messages import text
from grader.scorecard import KataResult, Verdict, reject_kata
from grader.seeds import draw

ROOT = Path(__file__).parents[1]
TOY = ROOT / "tests/toy"
GRADE = str(Path(sys.executable).with_name("grade"))
SCALE = "01_scale"


def sandbox(layers: frozenset[str] = LAYERS) -> Sandbox:
    return Sandbox({"text": "of a test", "layers": sorted(layers), "complete": layers == LAYERS, "refused": {}})


class Stub:
    """Hands that look at no file: the verdict is in the first line of each, and judging takes no time."""

    def __init__(self, bench: Bench, layers: frozenset[str] = LAYERS) -> None:
        self._bench, self._layers, self._stopped = bench, layers, False
        self.asked: list[Work] = []

    def ready(self) -> Sandbox:
        return sandbox(self._layers)

    def judge(self, work: Iterator[Work]) -> Iterator[Finding]:
        for each in work:
            if self._stopped:
                return
            self.asked.append(each)
            word = each.source.split()[1].decode()
            verdict = Verdict(word) if word in set(Verdict) - {"pass"} else Verdict.FAIL
            result = reject_kata(self._bench.katas[each.job[0]], verdict, [text("of a test")], sha256=each.job[1])
            yield Finding(each.job, result, self._layers)

    def stop(self) -> None:
        self._stopped = True

    def close(self) -> None:
        pass


class Heard(Listener):
    """What a run told; `at` is called with the number of results after each."""

    def __init__(self, at: Callable[[int], None] = lambda count: None) -> None:
        self.plans: list[Plan] = []
        self.found: list[Finding] = []
        self._at = at

    def planned(self, plan: Plan) -> None:
        self.plans.append(plan)

    def judged(self, finding: Finding, students: int) -> None:
        self.found.append(finding)
        self._at(len(self.found))


@pytest.fixture
def course(tmp_path: Path) -> Course:
    """The toy course, to be edited."""
    root = tmp_path / "course"
    shutil.copytree(TOY, root, ignore=shutil.ignore_patterns("__pycache__", ".grade"))
    return find(root, root)


def hand_in(top: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(content)
    return top


@pytest.fixture
def wanted(tmp_path: Path, course: Course) -> Wanted:
    """Six students: two files are the same, one is a stub, one student has nothing."""
    files = {f"s{n}/scale.py": f"# fail {n}\n" for n in range(4)}
    files |= {"s4/scale.py": "# fail 0\n", "s5/scale.py": course.katas[0].stub.read_text(), "s0/line.py": "# fail\n"}
    top = hand_in(tmp_path / "in", files)
    (top / "s6").mkdir()
    stubs = {kata.id: kata.stub.read_bytes() for kata in course.katas}
    return Wanted(course, course.katas, top, tmp_path / "out", stubs)


def go(wanted: Wanted, heard: Heard | None = None, layers: frozenset[str] = LAYERS, dry: bool = False) -> Outcome:
    return Run(wanted, heard or Heard(), lambda bench, packed: Stub(bench, layers)).go(dry)


def book(out: Path) -> str:
    """All that a gradebook could be made of, times and memory apart."""

    def told(result: KataResult | None) -> Any:
        plain: dict[str, Any] = to_builtins(result)
        return json.loads(json.dumps(plain), object_hook=lambda each: {**each, "seconds": 0, "peak_memory_mb": 0})

    with closing(Journal.read(out)) as journal:
        students = [(to_builtins(student), journal.rows(student.id)) for student in journal.students()]
        facts = structs.replace(journal.facts(), started="", seed_sha256="", grader="")
        rows = [[who, [(to_builtins(row.entry), told(row.result)) for row in rows]] for who, rows in students]
        return json.dumps([to_builtins(facts), rows, to_builtins(journal.remarks())], indent=1, sort_keys=True)


# The plan.


def test_identical_files_are_judged_once_and_stubs_never(wanted: Wanted) -> None:
    heard = Heard()
    assert go(wanted, heard) == Outcome(judged=5, left=0)
    (plan,) = heard.plans
    assert len({finding.job for finding in heard.found}) == len(heard.found) == 5
    assert plan.entries[State.FILE] == 6
    assert (plan.entries[State.STUB], plan.entries[State.MISSING]) == (1, 7)
    with closing(Journal.read(wanted.out)) as journal:
        verdicts = {student: journal.rows(student)[0].result for student in ("s0", "s4", "s5")}
        same = [verdicts["s0"], verdicts["s4"]]
        assert all(result is not None and result.verdict is Verdict.FAIL for result in same)
        assert [result.stub for result in same if result] == ["s0/scale.py", "s4/scale.py"]
        assert verdicts["s5"] is not None and verdicts["s5"].verdict is Verdict.TODO


def test_what_takes_longest_is_judged_first(wanted: Wanted) -> None:
    for durations in ({SCALE: 9.0, "02_line": 1.0}, {SCALE: 1.0, "02_line": 9.0}):
        heard = Heard()
        go(replace(wanted, durations=durations, out=wanted.out / str(durations[SCALE])), heard)
        order = [durations[finding.job[0]] for finding in heard.found]
        assert order == sorted(order, reverse=True)
        assert heard.plans[0].seconds == sum(order)


def test_a_dry_run_tells_the_plan_and_leaves_nothing(wanted: Wanted) -> None:
    heard = Heard()
    assert go(wanted, heard, dry=True).left == 5
    assert not wanted.out.exists()
    go(wanted)
    before = {path: path.read_bytes() for path in wanted.out.iterdir()}
    hand_in(wanted.submissions, {"s9/scale.py": "# fail 9\n"})
    assert go(wanted, heard, dry=True).left == 1
    assert {path: path.read_bytes() for path in wanted.out.iterdir()} == before


def test_the_output_is_no_student(wanted: Wanted) -> None:
    with pytest.raises(UsageFault, match="among the submissions"):
        go(replace(wanted, out=wanted.submissions / "out"))


def test_where_no_student_is_found_nothing_is_written(wanted: Wanted, tmp_path: Path) -> None:
    empty = hand_in(tmp_path / "none", {"stray.py": "x = 1\n"})
    for dry in (False, True):
        with pytest.raises(UsageFault, match="no student is found in"):
            go(replace(wanted, submissions=empty), dry=dry)
        assert not wanted.out.exists()
    go(wanted)
    before = book(wanted.out)
    with pytest.raises(UsageFault, match="no student is found in"):
        go(replace(wanted, submissions=empty))
    assert book(wanted.out) == before


# What ends a run costs nothing.

KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.test_class import *
root, top, out, seed, after = map(str, sys.argv[2:7])
course = find(Path(root), Path(root))
stubs = {kata.id: kata.stub.read_bytes() for kata in course.katas}
wanted = Wanted(course, course.katas, Path(top), Path(out), stubs)

class Dying(Stub):
    def judge(self, work):
        for count, finding in enumerate(super().judge(work)):
            if count == int(after):
                os.kill(os.getpid(), signal.SIGKILL)
            yield finding

Run(wanted, Heard(), lambda bench, packed: Dying(bench)).go()
"""


def test_after_a_kill_at_any_result_the_end_is_that_of_an_undisturbed_run(wanted: Wanted, tmp_path: Path) -> None:
    calm = replace(wanted, out=tmp_path / "calm")
    go(calm)
    arguments = [str(ROOT), str(wanted.course.root), str(wanted.submissions), str(wanted.out), "", "1"]
    for done in (1, 2, 3):  # each run is killed after one more result, in the midst of the next
        run = subprocess.run([sys.executable, "-c", KILLED, *arguments], cwd=ROOT, capture_output=True, text=True)
        assert run.returncode == -signal.SIGKILL, run.stderr
        with closing(Journal.read(wanted.out)) as journal:
            assert len(journal.judged(LAYERS)) == done
    heard = Heard()
    assert go(wanted, heard) == Outcome(judged=2, left=0)
    assert heard.plans[0].judged == 3
    assert book(wanted.out) == book(calm.out)
    assert [path.name for path in wanted.out.iterdir() if path.is_dir()] == []


def test_a_run_that_is_stopped_goes_on_later(wanted: Wanted) -> None:
    runs: list[Run] = []
    heard = Heard(lambda count: runs[0].stop() if count == 2 else None)
    runs.append(Run(wanted, heard, lambda bench, packed: Stub(bench)))
    assert runs[0].go() == Outcome(judged=2, left=3)
    assert go(wanted).judged == 3


def test_a_fault_of_ours_is_told_with_its_students_and_tried_again(wanted: Wanted) -> None:
    hand_in(wanted.submissions, {"s1/scale.py": "# internal\n", "s2/scale.py": "# internal\n"})
    for _ in range(2):
        (students,) = go(wanted).faults.values()
        assert students == ["s1", "s2"]


def test_a_disk_that_is_full_in_the_midst_costs_no_result(wanted: Wanted, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Journal.write.__func__  # type: ignore[attr-defined]

    def cramped(cls: type[Journal], out: Path, name: str) -> Journal:
        journal: Journal = write(cls, out, name)
        pages = journal._sql("PRAGMA page_count")[0][0]
        journal._sql(f"PRAGMA max_page_count = {pages + 3}")
        return journal

    many = {f"t{n}/scale.py": f"# fail t{n} {'x' * 3000}\n" for n in range(20)}
    hand_in(wanted.submissions, many)
    runs: list[Run] = []
    stopping = Heard(lambda count: runs[0].stop() if count == 2 else None)
    runs.append(Run(wanted, stopping, lambda bench, packed: Stub(bench)))
    assert runs[0].go().judged == 2
    monkeypatch.setattr(Journal, "write", classmethod(cramped))
    with pytest.raises(UsageFault, match="full"):
        go(wanted)
    monkeypatch.undo()
    with closing(Journal.read(wanted.out)) as journal:
        kept = len(journal.judged(LAYERS))
    assert 2 < kept < 25
    assert go(wanted) == Outcome(judged=25 - kept, left=0)


def test_what_is_handed_in_again_is_judged_and_the_rest_is_not(wanted: Wanted) -> None:
    go(wanted)
    hand_in(wanted.submissions, {"s1/scale.py": "# timeout\n", "s7/scale.py": "# fail 2\n"})
    heard = Heard()
    assert go(wanted, heard).judged == 1
    with closing(Journal.read(wanted.out)) as journal:
        results = [journal.rows(student)[0].result for student in ("s1", "s7")]
        assert [result.verdict for result in results if result] == [Verdict.TIMEOUT, Verdict.FAIL]


def test_the_clock_may_be_set_back(wanted: Wanted, monkeypatch: pytest.MonkeyPatch) -> None:
    go(wanted)
    before = book(wanted.out)
    monkeypatch.setattr("time.time", lambda: 0.0)
    hand_in(wanted.submissions, {"s8/scale.py": "# fail 8\n"})
    assert go(wanted).judged == 1
    (wanted.submissions / "s8/scale.py").unlink()
    (wanted.submissions / "s8").rmdir()
    go(wanted)
    assert book(wanted.out) == before


# The course, the sandbox and the seed are those that the run began with.


def edited(wanted: Wanted, file: str = f"katas/{SCALE}/test_scale.py") -> Wanted:
    path = wanted.course.root / file
    path.write_text(path.read_text() + "\n# edited\n")
    return replace(wanted, course=find(wanted.course.root, wanted.course.root))


@pytest.mark.parametrize("file", [f"katas/{SCALE}/test_scale.py", f"katas/{SCALE}/kata.toml"])
def test_an_edited_course_is_refused_by_name_and_begun_elsewhere(wanted: Wanted, file: str) -> None:
    go(wanted)
    before = book(wanted.out)
    with pytest.raises(UsageFault, match=f"not the one that .* was begun with: {SCALE}$"):
        go(edited(wanted, file))
    assert book(wanted.out) == before
    assert go(replace(edited(wanted, file), out=wanted.out.with_name("other"))).judged == 5


def test_an_edit_in_the_midst_of_a_run_reaches_no_judge(wanted: Wanted) -> None:
    seen = []

    class Looking(Stub):
        def judge(self, work: Iterator[Work]) -> Iterator[Finding]:
            edited(wanted)
            suite = Path(self._bench.task(Work((SCALE, ""), b"")).job.suites[0])
            seen.append(suite.read_text())
            return super().judge(work)

    Run(wanted, Heard(), lambda bench, packed: Looking(bench)).go()
    assert "# edited" not in seen[0]


def test_without_the_whole_sandbox_nothing_is_judged_unless_allowed(wanted: Wanted) -> None:
    weak = LAYERS - {"seccomp"}
    with pytest.raises(UsageFault, match="does not keep workers apart"):
        go(wanted, layers=weak)
    assert go(replace(wanted, weaker=True), layers=weak).judged == 5
    with closing(Journal.read(wanted.out)) as journal:
        facts = journal.facts()
    assert (facts.complete, facts.weaker_allowed, set(facts.layers)) == (False, True, weak)


def test_results_of_two_sandboxes_are_never_mixed(wanted: Wanted) -> None:
    go(wanted)
    hand_in(wanted.submissions, {"s8/scale.py": "# fail 8\n"})
    with pytest.raises(UsageFault, match="another sandbox"):
        go(replace(wanted, weaker=True), layers=LAYERS - {"seccomp"})


def test_the_seed_is_in_the_journal_alone_and_stays(wanted: Wanted) -> None:
    go(wanted)
    with closing(Journal.read(wanted.out)) as journal:
        seed = journal.seed()
        assert seed.sha256 == journal.facts().seed_sha256
    assert seed.digits not in book(wanted.out)
    assert go(replace(wanted, seed=seed)).left == 0
    with pytest.raises(UsageFault, match="another seed"):
        go(replace(wanted, seed=draw()))


def test_two_runs_on_one_output_do_not_meet(wanted: Wanted) -> None:
    held, refused = (
        alone(wanted.out / "class.sqlite.lock", False, print),
        rf"another run is at work on .*, {os.getpid()}",
    )
    with held, pytest.raises(UsageFault, match=refused):
        go(wanted)
    assert go(wanted).judged == 5


WAITING = """
import sys
from pathlib import Path
from grader.classroom.lock import alone
with alone(Path(sys.argv[1]), True, lambda said: print("waiting", flush=True)):
    print("in", flush=True)
"""


def test_the_second_run_may_wait(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with alone(lock, False, lambda said: None):
        run = [sys.executable, "-c", WAITING, str(lock)]
        second = subprocess.Popen(run, stdout=subprocess.PIPE, text=True)
        assert second.stdout is not None
        assert second.stdout.readline() == "waiting\n"
    assert second.stdout.readline() == "in\n"
    second.stdout.close()
    assert second.wait() == 0


# Shards.


def test_shards_share_the_contents_and_come_together_as_one_run(wanted: Wanted, tmp_path: Path) -> None:
    files = {f"t{n}/scale.py": f"# fail t{n}\n" for n in range(20)}
    hand_in(wanted.submissions, files)
    seed = draw()
    calm = replace(wanted, out=tmp_path / "calm", seed=seed)
    go(calm)
    count = 0
    for number in (1, 2, 3):
        heard = Heard()
        count += go(replace(wanted, seed=seed, shard=Shard(number, 3)), heard).judged
        if number < 3:
            assert shards.merge(wanted.out).left == 25 - count
            assert shards.merge(wanted.out).missing == tuple(range(number + 1, 4))
    assert count == 25
    merged = shards.merge(wanted.out)
    assert (merged.results, merged.left, merged.missing) == (25, 0, ())
    assert book(wanted.out) == book(calm.out)
    with closing(Journal.read(wanted.out)) as journal:
        assert journal.seed() == seed
        assert journal.source(next(iter(journal.jobs()))[1])


def test_the_command_says_which_shards_are_missing_and_what_is_left(wanted: Wanted) -> None:
    seed, said = draw(), []
    for number in (1, 2):
        go(replace(wanted, seed=seed, shard=Shard(number, 2)))
        run = subprocess.run([GRADE, "merge", str(wanted.out)], capture_output=True, text=True)
        said.append((run.returncode, "missing: shards 2 of 2" in run.stdout, "not judged yet" in run.stdout))
    assert said == [(1, True, True), (0, False, False)]


@pytest.mark.parametrize("what", ["seed", "course", "files"])
def test_shards_of_different_runs_are_not_brought_together(wanted: Wanted, what: str) -> None:
    seed = draw()
    go(replace(wanted, seed=seed, shard=Shard(1, 2)))
    if what == "files":
        hand_in(wanted.submissions, {"s8/scale.py": "# fail 8\n"})
    second = edited(wanted) if what == "course" else wanted
    go(replace(second, seed=draw() if what == "seed" else seed, shard=Shard(2, 2)))
    with pytest.raises(UsageFault, match="not of one run"):
        shards.merge(wanted.out)


def test_where_there_are_no_shards_nothing_is_merged(tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="no shards"):
        shards.merge(tmp_path)


# With real judges, and as a teacher types it.

HEAD = "import os, sys, time\nimport numpy as np\n"
RIGHT = "def scale(x, factor):\n    return x * factor\ndef halves(x):\n    if len(x) % 2:\n        raise ValueError\n    return np.split(x, 2)\n"


def first(body: str) -> str:
    """A right solution that does something else first, each time that it is called."""
    return f"{HEAD}{RIGHT}right = scale\ndef scale(x, factor):\n    {body}\n    return right(x, factor)\n"


FAULTS = {
    "crash": first("os._exit(0)"),
    "signal": first("import ctypes; ctypes.string_at(1)"),
    "hang": first("while True: pass"),
    "memory": first("x = bytearray(1 << 31)"),
    "forks": first("os.fork()"),
    "disk": first("open('/tmp/full', 'wb').write(bytes(1 << 30))"),
}


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A class of one kata, in which everybody but three does what nobody should; judged by the command."""
    folder = tmp_path_factory.mktemp("class")
    files = {f"{name}/scale.py": source for name, source in FAULTS.items()}
    files["a_right/scale.py"] = f"{HEAD}{RIGHT}"
    files["z_right/scale.py"] = f"{HEAD}{RIGHT}# of another\n"
    files["flood/scale.py"] = first("print('x' * (1 << 22))")
    copying = f"exec(open({str(folder / 'in/a_right/scale.py')!r}).read())\n"
    files["copies/scale.py"] = HEAD + copying
    traces = "os.chdir('/'); os.umask(0); np.seterr(all='raise'); np.random.seed(0); np.multiply = None; sys.modules['numpy'] = None"
    files["traces/scale.py"] = first(traces)
    top = hand_in(folder / "in", files)
    (top / "linked").symlink_to("a_right")
    (top / "bad.zip").write_bytes(b"PK")
    command = [
        GRADE,
        "class",
        str(top),
        "--out",
        str(folder / "out"),
        "--course",
        str(TOY),
        "--kata",
        "scale",
        "-j",
        "2",
    ]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    (folder / "said").write_text(run.stdout)
    yield folder


def verdict(folder: Path, student: str) -> Verdict:
    with closing(Journal.read(folder / "out")) as journal:
        (row,) = journal.rows(student)
        assert row.result is not None
        return row.result.verdict


@pytest.mark.parametrize("student", FAULTS)
def test_what_one_student_does_is_that_students_verdict(judged: Path, student: str) -> None:
    assert verdict(judged, student) not in (Verdict.PASS, Verdict.INTERNAL)


def test_all_others_have_their_own_verdicts(judged: Path) -> None:
    assert verdict(judged, "a_right") is verdict(judged, "z_right") is Verdict.PASS
    assert verdict(judged, "flood") is Verdict.PASS


def test_a_classmates_file_cannot_be_read(judged: Path) -> None:
    assert verdict(judged, "copies") is Verdict.ERROR


def test_a_link_to_a_classmate_and_a_broken_archive_are_refused(judged: Path) -> None:
    assert verdict(judged, "linked") is verdict(judged, "bad") is Verdict.ERROR


def test_the_plan_stands_before_the_results_and_says_what_a_worker_holds(judged: Path) -> None:
    said = (judged / "said").read_text()
    assert "13 students, 13 files expected" in said
    assert "2 at a time; a worker holds at most 256 MiB" in said
    assert said.index("to judge now") < said.index("contents judged in")


def test_the_journal_says_behind_what_it_was_judged(judged: Path) -> None:
    with closing(Journal.read(judged / "out")) as journal:
        facts = journal.facts()
    assert facts.complete and set(facts.layers) == LAYERS and not facts.weaker_allowed


def test_nothing_of_the_course_is_left_beside_the_journal(judged: Path) -> None:
    assert sorted(path.name for path in (judged / "out").iterdir()) == ["class.sqlite", "class.sqlite.lock"]


def test_a_machine_that_cannot_keep_workers_apart_is_found_out_by_trying(tmp_path: Path) -> None:
    top = hand_in(tmp_path / "in", {"ann/scale.py": f"{HEAD}{RIGHT}"})
    command = [GRADE, "class", str(top), "--out", str(tmp_path / "out"), "--course", str(TOY), "--kata", "scale"]
    weaker = {**os.environ, "GRADKATA_TEST_WITHOUT": "seccomp"}
    run = subprocess.run(command, capture_output=True, text=True, env=weaker)
    assert run.returncode == 2
    assert "--allow-weaker-sandbox" in run.stderr
    with closing(Journal.read(tmp_path / "out")) as journal:
        assert journal.rows("ann")[0].result is None


def test_ctrl_c_ends_a_run_in_order_and_the_next_goes_on(tmp_path: Path) -> None:
    top = hand_in(tmp_path / "in", {f"s{n}/scale.py": f"{HEAD}{RIGHT}# {n}\n" for n in range(3)})
    command = [GRADE, "class", str(top), "--out", str(tmp_path / "out"), "--course", str(TOY), "--kata", "scale"]
    run = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # tests in the background ignore it
    )  # fmt: skip
    assert run.stdout is not None
    told = [run.stdout.readline()]
    while "to judge now" not in told[-1]:
        told.append(run.stdout.readline())
    run.send_signal(signal.SIGINT)
    rest, errors = run.communicate()
    assert (run.returncode, errors) == (130, "")
    assert "the same command goes on from here" in rest
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 0
    assert [verdict(tmp_path, f"s{n}") for n in range(3)] == [Verdict.PASS] * 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--engine", "dask"], "needs a scheduler"),
        (["--seed", "1"], "secret seed"),
        (["--shard", "1/2"], "the same --seed @FILE"),
        (["--shard", "3/2"], "is no shard"),
        (["--roster", "nowhere.csv"], "nowhere.csv: cannot be read"),
    ],
)
def test_what_cannot_be_is_said_at_once(tmp_path: Path, arguments: list[str], said: str) -> None:
    command = [GRADE, "class", str(tmp_path), "--out", str(tmp_path / "o"), "--course", str(TOY), *arguments]
    run = subprocess.run(command, capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (2, "")
    assert said in run.stderr
