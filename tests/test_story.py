"""What a run tells its learner: the step they are on, what they chose, what was printed, what was kept back, a pass."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from msgspec.structs import replace

from grader import nudges
from grader.cli.commands import run
from grader.course import Course, find
from grader.errors import UsageFault
from grader.judge.choice import choice
from grader.messages import message
from grader.messages.language import Language
from grader.reports import terminal
from grader.reports.moment import Moment
from grader.scorecard import Cause, KataResult, TestResult, Verdict
from grader.standing import follow_up
from grader.store import Store
from grader.study.choosing import resolved, titled
from grader.study.misnamed import meant_elsewhere

from .test_reports import golden

TOY = Path(__file__).with_name("toy")
DONE = "def scale(x, factor):\n    print('scaling')\n    return factor * x\n\n\n"
HALF = DONE + "def halves(x):\n    raise NotImplementedError('halves: slice at the middle')\n"
WRONG = DONE.replace("factor * x", "x") + "def halves(x):\n    return x, x\n"
RIGHT = (
    DONE
    + "def halves(x):\n    if len(x) % 2:\n        raise ValueError\n    return x[: len(x) // 2], x[len(x) // 2 :]\n"
)


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Course:
    shutil.copytree(TOY, tmp_path / "course", ignore=shutil.ignore_patterns("__pycache__", ".grade"))
    monkeypatch.chdir(tmp_path / "course")
    monkeypatch.setenv("COLUMNS", "100")
    return find(tmp_path / "course")


@pytest.fixture
def grade(course: Course, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Grade a text as the learner's file of the first kata."""

    def grade(source: str, *args: str) -> tuple[int, str]:
        course.katas[0].stub.write_text(source)
        code = run(["scale", *args])
        told = capsys.readouterr()
        return code, told.err if code == 2 else told.out

    return grade


def test_a_kata_under_way_says_its_points_and_names_what_passes(grade: Callable[..., tuple[int, str]]) -> None:
    code, told = grade(HALF)
    assert code == 1 and "○ to do" in told and "fail" not in told
    assert "3 of 4 tests pass · 3 of 4 points so far" in told
    assert "  ✓ 2. Every entry is multiplied\n" in told and "next: halves: slice at the middle" in told


def test_a_kata_is_left_at_its_first_test_that_is_wrong_and_is_no_attempt(
    grade: Callable[..., tuple[int, str]], course: Course
) -> None:
    assert "3 tests do not pass" not in grade(WRONG, "-x", "--fresh")[1]
    told = grade(WRONG, "-x")[1]
    assert "tests were not run, the first because the kata was left at its first test" in told
    store = Store(course.root, lambda said: pytest.fail(str(said)))
    assert store.attempts("01_scale") == []
    assert grade(RIGHT, "-x")[0] == 0
    assert [attempt.verdict for attempt in store.attempts("01_scale")] == [Verdict.PASS]


def test_chosen_tests_are_shown_as_such_and_never_a_pass_of_the_kata(
    grade: Callable[..., tuple[int, str]], course: Course
) -> None:
    code, told = grade(HALF, "-k", "shape or pure")
    assert code == 0 and "✓ pass" not in told
    assert "- in part  01_scale" in told and "2 of 2 tests pass · 2 of 4 points so far" in told
    assert "2 of 4 tests were chosen: the kata as a whole is not judged by them" in told
    report = ElementTree.fromstring(grade(HALF, "-k", "shape or halves", "--report", "junit")[1])
    assert [(case.get("name"), [each.tag for each in case]) for case in report.iter("testcase")] == [
        ("test_shape", ["system-out"]), ("test_halves", ["skipped"]),
    ]  # fmt: skip
    assert grade(HALF, "-k", "halves")[0] == 1
    store = Store(course.root, lambda said: pytest.fail(str(said)))
    assert store.attempts("01_scale") == []
    assert "3 of 4 tests pass" in grade(HALF)[1], "nothing of it was stored as the result of the whole kata"


def test_a_choice_of_nothing_and_no_expression_are_told(
    grade: Callable[..., tuple[int, str]],
) -> None:
    for wrong in ("shape and", "shape pure", "shape == pure", "(shape pure", "("):
        with pytest.raises(UsageFault, match="is no expression of parts of names, and no title has these words"):
            grade(HALF, "-k", wrong)
    with pytest.raises(UsageFault, match="no test is chosen by 'nothing'") as fault:
        grade(HALF, "-k", "nothing")
    assert "3. The two halves of an array of even length.  test_halves" in str(fault.value.next_step)


@pytest.mark.parametrize(
    "typed",
    [
        "3",
        "3. The two halves of an array of even length (value)",
        "two halves",
        "Halves, of an even length!",
        "偶数的数组的两半",
    ],
)
def test_a_test_is_chosen_by_its_number_or_words_of_its_title(
    grade: Callable[..., tuple[int, str]], course: Course, typed: str
) -> None:
    code, told = grade(WRONG, "-k", typed)
    assert code == 1 and "  3. The two halves of an array of even length (value)" in told and "1 of 4 tests" in told


def test_several_numbers_are_several_tests_and_others_there_are_not(grade: Callable[..., tuple[int, str]]) -> None:
    for several in ("1, 4", "1 or 4", "4 1"):
        assert "2 of 4 tests were chosen" in grade(RIGHT, "-k", several)[1]
    for none in ("0", "5", "1 5"):
        with pytest.raises(UsageFault, match="01_scale has no test") as fault:
            grade(RIGHT, "-k", none)
        assert "1. The result has the shape of the input." in str(fault.value.next_step)


def test_a_number_is_of_one_kata_and_a_title_of_the_only_one_that_has_it(course: Course) -> None:
    english = Language("en")
    with pytest.raises(UsageFault, match="of one kata"):
        resolved(course, course.katas, "3", english)
    katas, expression = resolved(course, course.katas, "two halves", english)
    assert [kata.id for kata in katas] == ["01_scale"] and expression == "(test_halves)"
    suite = course.katas[1].suite
    suite.write_text(suite.read_text() + '\n\ndef test_more():\n    """Two halves again."""\n')
    with pytest.raises(UsageFault, match="in titles of tests of 01_scale, 02_line"):
        resolved(course, course.katas, "two halves", english)
    assert resolved(course, course.katas, "pure", english) == (course.katas, "pure")
    assert resolved(course, course.katas, "halves", english) == (course.katas[:1], "halves"), "no kata without one"


def test_a_name_that_is_part_of_another_picks_itself_alone(course: Course) -> None:
    suite = course.katas[0].suite
    suite.write_text(suite.read_text() + '\n\ndef test_shape_too():\n    """Of both."""\n')
    (kata,), expression = resolved(course, course.katas[:1], "1", Language("en"))
    meant = choice(expression)
    assert [test.name for test in titled(course, kata) if meant(test.name)] == ["test_shape"]
    suite.write_text("no python (")
    assert resolved(course, course.katas[:1], "shape", Language("en")) == (course.katas[:1], "shape")


@pytest.mark.parametrize("name", ["SCALE.py", "scale (1).py", "scale_final.py", "answer.py"])
def test_an_answer_beside_an_untouched_stub_is_told_of(
    course: Course, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    kata = course.katas[0]
    (kata.folder / name).write_text(RIGHT)
    (kata.folder / "notes.py").write_text("x = 1\n")
    (kata.folder / "half.py").write_text("def scale(:\n")
    assert run(["scale"]) == 1
    told = capsys.readouterr().err
    sentence = f"katas/01_scale/scale.py is untouched; you may have meant {name} beside it: only scale.py is judged\n"
    assert told.endswith(f"grade: {sentence}")
    assert not [*meant_elsewhere(course, course.katas[1:])]
    reference = course.reference(kata)
    marked = reference.read_text()
    reference.write_text("no python (")
    assert not [*meant_elsewhere(course, [kata])], "what is wrong with a reference is for others to say"
    reference.write_text(marked)
    kata.stub.write_text(HALF)
    assert not [*meant_elsewhere(course, course.katas)], "who has begun in the stub means the stub"


def test_every_failing_test_is_shown_on_demand_and_prints_of_passing_ones_too(
    grade: Callable[..., tuple[int, str]],
) -> None:
    told = grade(WRONG)[1]
    assert "Every entry is multiplied" in told and "The two halves" not in told and "and 2 more tests" in told
    told = grade(WRONG, "--all")[1]
    assert told.index("Every entry is multiplied") < told.index("The two halves") and "more test" not in told
    assert "| scaling" not in grade(RIGHT)[1]
    assert grade(RIGHT, "-s")[1].count("    | scaling\n") == 5  # of the tests for shape, values (three) and purity


def test_the_step_that_a_test_reached_is_known(grade: Callable[..., tuple[int, str]]) -> None:
    tests = json.loads(grade(WRONG, "--report", "json")[1])["katas"][0]["tests"]
    assert {test["name"]: test["step"] for test in tests} == {
        "test_shape": 1, "test_values": 1, "test_halves": 2, "test_pure": 1,
    }  # fmt: skip


def failing(name: str, step: int) -> TestResult:
    said = message("value.unequal")
    return TestResult(name=name, kind="value", title=name, verdict=Verdict.FAIL, message=name, said=said, step=step)


def test_the_failure_at_the_earliest_step_is_told_first() -> None:
    card = golden("mixed")
    kata = replace(card.katas[1], tests=(failing("the whole", 3), failing("the second", 2), failing("too", 2)))
    text = terminal.render(replace(card, katas=(kata,)))
    assert "the second" in text and "the whole" not in text
    text = terminal.render(replace(card, katas=(kata,)), every=True)
    assert text.index("the second") < text.index("too (value)") < text.index("the whole")


def test_curves_of_a_run_of_several_are_those_that_are_new(course: Course) -> None:
    card = golden("all-pass")
    shown = [kata for kata in card.katas if kata.id == "04_lstm"]
    assert shown[0].from_store and "training loss" not in terminal.render(card)
    assert "training loss" in terminal.render(replace(card, katas=tuple(shown)))
    new = tuple(replace(kata, from_store=False) for kata in card.katas)
    assert "training loss" in terminal.render(replace(card, katas=new))


def test_a_first_pass_is_a_moment_and_a_second_is_none(grade: Callable[..., tuple[int, str]], course: Course) -> None:
    course.katas[0].statement().write_text(
        "# Scale\n\n<details><summary>Hints</summary>\n\n**Not this?** No.\n\n</details>\n\n"
        "<details><summary>Follow-up</summary>\n\n**Why does\nit scale?** Because.\n\n**Not asked.**\n\n</details>\n"
    )
    grade(HALF)
    told = grade(RIGHT)[1]
    assert re.search(r"^✓ 01_scale  Scale\n  you built +Multiply an array, in numpy\.$", told, re.MULTILINE)
    assert re.search(r"^  it took +1 minute · 2 attempts$", told, re.MULTILINE)
    assert re.search(r"^  think of +Why does it scale\?$", told, re.MULTILINE) and "Not this?" not in told
    assert re.search(r"^  course +1 of 2 katas pass$", told, re.MULTILINE)
    assert "you built" not in grade(RIGHT + "\n")[1]
    assert told.endswith("Next: katas/02_line/line.py (statement: katas/02_line/README.md)\n")


def test_a_moment_counts_in_units_that_fit() -> None:
    for seconds, words in ((5, "1 minute"), (3599, "59 minutes"), (7300, "2 hours"), (200_000, "2 days")):
        each = Moment("01_scale", "Scale", "it", seconds=seconds, attempts=3)
        assert f" {words} · 3 attempts\n" in terminal.render(golden("all-pass"), after=terminal.After(moments=[each]))
    each = Moment("01_scale", "Scale", "it")
    assert "it took    1 attempt\n" in terminal.render(golden("all-pass"), after=terminal.After(moments=[each]))


def test_every_kata_of_the_course_has_follow_up_questions_in_both_languages() -> None:
    for kata in find(TOY.parents[1]).katas:
        english, chinese = (len(follow_up(kata, code)) for code in ("en", "zh"))
        assert 2 <= english == chinese <= 3, kata.id


class _Known:
    """A session in which one mistake is known of the first kata."""

    def diagnosed(self, result: KataResult) -> KataResult:
        tests = [
            replace(test, cause=replace(test.cause or Cause(), diagnosis="You forgot it.", diagnosis_zh="忘了乘。"))
            if test.verdict is Verdict.FAIL
            else test
            for test in result.tests
        ]
        return replace(result, tests=tuple(tests))


def test_what_is_known_of_a_bug_is_kept_for_a_hint(
    grade: Callable[..., tuple[int, str]],
    course: Course,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("grader.diagnosis.diagnosed", lambda result, known: _Known().diagnosed(result))
    assert "You forgot it." in grade(WRONG)[1]
    monkeypatch.setenv("GRADE_DIAGNOSIS", "no")
    assert "You forgot it." not in grade(WRONG)[1]
    assert "You forgot it." not in grade(WRONG, "--report", "json")[1]
    run(["hint", "scale"])
    assert capsys.readouterr().out == "your bug, by its traces\n  You forgot it.\n"
    run(["hint", "scale"])
    assert "hint 1 of 3" in capsys.readouterr().out
    grade(WRONG, "--no-diagnosis")
    course.katas[0].stub.write_text(HALF)
    run(["hint", "scale"])
    assert "hint 2 of 3" in capsys.readouterr().out, "it was said of another file"


def test_a_note_that_cannot_be_read_is_no_note(course: Course) -> None:
    store = Store(course.root, lambda said: pytest.fail(str(said)))
    kata = course.katas[0]
    for name, value in (("diagnosis", "{"), ("hints", "many")):
        store.put_note(kata.id, name, value)
    nudge = nudges.next_nudge(store, kata, "")
    assert nudge is not None and nudge.number == 1


def test_what_was_judged_from_elsewhere_counts_once_it_is_the_learners_own(
    course: Course, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["scale", "--from", "reference"]) == 0
    shutil.copy(course.root / "reference/01_scale/scale.py", course.katas[0].stub)
    capsys.readouterr()
    for first in (True, False):
        assert run(["scale"]) == 0
        told = capsys.readouterr().out
        assert "stored" in told and ("you built" in told) is first
    store = Store(course.root, lambda said: pytest.fail(str(said)))
    assert [(each.verdict, bool(each.origin)) for each in store.attempts("01_scale")] == [
        (Verdict.PASS, True), (Verdict.PASS, False),
    ]  # fmt: skip
