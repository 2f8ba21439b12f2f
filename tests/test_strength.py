"""The record of strictness: every suite that compares less, or more loosely, than it did when it was proved is refused."""

from __future__ import annotations

import ast
import re
import shutil
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest

from grader.authoring.check import Wanted, check
from grader.authoring.proving import strength
from grader.authoring.proving.bench import Bench
from grader.authoring.proving.case import Role
from grader.authoring.proving.evidence import Evidence
from grader.authoring.proving.finding import Finding
from grader.authoring.proving.outcome import Comparison, Outcome, Ran, Trial
from grader.authoring.proving.rules import broken, files
from grader.authoring.proving.subject import Subject
from grader.course import Course, find
from grader.scorecard import Verdict

from .workshop import ID, SHORT, Edits, edited, judge, new_bench, scaffold

ROOT = Path(__file__).resolve().parents[1]
COURSE = find(ROOT, ROOT)
RECORDED = [kata.id for kata in COURSE.katas if (ROOT / "reference" / kata.id / strength.FILE).is_file()]
DEFAULTS = {  # the tolerance of each check that has one, where it is not given
    "assert_close": 1e-6,
    "assert_gradients": 1e-6,
    "assert_numpy_gradients": 1e-6,
    "assert_trajectory": 1e-6,
}
TESTS = (
    "test_shapes",
    "test_outputs_and_loss",
    "test_gradients",
    "test_three_training_steps",
    "test_learns",
    "test_calls_leave_no_trace",
)
WITH_TOLERANCES = [name for name in TESTS if name not in ("test_shapes", "test_learns")]


# For checks that are often handed their tolerance in a dict: at the end of a suite, all of theirs times a thousand.
WIDE = """

def _wide(check):
    def loose(*args, **named):
        for name, usual in {"tol": 1e-6, "weights_tol": 1e-5}.items():
            if name in check.__kwdefaults__:
                named[name] = 1000 * named.get(name, usual)
        return check(*args, **named)
    return loose


for _name in {"assert_agrees", "assert_trained"} & set(globals()):
    globals()[_name] = _wide(globals()[_name])
"""


class Loosened(ast.NodeTransformer):
    """Every tolerance of some functions, times a thousand: `tol=` of each check, or its default where it is not given."""

    def __init__(self, *names: str) -> None:
        self.functions: set[str] = set()
        self._names = names
        self._inside: list[str] = []

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self._inside.append(node.name)
        self.generic_visit(node)
        self._inside.pop()
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name in DEFAULTS and (not self._names or self._names[0] in self._inside):
            self.functions.update(self._inside)
            given = next((each for each in node.keywords if each.arg == "tol"), None)
            if given is None:
                node.keywords.append(ast.keyword("tol", ast.Constant(1000 * DEFAULTS[name])))
            else:
                given.value = ast.BinOp(given.value, ast.Mult(), ast.Constant(1000))
        return node


def loosened(suite: str, *names: str) -> tuple[str, set[str]]:
    """The suite with the tolerances of one function, or of all, times a thousand; and which functions have any."""
    change = Loosened(*names)
    return ast.unparse(ast.fix_missing_locations(change.visit(ast.parse(suite)))), change.functions


def deleted(suite: str, name: str) -> str:
    """The suite without one test."""
    tree = ast.parse(suite)
    tree.body = [node for node in tree.body if getattr(node, "name", "") != name]
    return ast.unparse(tree)


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """One new kata, whose worker has numpy, with two mistakes: one that every test catches, and the ablation."""
    course = scaffold(tmp_path_factory.mktemp("course"))
    mistakes = course.root / SHORT["mistakes.toml"]
    head, first, second, *_ = mistakes.read_text(encoding="utf-8").split("[[mistake]]")
    assert "ablation = true" in second
    mistakes.write_text(f"{head}[[mistake]]{first}[[mistake]]{second}", encoding="utf-8")
    return course


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The bench of all trials of this file."""
    shared = new_bench(tmp_path_factory.mktemp("store"))
    yield shared
    shared.close()


def suite_of(course: Course) -> str:
    return (course.root / SHORT["suite"]).read_text(encoding="utf-8")


def test_the_strong_suite_holds(course: Course, bench: Bench, tmp_path: Path) -> None:
    """Otherwise the tests below would prove nothing."""
    edited(course, tmp_path, {})
    found = check(tmp_path, Wanted(seeds=1), bench)
    assert found.holds, found.all_findings


def without(course: Course, name: str) -> Edits:
    """The suite without one test, and manifest and mistakes made to fit."""
    kinds = {"test_shapes": "shape", "test_gradients": "gradient", "test_learns": "convergence"}
    kind = "behaviour" if name == "test_calls_leave_no_trace" else kinds.get(name, "no kind")
    manifest = (course.root / SHORT["kata.toml"]).read_text(encoding="utf-8").replace("tests = 6", "tests = 5")
    mistakes = (course.root / SHORT["mistakes.toml"]).read_text(encoding="utf-8")
    other = "test_three_training_steps" if name == "test_gradients" else "test_gradients"
    mistakes = mistakes.replace(f'"{name}"', f'"{other}"')
    return {
        "suite": deleted(suite_of(course), name),
        "kata.toml": "\n".join(line for line in manifest.splitlines() if not line.startswith(f"{kind} = ")),
        "mistakes.toml": mistakes.replace("ablation = true\n", "") if name == "test_learns" else mistakes,
    }


def says_that_it_is_gone(finding: Finding, root: Path, name: str) -> bool:
    line = (root / SHORT["strength.toml"]).read_text(encoding="utf-8").splitlines().index(f"[{name}]") + 1
    expected = f"{SHORT['strength.toml']}:{line}: {name} is on record and no longer in the suite; if that is meant,"
    return str(finding).startswith(expected)


@pytest.mark.parametrize("name", TESTS)
def test_a_suite_without_one_of_its_tests_is_refused(course: Course, bench: Bench, tmp_path: Path, name: str) -> None:
    """By its manifest; and where that was made to fit, by the record."""
    subject = edited(course, tmp_path / "simple", {"suite": deleted(suite_of(course), name)})
    assert any("tests must be 5, as many as there are" in each.message for each in files.suite(subject))
    subject = edited(course, tmp_path / "made to fit", without(course, name))
    found = broken(judge(bench, subject, [Trial(subject.of(Role.REFERENCE)[0])]))
    # No mistake was judged, and the words of the test are still in the catalogue.
    told = [each for each in found if each.rule not in ("useful", "ablation", "texts")]
    assert told and all(says_that_it_is_gone(each, subject.root, name) for each in told), found


def test_the_whole_check_refuses_a_suite_without_a_test(course: Course, bench: Bench, tmp_path: Path) -> None:
    """For one reason alone, beside words that nobody tells any more, if manifest and mistakes were made to fit."""
    edited(course, tmp_path, without(course, "test_gradients"))
    found = check(tmp_path, Wanted(seeds=1), bench)
    (told,) = [each for each in found.all_findings if each.rule != "texts"]
    assert says_that_it_is_gone(told, tmp_path, "test_gradients") and not found.holds


@pytest.mark.parametrize("name", WITH_TOLERANCES)
def test_a_suite_with_a_thousandfold_tolerance_is_refused(
    course: Course, bench: Bench, tmp_path: Path, name: str
) -> None:
    """By the whole check, which names the test and nothing else: right and wrong are as far apart as ever."""
    suite, functions = loosened(suite_of(course), name)
    assert functions == {name}
    edited(course, tmp_path, {"suite": suite})
    found = check(tmp_path, Wanted(seeds=1), bench)
    told = [(finding.rule, finding.message.split(" ")[0]) for finding in found.all_findings]
    assert set(told) == {("strength", name)} and not found.holds


def test_the_scaffolds_tolerances_stand_where_they_are_looked_for(course: Course) -> None:
    assert loosened(suite_of(course))[1] == set(WITH_TOLERANCES)


# The rule by itself

RECORD = """\
[test_one]
outputs = [1e-10, 1e-05]
loss = 1e-08
"the sum" = 0.0

[test_two]
"""
ONE = {"outputs": (1e-10, 1e-5), "loss": (1e-8,), "the sum": (0.0,)}
ON_RECORD: dict[str, dict[str, tuple[float, ...]]] = {"test_one": ONE, "test_two": {}}
STRONG = {
    "the same": ON_RECORD,
    "a rounding away": {"test_one": ONE | {"loss": (1e-8 * (1 + 1e-12),)}, "test_two": {}},
    "stricter": {"test_one": ONE | {"loss": (1e-9,), "outputs": (1e-11, 1e-6)}, "test_two": {}},
    "more": {"test_one": ONE | {"bias": (1.0,), "outputs": (1e-12, 1e-10, 1e-5)}, "test_two": {"bias": (1.0,)}},
}
WEAK = {
    "looser": (ONE | {"loss": (2e-8,)}, "compares 'loss' with tolerance 2e-08, and 1e-08 is on record"),
    "one of two looser": (ONE | {"outputs": (1e-7, 1e-5)}, "'outputs' with tolerance [1e-05, 1e-07], and [1e-05, 1e-10] is on"),
    "one of two as loose as the other": (ONE | {"outputs": (1e-5,)}, "'outputs' with tolerance 1e-05, and [1e-05, 1e-10] is on"),
    "a looser one beside it": (ONE | {"loss": (1e-8, 1e-7)}, "'loss' with tolerance [1e-07, 1e-08], and 1e-08 is on record"),
    "no longer exact": (ONE | {"the sum": (1e-12,)}, "'the sum' with tolerance 1e-12, and 0.0 is on record"),
    "not compared": ({"outputs": (1e-10, 1e-5), "the sum": (0.0,)}, "no longer compares 'loss', as it did"),
}  # fmt: skip


def measured(course: Course, root: Path, now: dict[str, dict[str, tuple[float, ...]]], record: str | bytes) -> Evidence:
    """The evidence of a reference in a suite with these comparisons, beside this record."""
    tests = "\n\n".join(f'@pytest.mark.value\ndef {name}(solution):\n    """One."""' for name in now)
    subject = edited(course, root, {"suite": f"import pytest\n\n{tests}\n", "strength.toml": record})
    return Evidence(subject, 1, {Trial(subject.of(Role.REFERENCE)[0]): Outcome(tuple(map(ran, now, now.values())))})


def ran(test: str, tolerances: Mapping[str, Sequence[float]], verdict: Verdict = Verdict.PASS) -> Ran:
    seen = [Comparison("assert_close", name, each, 0.0) for name, all_ in tolerances.items() for each in all_]
    return Ran(test, verdict, 0.1, "", None, "", tuple(seen))


@pytest.mark.parametrize("name", STRONG)
def test_a_suite_that_compares_as_strictly_or_more_so_is_no_weaker(course: Course, tmp_path: Path, name: str) -> None:
    assert [str(each) for each in strength.weaker(measured(course, tmp_path, STRONG[name], RECORD))] == []


@pytest.mark.parametrize("name", WEAK)
def test_what_is_weaker_is_told_with_the_line_of_the_test(course: Course, tmp_path: Path, name: str) -> None:
    now, expected = WEAK[name]
    (told,) = strength.weaker(measured(course, tmp_path, {"test_one": now, "test_two": {}}, RECORD))
    assert str(told).startswith(f"{SHORT['suite']}:4: test_one ") and expected in told.message
    assert told.message.endswith(f"if that is meant, `grade check {ID} --record`")


RECORDS: dict[str, tuple[str | bytes, str]] = {
    "a test that is not on record": (RECORD.replace("[test_two]", ""), ": test_two is not on record yet"),
    "no TOML": ("[test_one", "strength.toml:1: is no record of tolerances: "),
    "a number for a test": ("test_one = 1", "strength.toml:1: is no record of tolerances: "),
    "words": ('[test_one]\noutputs = "low"', "strength.toml:1: is no record of tolerances: "),
    "not UTF-8": (b"# \xff", "strength.toml:1: is not UTF-8 text"),
}


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_that_says_nothing_is_refused(course: Course, tmp_path: Path, name: str) -> None:
    record, expected = RECORDS[name]
    told = [str(each) for each in strength.weaker(measured(course, tmp_path, ON_RECORD, record))]
    assert len(told) == 1 and expected in told[0], told


def test_a_record_that_is_missing_is_asked_for_and_written_the_same_twice(course: Course, tmp_path: Path) -> None:
    evidence = measured(course, tmp_path, ON_RECORD, RECORD)
    path = tmp_path / SHORT["strength.toml"]
    path.unlink()
    (told,) = map(str, strength.weaker(evidence))
    assert told.startswith(f"{SHORT['strength.toml']}: is missing: `grade check {ID} --record` writes it")
    assert strength.write(evidence) == path and list(strength.weaker(evidence)) == []
    assert path.read_text(encoding="utf-8").partition("\n\n")[2] == RECORD
    assert strength.write(evidence) is None


def test_a_test_that_fails_on_the_reference_is_not_called_weaker(course: Course, tmp_path: Path) -> None:
    """It has not compared all that it would; that it fails is told by another rule."""
    evidence = measured(course, tmp_path, ON_RECORD, RECORD)
    (trial,) = evidence.found
    evidence.found[trial] = Outcome((ran("test_one", {}, Verdict.FAIL), ran("test_two", {})))
    assert list(strength.weaker(evidence)) == []


# The real katas

SAMPLE = 2  # tests of a kata: all of them would take minutes


@pytest.mark.parametrize("id", RECORDED)
def test_no_real_kata_can_do_without_one_of_its_tests(id: str) -> None:
    """Each is in the manifest's number and on record, which both refuse a suite without it."""
    subject = Subject(COURSE, COURSE.select([id])[0])
    record = tomllib.loads((subject.behind / strength.FILE).read_text(encoding="utf-8"))
    assert set(record) == set(subject.by_name) and len(record) == subject.kata.tests
    reference = Trial(subject.of(Role.REFERENCE)[0])
    tests = [ran(test, {name: np.atleast_1d(each).tolist() for name, each in record[test].items()}) for test in record]
    assert list(strength.weaker(Evidence(subject, 1, {reference: Outcome(tuple(tests))}))) == []
    for test in tests:
        rest = Outcome(tuple(each for each in tests if each is not test))
        (told,) = strength.weaker(Evidence(subject, 1, {reference: rest}))
        assert told.message.startswith(f"{test.name} is on record and no longer in the suite")


def test_no_real_kata_can_have_tolerances_a_thousand_times_as_large(bench: Bench, tmp_path: Path) -> None:
    """All tolerances of a suite at once, since the rule looks at each test by itself; a sample of the tests of each kata.

    They are those whose names have the smallest checksums, of the tests that compare with a tolerance.
    """
    trials, chosen = [], []
    for id in RECORDED:
        subject = loosened_copy(id, tmp_path / id)
        record = tomllib.loads((subject.behind / strength.FILE).read_text(encoding="utf-8"))
        tests = [test for test, names in record.items() if any(np.any(np.array(each) > 0) for each in names.values())]
        chosen.append(tuple(sorted(tests, key=lambda test: crc32(test.encode()))[:SAMPLE]))
        trials.append((subject, Trial(subject.of(Role.REFERENCE)[0], only=chosen[-1])))
    missed = []
    for (subject, trial), tests, outcome in zip(trials, chosen, bench.run(trials), strict=True):
        found = strength.weaker(Evidence(subject, 1, {Trial(trial.case): outcome}))
        told = {each.message.partition(" ")[0] for each in found if "with tolerance" in each.message}
        missed += [f"{subject.id}: {test}" for test in tests if test not in told]
        assert len(outcome.tests) == len(tests) > 0, (subject.id, outcome.faults)
    assert missed == [] and trials


def loosened_copy(id: str, root: Path) -> Subject:
    """A course with this kata alone, whose suite compares a thousand times as loosely."""
    for place in ("katas", "reference"):
        shutil.copytree(ROOT / place / id, root / place / id, ignore=shutil.ignore_patterns("__pycache__"))
    manifest = root / "katas" / id / "kata.toml"
    alone = re.sub(r"^requires = .*$", "requires = []", manifest.read_text(encoding="utf-8"), flags=re.MULTILINE)
    manifest.write_text(alone, encoding="utf-8")
    subject = Subject(found := find(root, root), found.katas[0])
    for suite in subject.suites:
        (root / suite.file).write_text(loosened(suite.text)[0] + WIDE, encoding="utf-8")
    return Subject(found, found.katas[0])
