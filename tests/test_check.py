"""`grade check` as a command: its exit codes, its reports, and that it asks for no more trials than it needs."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

import grader
from grader.authoring.check import Wanted, check
from grader.authoring.proving import measures, pace
from grader.authoring.proving.case import Role
from grader.authoring.proving.outcome import Comparison, Outcome, Ran, Trial
from grader.authoring.proving.subject import Subject
from grader.authoring.showing import tables
from grader.authoring.showing.document import FORMAT_VERSION, Check
from grader.cli import main
from grader.course import Course, find
from grader.scorecard import Verdict
from grader.store import Store

from .workshop import ID, SHORT, edited, scaffold

SCHEMA = Path(grader.__file__).with_name("schemas") / "check.schema.json"
QUICK = {
    "test_shapes",
    "test_outputs_and_loss",
    "test_gradients",
    "test_three_training_steps",
    "test_calls_leave_no_trace",
}
TESTS = QUICK | {"test_learns"}
PAGE = f"# Evidence\n\n{tables.BEGIN}\nwhat was here\n{tables.END}\n\nThe end.\n"

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """`grade check` in the course at `course/`: exit code, output, and what went to standard error."""

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.chdir(tmp_path / "course")
        with pytest.raises(SystemExit) as ended:
            main(["check", "-j", "1", *words])
        assert isinstance(ended.value.code, int)
        return ended.value.code, *capsys.readouterr()

    return call


def schema() -> dict[str, Any]:
    """The schema that the records stand for; every field is there in every file."""
    made = msgspec.json.schema(Check)
    for record in made["$defs"].values():
        if "properties" in record:
            record["required"] = list(record["properties"])
            record["additionalProperties"] = False
    dialect = "https://json-schema.org/draft/2020-12/schema"
    head = {"$schema": dialect, "$id": f"urn:gradkata:check:{FORMAT_VERSION}", "title": "Check"}
    return {**head, "description": "What one run of `grade check` found.", **made}


def test_the_schema_in_the_package_is_that_of_the_records() -> None:
    """With GOLDEN=write in the environment the file is written instead; old readers want a new FORMAT_VERSION then."""
    text = json.dumps(schema(), indent=2) + "\n"
    if os.environ.get("GOLDEN") == "write":
        SCHEMA.write_text(text, encoding="utf-8", newline="\n")
    assert SCHEMA.read_text(encoding="utf-8") == text


def valid(found: object) -> bool:
    wanted = json.loads(SCHEMA.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(wanted)
    return bool(Draft202012Validator(wanted).is_valid(found))


@pytest.mark.parametrize("worker", ["numpy", "torch"])
def test_a_new_kata_holds_and_is_not_judged_twice(
    run: Run, tmp_path: Path, worker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All rules on the real ladder, the record as it came, the whole matrix in the report; then 0 trials."""
    for slow in ("over_budget", "short_limit"):  # how busy this machine is decides nothing here
        monkeypatch.setattr(measures, slow, lambda evidence: False)
    scaffold(tmp_path / "course", worker)
    record, page, report = (tmp_path / name for name in (f"course/{SHORT['strength.toml']}", "page.md", "check.json"))
    before = record.read_text(encoding="utf-8")
    page.write_text(PAGE, encoding="utf-8")
    reports = ("--report", f"json={report}", "--report", f"markdown={page}")

    code, said, told = run("--record", *reports)
    assert code == 0, said
    assert said.startswith(f"✓ holds  {ID}  My topic: 6 tests, 9 mistakes, 1 variant\n")
    assert "1 of 1 katas hold on 5 seeds; " in said and "trials judged, " in told
    assert record.read_text(encoding="utf-8") == before

    found = json.loads(report.read_text(encoding="utf-8"))
    assert valid(found) and found["holds"] and found["seeds"] == 5 and found["judged"] > 30
    (kata,) = found["katas"]
    assert {test["name"] for test in kata["tests"]} == TESTS
    assert all(test["catches"] for test in kata["tests"])
    rows = {(case["role"], case["name"]): case for case in kata["cases"]}
    assert [name for role, name in rows if role == "zoo"] == ["stub", "pass", "zeros", "ones", "nan", "echo"]
    assert len([name for role, name in rows if role == "mistake"]) == 9
    for (role, _), row in rows.items():
        assert row["verdicts"].keys() >= (QUICK if role == "mistake" else TESTS)
        right = role in ("reference", "variant")
        assert right == (set(row["verdicts"].values()) == {"pass"}) and row["failures"] == {}
        assert role != "mistake" or row["verdicts"][row["caught_by"]] == "fail"
    assert kata["right"] < 0.1 and kata["wrong"] > 10 and kata["margin"] > 6
    assert [row["name"] for row in rows.values() if row["ablation"]] == ["bias-forgotten"]
    assert {test["name"]: 0 < test["bar"] < 1 for test in kata["tests"] if test["bar"]} == {"test_learns": True}

    written = page.read_text(encoding="utf-8")
    assert written.startswith(f"# Evidence\n\n{tables.BEGIN}\n\n*right*: ") and "what was here" not in written
    assert written.endswith(f"{tables.END}\n\nThe end.\n") and f"| {ID} | holds | 5 | 6 | 9 | 1 |" in written
    assert "  outputs-as-a-column       #  x  x  x     x\n" in written
    assert "  bias-forgotten            .  #  x  x  x  .  ablation\n" in written

    code, _, told = run(*reports)
    again = json.loads(report.read_text(encoding="utf-8"))
    assert (code, told, again["judged"]) == (0, "", 0)
    assert again["katas"] == found["katas"] and page.read_text(encoding="utf-8") == written

    others = written.replace(ID, "07_other").partition(tables.BEGIN)[2].partition(tables.END)[0]
    page.write_text(written.replace(written.partition(tables.BEGIN)[2].partition(tables.END)[0], others), "utf-8")
    assert run(ID, *reports)[0] == 0
    both = page.read_text(encoding="utf-8")
    assert [line.split()[1] for line in both.splitlines() if " holds " in line] == ["07_other", ID]
    assert both.count("</details>") == both.count("bias-forgotten") == 2
    assert run(*reports)[0] == 0 and page.read_text(encoding="utf-8") == written


def test_the_stub_of_a_new_kata_follows_its_reference_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """A copy that was kept beside it would be a stray file for the check."""
    course = scaffold(tmp_path)
    reference, stub = tmp_path / SHORT["reference"], tmp_path / SHORT["stub"]
    reference.write_text(reference.read_text(encoding="utf-8").replace("one product", "a product"), encoding="utf-8")
    with pytest.raises(SystemExit):
        main(["stub", "--course", str(course.root)])
    assert "predict: a product and one sum" in stub.read_text(encoding="utf-8")
    assert sorted(path.name for path in stub.parent.glob("*.py*")) == ["my_topic.py", "test_my_topic.py"]


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """Three katas that are at fault before anything is run: a suite, a manifest, and a suite that is not there."""
    course = scaffold(tmp_path / "one")
    edited(course, tmp_path / "course", {"suite": "def test_one(:\n", f"katas/{ID}/notes.txt": "mine"})
    (tmp_path / "course/reference/60_nothing").mkdir()
    manifest = (course.root / SHORT["kata.toml"]).read_text(encoding="utf-8")
    for name, number in (("52_other", 52), ("53_third", 53)):
        folder = tmp_path / "course/katas" / name
        folder.mkdir()
        text = manifest.replace(ID, name).replace("number = 51", f"number = {number}")
        folder.joinpath("kata.toml").write_text(text.replace("difficulty = 1", f"difficulty = {number - 51}"), "utf-8")
    (tmp_path / "course/katas/53_third/kata.toml").write_text("number = ", encoding="utf-8")
    with (tmp_path / "course/course.toml").open("a", encoding="utf-8") as settings:
        settings.write('\n[[paths]]\nname = "short"\ntitle = "T"\nabout = "A"\nkatas = ["99_none"]\n')
    return tmp_path / "course"


def test_the_faults_of_all_katas_are_told_before_it_fails(broken: Path, run: Run, tmp_path: Path) -> None:
    report = tmp_path / "check.json"
    code, said, told = run("--record", "--mutate", "--report", f"json={report}")
    assert (code, told) == (1, "")
    for line in (
        f"{SHORT['suite']}:1: is not valid Python: invalid syntax [suite]",
        f"katas/{ID}/notes.txt: is a stray file: neither kata nor suite names it [files]",
        "katas/52_other/kata.toml: id must have its suite beside it; test_other.py is missing [manifest]",
        "katas/52_other/test_other.py: is missing [suite]",
        "reference/52_other/other.py: is missing [stub]",
        "katas/53_third/kata.toml: is not valid TOML: Invalid value (at the end, line 1) [manifest]",
        "reference/60_nothing: is a stray folder: no katas/60_nothing/kata.toml is there [files]",
        "course.toml: paths.0.katas is no kata of this course, found 99_none [course]",
    ):
        assert f"  {line}\n" in said, said
    assert "✗ does not hold  51_my_topic" in said and "0 of 2 katas hold on 5 seeds; " in said
    found = json.loads(report.read_text(encoding="utf-8"))
    assert valid(found) and not found["holds"] and {each["id"] for each in found["katas"]} == {ID, "52_other"}
    assert f"{len(found['findings']) + sum(len(each['findings']) for each in found['katas'])} faults, " in said


def test_one_kata_is_not_held_to_the_faults_of_another(broken: Path, run: Run) -> None:
    code, said, _ = run("52")
    assert code == 1 and ID not in said and "katas/52_other/test_other.py: is missing" in said
    (broken / "katas/53_third").rename(broken / "katas/03_third")
    for name in ("third", "03_third", "3", "03"):
        code, said, _ = run(name)
        assert code == 1 and "katas/03_third/kata.toml: is not valid TOML" in said


REFUSED = {
    "an unknown kata": (("lstm",), "there is no kata 'lstm'"),
    "an unknown report": (("--report", "html=a.html"), "there is no report 'html'"),
    "a report without a path": (("--report", "json"), "--report json needs a path"),
    "no page": (("--report", "markdown"), "--report markdown needs a page"),
    "a page that is not there": (("--report", "markdown=nowhere.md"), "--report markdown needs a page"),
    "a page without marks": (("--report", "markdown=plain.md"), "plain.md has no place for the tables"),
    "a page with marks in the wrong order": (("--report", "markdown=turned.md"), "has no place for the tables"),
    "a page of another form": (("third", "--report", "markdown=old.md"), "old.md has tables of another form"),
    "a page that is not UTF-8": (("--report", "markdown=bytes.md"), "bytes.md cannot be read"),
    "a report that cannot be written": (("--report", "json=nowhere/check.json"), "cannot write nowhere/check.json"),
    "no seed": (("--seeds", "0"), "--seeds"),
    "no course": (("--course", "nowhere"), "nowhere is not a course"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_done_is_refused_and_pages_stay_as_they_are(broken: Path, run: Run, name: str) -> None:
    words, expected = REFUSED[name]
    pages = {"plain.md": b"# Page\n", "turned.md": f"{tables.END}\n{tables.BEGIN}\n".encode(), "bytes.md": b"\xff"}
    pages["old.md"] = f"{tables.BEGIN}\n| kata | |\n{tables.END}\n".encode()
    for page, content in pages.items():
        (broken / page).write_bytes(content)
    code, said, told = run(*words)
    assert (code, said) == (2, "") and expected in told, told
    assert {page: (broken / page).read_bytes() for page in pages} == pages


def test_a_page_without_marks_is_refused_before_anything_is_judged(
    broken: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grader.authoring.check.check", lambda *arguments: pytest.fail("it was judged"))
    (broken / "plain.md").write_text("# Page\n", encoding="utf-8")
    assert run("--report", "markdown=plain.md")[0] == 2


# Which trials are asked for


@dataclass
class PaperBench:
    """Answers every trial at once: right solutions pass, all others fail in `caught`; the reference takes `seconds`."""

    store: Store
    seconds: list[float] = field(default_factory=lambda: [0.1])
    caught: frozenset[str] = frozenset(TESTS)
    jobs: int = 1
    judged: int = 0
    asked: list[Trial] = field(default_factory=list)
    slower: float = 1.0

    def pace(self) -> float:
        return self.slower

    def run(self, asked: Iterable[tuple[Subject, Trial]], *, keep: bool = True, alone: bool = False) -> list[Outcome]:
        return [self._outcome(trial, subject, timed=alone and not keep) for subject, trial in asked]

    def _outcome(self, trial: Trial, subject: Subject, *, timed: bool) -> Outcome:
        self.asked.append(trial)
        seconds = self.seconds.pop(0) if timed else self.seconds[0]
        names = trial.only or tuple(subject.by_name)
        return Outcome(tuple(self._ran(name, trial, seconds / len(TESTS)) for name in names))

    def _ran(self, name: str, trial: Trial, seconds: float) -> Ran:
        passed = trial.case.right or (name not in self.caught and trial.case.role is Role.MISTAKE)
        seen = (Comparison("assert_close", "outputs", 1e-6, 0.0 if passed else 1e6),)
        return Ran(name, Verdict.PASS if passed else Verdict.FAIL, seconds, "no", None, "", seen)


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    made = scaffold(tmp_path_factory.mktemp("course"))
    manifest = made.root / SHORT["kata.toml"]
    manifest.write_text(
        manifest.read_text(encoding="utf-8").replace("seconds = 5.0", "seconds = 20.0"), encoding="utf-8"
    )
    return find(made.root, made.root)


def on_paper(course: Course, wanted: Wanted = Wanted(), **settings: Any) -> tuple[Check, PaperBench]:  # noqa: B008  # frozen
    bench: Any = PaperBench(Store(course.root, print), **settings)
    return check(course.root, wanted, bench), bench


def told(found: Check, rule: str) -> list[str]:
    return [str(finding) for finding in found.all_findings if finding.rule == rule]


def test_a_suite_over_its_budget_is_timed_three_times_more_and_refused(course: Course) -> None:
    limit = measures.BUDGET_SECONDS * measures.ALLOWANCE
    found, bench = on_paper(course, seconds=[limit + 1] * 4)
    (line,) = told(found, "time")
    assert line.startswith(f"{SHORT['suite']}:") and "the suite takes 7.0 s with the reference, at the best" in line
    assert [trial.again for trial in bench.asked if trial.again > 1] == [2, 3, 4]


def test_a_suite_that_was_slow_once_is_within_its_budget(course: Course) -> None:
    found, bench = on_paper(course, seconds=[7.0, 5.0, 5.0])
    assert told(found, "time") == [] and found.katas[0].seconds == pytest.approx(5.0)
    assert [trial.again for trial in bench.asked if trial.again > 1] == [2, 3]


def test_a_slow_machine_is_no_fault_of_the_suite(course: Course) -> None:
    limit = measures.BUDGET_SECONDS * measures.ALLOWANCE
    assert told(on_paper(course, seconds=[1.9 * limit] * 4, slower=2.0)[0], "time") == []
    (line,) = told(on_paper(course, seconds=[2.1 * limit] * 4, slower=2.0)[0], "time")
    assert "on a machine 2.0 times slower than meant" in line


SLOWEST = {  # with the reference, on a machine so many times slower than meant, where the limit is 20 s
    "forty times": (0.5, 1.0, None),
    "not twenty times, but for noise": (1.9, 1.0, None),
    "not ten times": (2.1, 1.0, "too short: 20, and the slowest test, "),
    "ten times on a slow machine": (2.1, 2.0, None),
    "more than sixty times": (
        0.3,
        1.0,
        "too long: 20, .* takes 0.30 s with the reference; set it to about 6, 20 times",
    ),
    "more than sixty times, and next to nothing": (0.01, 1.0, "set it to about 2, 20 times that and at least 2"),
}


@pytest.mark.parametrize("how", SLOWEST)
def test_the_limit_of_one_test_is_held_to_what_the_slowest_takes(course: Course, how: str) -> None:
    seconds, slower, words = SLOWEST[how]
    lines = told(on_paper(course, seconds=[len(TESTS) * seconds] * 4, slower=slower)[0], "limit")
    assert len(lines) == (words is not None), lines
    assert words is None or (re.search(words, lines[0]) and lines[0].startswith(SHORT["kata.toml"])), lines


def test_the_pace_is_that_of_the_best_of_some_runs_and_never_below_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for best, expected in ((3 * pace.NOMINAL_SECONDS, 3.0), (pace.NOMINAL_SECONDS / 2, 1.0)):
        runs = iter([9 * best] * 4 + [best] + [9 * best] * 4)
        monkeypatch.setattr(pace, "_seconds", lambda runs=runs: next(runs))
        assert pace.pace() == pytest.approx(expected)


def test_the_trials_do_not_depend_on_how_many_run_at_a_time(course: Course) -> None:
    one, many = (on_paper(course, jobs=jobs, caught=frozenset(QUICK))[1].asked for jobs in (1, 16))
    assert one == many and len(set(one)) == len(one)


def test_convergence_tests_are_tried_on_ablations_and_then_on_mistakes_until_they_catch_one(course: Course) -> None:
    slow = [trial for trial in on_paper(course)[1].asked if trial.only == ("test_learns",)]
    assert [trial.case.name for trial in slow] == ["bias-forgotten"]
    found, bench = on_paper(course, caught=frozenset(QUICK))
    assert len([trial for trial in bench.asked if trial.only == ("test_learns",)]) == 9
    assert any("test_learns catches no mistake" in line for line in told(found, "useful"))


def test_the_full_check_leaves_nothing_to_plain_pytest(course: Course) -> None:
    """Every mistake and every member of the zoo on every test before a judge, and every seed of right solutions."""
    asked = on_paper(course, Wanted(full=True))[1].asked
    judged = {(trial.case.name, test) for trial in asked if not trial.local for test in trial.only or TESTS}
    names = {trial.case.name for trial in asked}
    assert judged == {(name, test) for name in names for test in TESTS} and len(names) == 17
    assert {trial.seed for trial in asked if trial.case.right and not trial.local} == {0, 1, 2, 3, 4}


def test_right_solutions_run_on_every_seed_and_on_two_threads(course: Course) -> None:
    asked = on_paper(course, Wanted(seeds=7))[1].asked
    for role in (Role.REFERENCE, Role.VARIANT):
        mine = [trial for trial in asked if trial.case.role is role]
        assert {trial.seed for trial in mine} == set(range(7)) and {trial.threads for trial in mine} == {1, 2}
