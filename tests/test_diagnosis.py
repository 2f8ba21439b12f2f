"""Diagnosis: a failure that a known mistake explains is named, and one that none explains, or too many, is not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from grader import diagnosis
from grader.authoring.making import release
from grader.authoring.making.choice import choose
from grader.authoring.proving import fingerprints
from grader.authoring.proving.bench import Bench
from grader.authoring.proving.case import Role
from grader.authoring.proving.evidence import Evidence
from grader.authoring.proving.subject import Subject
from grader.course import Course, find
from grader.diagnosis import Fingerprints, Known, Print, agree, diagnosed, rich
from grader.messages import Message, Value, message, text
from grader.messages.english import SAYS, Says
from grader.scorecard import Cause, KataResult, TestResult, Trace, Verdict
from grader.session import Session
from grader.store import Store

from .workshop import ID, SHORT, Edits, edited, judge, new_bench, scaffold

ROOT = Path(__file__).resolve().parents[1]
FOUND = {"error": 0.2283, "relative": 0.38, "got": 0.0568742, "index": [2, 0], "wrong": 8, "size": 8}
GIVEN = {"name": text("logits"), "allowed": 1e-6, "expected": 0.285125, "slip": None}
SAID = message("value.off", **FOUND, **GIVEN)
TRACE = Trace("a1", 40, (1.0, -2.0, 0.5, 0.25, 3.0))
PRINT = Print(SAID, TRACE)
OTHER = Print(message("value.off", **{**FOUND, "error": 0.3149, "got": 0.6001}, **GIVEN), TRACE)
SHAPE = Print(message("value.shape", name=text("h"), got=[2, 3], expected=[3, 2], swapped=None), TRACE)


def changed(print: Print, **args: Value) -> Print:
    return replace(print, said=message(print.said.code, **{**print.said.args, **args}))


def told(said: Message) -> Print:
    return Print(said, TRACE)


def failing(name: str = "test_a", print: Print = PRINT) -> TestResult:
    return TestResult(
        name=name,
        kind="value",
        title="A.",
        verdict=Verdict.FAIL,
        message=str(print.said),
        said=print.said,
        trace=print.trace,
    )


def passing(name: str) -> TestResult:
    return TestResult(name=name, kind="value", title="B.", verdict=Verdict.PASS)


def result(*tests: TestResult) -> KataResult:
    return KataResult(
        id=ID,
        title="T",
        verdict=Verdict.FAIL,
        points=0.0,
        max=1.0,
        by_kind={},
        seconds=0.1,
        from_store=False,
        tests=tests,
    )


def known(id: str, **tests: Print) -> Known:
    return Known(id, f"You made {id}.", f"你犯了 {id}。", tests)


def said(found: KataResult, name: str = "test_a") -> str:
    cause = next(test for test in found.tests if test.name == name).cause
    return cause.diagnosis if cause else ""


# Which failures are the same


@pytest.mark.parametrize(
    "other, same",
    [
        (PRINT, True),
        (changed(PRINT, error=0.2283004, got=0.0568743), True),
        (changed(PRINT, error=0.2284), False),
        (replace(PRINT, trace=replace(TRACE, numbers=(1.0, -2.0, 0.5, 0.2501, 3.0))), True),
        (replace(PRINT, trace=replace(TRACE, numbers=(1.0, -2.0, 0.5, 0.26, 3.0))), False),
        (replace(PRINT, trace=replace(TRACE, form="a2")), False),
        (replace(PRINT, trace=replace(TRACE, count=41)), False),
        (replace(PRINT, trace=None), False),
        (changed(PRINT, name=text("outputs")), False),
        (changed(PRINT, index=[2, 1]), False),
        (changed(PRINT, got=-0.0568742), False),
        (changed(PRINT, got=float("nan")), False),
        (told(message("value.unequal", **SAID.args)), False),
        (told(text("no")), False),
        (changed(PRINT, slip=message("slip.zero")), False),
        (changed(PRINT, more=1), False),
    ],
)
def test_failures_agree_in_code_and_words_and_in_numbers_to_rounding(other: Print, same: bool) -> None:
    assert agree(PRINT, other) is same
    assert agree(other, PRINT) is same


def test_what_else_a_module_holds_is_no_part_of_what_is_wrong() -> None:
    def missing(key: str, found: str) -> Print:
        return told(
            message("state.missing", name=text("the model"), key=key, expected=message("a.any_tensor"), found=found)
        )

    assert agree(missing("h.weight", "a.weight"), missing("h.weight", "chain.0.weight, a.weight"))
    assert not agree(missing("h.weight", "a.weight"), missing("h.bias", "a.weight"))


def test_what_was_raised_agrees_in_its_words_and_its_numbers() -> None:
    def raised(error: str) -> Print:
        return told(message("raised", error=error))

    assert agree(raised("got nan at 1e-300"), raised("got nan at 3e-17"))
    assert not agree(raised("got inf"), raised("got nan"))
    assert not agree(raised("4 by 5"), raised("4 by 6"))
    assert not agree(raised("4 by 5"), raised("4 of 5"))


def test_a_fingerprint_outlives_the_wording(monkeypatch: pytest.MonkeyPatch) -> None:
    mistakes = Fingerprints((known("a", test_a=PRINT),))
    monkeypatch.setitem(SAYS, "value.off", Says("quite another sentence"))
    assert said(diagnosed(result(failing(print=PRINT)), mistakes)) == "You made a."


# What is said


def test_a_failure_that_one_mistake_explains_is_named_in_both_languages() -> None:
    found = diagnosed(result(failing()), Fingerprints((known("a", test_a=PRINT), known("b", test_a=OTHER))))
    (test,) = found.tests
    assert test.cause == Cause(diagnosis="You made a.", diagnosis_zh="你犯了 a。")


@pytest.mark.parametrize(
    "poor", [told(text("no")), SHAPE, changed(PRINT, got=0.5), changed(PRINT, got=float("inf"), error=1.0)]
)
def test_a_poor_trace_names_only_what_agrees_with_every_test_that_ran(poor: Print) -> None:
    mistakes = Fingerprints((known("a", test_a=poor, test_b=OTHER),))
    assert not rich(poor.said)
    assert said(diagnosed(result(failing(print=poor), failing("test_b", OTHER)), mistakes)) == "You made a."
    assert said(diagnosed(result(failing(print=poor), failing("test_b", SHAPE)), mistakes)) == ""
    assert said(diagnosed(result(failing(print=poor)), mistakes)) == "You made a."


def test_a_rich_trace_names_alone_so_that_who_made_two_hears_of_each() -> None:
    mistakes = Fingerprints((known("a", test_a=PRINT, test_b=OTHER), known("b", test_b=changed(OTHER, got=0.7771))))
    found = diagnosed(result(failing(print=PRINT), failing("test_b", changed(OTHER, got=0.7771))), mistakes)
    assert rich(PRINT.said) and rich(OTHER.said)
    assert (said(found), said(found, "test_b")) == ("You made a.", "You made b.")


def test_of_two_mistakes_that_look_alike_both_are_named_and_of_three_none() -> None:
    two = [known(id, test_a=PRINT) for id in "ab"]
    assert said(diagnosed(result(failing()), Fingerprints((*two,)))) == "one of these: (1) You made a. (2) You made b."
    assert said(diagnosed(result(failing()), Fingerprints((*two, known("c", test_a=PRINT))))) == ""


def test_a_poor_trace_names_no_mistake_that_another_test_would_have_seen() -> None:
    mistakes = Fingerprints((known("a", test_a=SHAPE, test_b=OTHER),))
    assert said(diagnosed(result(failing(print=SHAPE), passing("test_b")), mistakes)) == ""


def test_a_rich_trace_names_what_other_tests_pass_for_where_nothing_else_explains_it() -> None:
    """Whose functions do not call each other has the slip in one of them."""
    a = known("a", test_a=PRINT, test_b=OTHER)
    assert said(diagnosed(result(failing(), passing("test_b")), Fingerprints((a,)))) == "You made a."
    assert said(diagnosed(result(failing(), failing("test_b", SHAPE)), Fingerprints((a,)))) == "You made a."
    both = Fingerprints((a, known("b", test_a=PRINT)))
    assert said(diagnosed(result(failing(), passing("test_b")), both)) == "You made b."


@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if verdict is not Verdict.FAIL])
def test_only_what_fails_on_a_comparison_is_diagnosed(verdict: Verdict) -> None:
    mistakes = Fingerprints((known("a", test_a=PRINT), known("b", test_b=OTHER)))
    assert said(diagnosed(result(replace(failing(), verdict=verdict)), mistakes)) == ""


@pytest.mark.parametrize("content", [None, b"", b"\xff", b"[1]", b'{"mistakes": [{"id": 3}]}'])
def test_fingerprints_that_cannot_be_read_are_none(tmp_path: Path, content: bytes | None) -> None:
    course = scaffold(tmp_path)
    if content is not None:
        (tmp_path / f"reference/{ID}/{diagnosis.FILE}").write_bytes(content)
    assert diagnosis.load(course, course.katas[0]) == Fingerprints()


# From the authors' mistakes to a learner's scorecard


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """A new kata whose fingerprints are on record."""
    made = scaffold(tmp_path_factory.mktemp("course"))
    bench = new_bench(tmp_path_factory.mktemp("bench"))
    assert fingerprints.write(evidence(bench, Subject(made, made.katas[0]))) is not None
    bench.close()
    return made


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = new_bench(tmp_path_factory.mktemp("bench"))
    yield made
    made.close()


def evidence(bench: Bench, subject: Subject) -> Evidence:
    trials = [trial for trial in Evidence(subject, 1).base(False) if not trial.case.right]
    return judge(bench, subject, trials)


def test_every_mistake_is_named_where_it_is_made_also_in_a_release(course: Course, tmp_path: Path) -> None:
    """What its own test says is named; the learner's file is not the text that was recorded, only the same mistake."""
    released = tmp_path / "released"
    for path, content in release.contents(choose(course)).items():
        if path.startswith("katas/"):
            (released / path).parent.mkdir(parents=True, exist_ok=True)
            (released / path).write_bytes(content)
    for number, place in enumerate((course, find(released, released))):
        session = Session(place, Store(tmp_path / str(number), print))
        for mistake in Subject(course, course.katas[0]).mistakes.mistakes:
            (tmp_path / "my_topic.py").write_text("# mine\n" + mistake.text, encoding="utf-8")
            for _ in ("judged", "from the store"):
                (found,) = session.grade(place.katas, tmp_path).katas
                assert mistake.says in said(found, mistake.caught_by), mistake.id
        (tmp_path / "my_topic.py").write_text("def predict(x, weight, bias):\n    return 7 * x @ weight\n", "utf-8")
        (found,) = session.grade(place.katas, tmp_path).katas
        session.close()
        assert [said(found, test.name) for test in found.tests] == [""] * 6


def test_a_hidden_test_leaves_no_print_in_a_release(course: Course, tmp_path: Path) -> None:
    subject = edited(course, tmp_path, {SHORT["suite"]: ("def test_shapes", "def test_other_shapes")})
    assert b"test_shapes" in (tmp_path / f"reference/{ID}/{diagnosis.FILE}").read_bytes()
    assert b"test_shapes" not in (fingerprints.released(subject) or b"test_shapes")


STALE: dict[str, tuple[Edits, str]] = {
    "other advice": ({SHORT["mistakes.toml"]: ("the statement asks for squares", "squares are asked for")}, "errors-not-squared"),
    "another edit": ({SHORT["mistakes.toml"]: ("0.0 * bias", "0.5 * bias")}, "bias-forgotten"),
    "a new mistake": ({SHORT["mistakes.toml"]: ('id = "uphill"', 'id = "up-the-hill"')}, "up-the-hill"),
    "a mistake that is gone": ({SHORT["mistakes.toml"]: ('id = "uphill"', 'id = "up-the-hill"')}, "no mistake any more, uphill"),
}  # fmt: skip


@pytest.mark.parametrize("name", STALE)
def test_fingerprints_that_are_not_in_step_are_told_and_written_anew(
    course: Course, bench: Bench, tmp_path: Path, name: str
) -> None:
    edits, words = STALE[name]
    found = evidence(bench, edited(course, tmp_path, edits))
    told = [str(finding) for finding in fingerprints.stale(found)]
    assert any(words in line and f"`grade check {ID} --record`" in line for line in told), told
    assert fingerprints.write(found) is not None
    assert list(fingerprints.stale(found)) == [] and fingerprints.write(found) is None


def test_in_step_nothing_is_told(course: Course, bench: Bench, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path)
    assert list(fingerprints.stale(evidence(bench, edited(course, tmp_path, {})))) == []


def test_what_the_zoo_fails_with_too_is_no_trace_of_a_mistake(course: Course, bench: Bench, tmp_path: Path) -> None:
    found = evidence(bench, edited(course, tmp_path, {}))
    zoo = {
        (name, msgspec.json.encode(ran.said), ran.trace)
        for case in found.subject.of(Role.ZOO)
        for name, ran in found.ran(case).items()
        if ran.verdict is Verdict.FAIL
    }
    prints = fingerprints.measured(found)
    assert prints is not None and zoo
    assert not zoo & {
        (name, msgspec.json.encode(one.said), one.trace) for each in prints.mistakes for name, one in each.tests.items()
    }


@pytest.mark.parametrize("kata", find(ROOT, ROOT).katas, ids=lambda kata: kata.id)
def test_every_kata_of_this_course_names_its_mistakes(kata) -> None:  # type: ignore[no-untyped-def]
    """As far as it can be told without judging: each has its advice on record; `grade check` holds the rest in step."""
    here = find(ROOT, ROOT)
    wanted = {each.id: each.says for each in Subject(here, kata).mistakes.mistakes}
    assert {each.id: each.says for each in diagnosis.load(here, kata).mistakes} == wanted
    assert json.loads((ROOT / f"reference/{kata.id}/{diagnosis.FILE}").read_bytes())
