"""What an author need not do: `grade stub` counts, and copies; and what an author is told first is what is to be mended first."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from grader.authoring import check as checking
from grader.authoring.proving.finding import Finding
from grader.authoring.proving.rules import ON_FILES
from grader.authoring.proving.subject import Subject
from grader.cli import main
from grader.course import Course, find
from grader.messages.language import Language
from grader.reports import story
from grader.reports.layout import Paint
from grader.scorecard import KataResult, Verdict

from .workshop import ID, SHORT, scaffold

MORE = '''

@pytest.mark.{kind}
def test_more(solution):
    """One more."""
    assert solution.predict is not None
'''


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return scaffold(tmp_path / "course")


def edit(course: Course, name: str, *pairs: tuple[str, str]) -> None:
    path = course.root / SHORT[name]
    text = path.read_text(encoding="utf-8")
    for old, new in pairs:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


def text(course: Course, name: str) -> str:
    return (course.root / SHORT[name]).read_text(encoding="utf-8")


def stub(course: Course, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[str]]:
    """`grade stub`: its exit code and what it said."""
    with pytest.raises(SystemExit) as ended:
        main(["stub", *words, "--course", str(course.root)])
    assert isinstance(ended.value.code, int)
    return ended.value.code, capsys.readouterr().out.splitlines()


def faults(course: Course) -> list[str]:
    (kata,) = find(course.root).katas
    return [str(finding) for rule in ON_FILES for finding in rule(Subject(course, kata))]


def test_the_number_of_tests_is_counted(course: Course, capsys: pytest.CaptureFixture[str]) -> None:
    """Where it is missing, which nothing else can do without, and where it is not right any more."""
    edit(course, "kata.toml", ("tests = 6\n", ""))
    before = text(course, "kata.toml")
    told = f"{SHORT['kata.toml']}: filled in tests = 6, as many as there are"
    assert stub(course, capsys, "--check") == (1, [f"`grade stub` fills in {told.replace('filled in ', '')}"])
    assert text(course, "kata.toml") == before
    assert stub(course, capsys) == (0, [told, "1 stub is in step"])
    assert faults(course) == []
    path = course.root / SHORT["suite"]
    path.write_text(path.read_text(encoding="utf-8") + MORE.format(kind="value"), encoding="utf-8")
    assert stub(course, capsys)[1][0] == told.replace("6", "7") and find(course.root).katas[0].tests == 7
    assert stub(course, capsys) == (0, ["1 stub is in step"])


@pytest.mark.parametrize("whole", [True, False])
def test_points_of_a_kind_are_those_of_the_course(
    course: Course, capsys: pytest.CaptureFixture[str], whole: bool
) -> None:
    (course.root / "course.toml").write_text(
        'format_version = 2\nlanguages = ["en", "zh"]\n[points]\ngradient = 2.5\n', encoding="utf-8"
    )
    table = text(course, "kata.toml").partition("[points]\n")[2].partition("\n\n")[0]
    gone = f"[points]\n{table}\n\n" if whole else "gradient = 3\n"
    edit(course, "kata.toml", (gone, ""))
    code, said = stub(course, capsys)
    assert code == 0 and said[0].startswith(f"{SHORT['kata.toml']}: filled in points of kinds that had none: ")
    assert find(course.root).katas[0].points == {
        "shape": 1, "value": 4, "gradient": 2.5, "convergence": 1, "behaviour": 1,
    }  # fmt: skip
    assert faults(course) == []


def test_shapes_of_the_reference_go_into_the_tables(course: Course, capsys: pytest.CaptureFixture[str]) -> None:
    """Into the one that is there, at its end, in every language; and into a new one where there is none."""
    edit(
        course,
        "reference",
        ("    bias ()       height at zero\n", "    bias ()       height at zero\n    mask (N, 2)   which | count\n"),
    )
    page = text(course, "page")
    lines = [line for line in page.splitlines() if not line.startswith("|")]
    (course.root / SHORT["page"]).write_text("\n".join(lines) + "\n", encoding="utf-8")
    code, said = stub(course, capsys)
    assert code == 0 and f"{SHORT['chinese page']}: filled in rows in the table of shapes: mask (N, 2)" in said
    chinese = text(course, "chinese page").splitlines()
    row = chinese.index("| `mask (N, 2)` | which   count |")
    assert chinese[row - 1].startswith("| `by_weight (D,)`") and chinese[row + 1] == ""
    english = text(course, "page")
    assert english.index("| `x (N, D)` | inputs, a sample a row |") < english.index("<details>")
    assert faults(course) == []
    assert stub(course, capsys) == (0, ["1 stub is in step"])


def test_nothing_is_counted_in_a_suite_that_is_no_python(course: Course, capsys: pytest.CaptureFixture[str]) -> None:
    edit(course, "suite", ("def test_shapes(solution, rng):", "def test_shapes(solution, rng)"))
    before = text(course, "kata.toml")
    assert stub(course, capsys) == (0, ["1 stub is in step"]) and text(course, "kata.toml") == before
    line = 1 + next(
        number for number, line in enumerate(text(course, "suite").splitlines()) if "def test_shapes" in line
    )
    assert faults(course)[0] == f"{SHORT['suite']}:{line}: is not valid Python: expected ':'"
    assert len([fault for fault in faults(course) if "zh.po" not in fault]) == 1  # and nothing that follows from it


def test_a_manifest_that_no_edit_of_lines_mends_is_left_alone(
    course: Course, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(course, "kata.toml", ("tests = 6\n", '"tests" = 9\n'))
    before = text(course, "kata.toml")
    stub(course, capsys)
    assert text(course, "kata.toml") == before and tomllib.loads(before)["tests"] == 9


def test_what_is_to_be_mended_comes_before_what_is_to_be_recorded() -> None:
    found = [Finding(rule, "f", 1, rule) for rule in ("strength", "useful", "fingerprints", "right")]
    assert [each.rule for each in checking._in_order(found, False)] == ["useful", "right", "strength", "fingerprints"]
    assert [each.rule for each in checking._in_order(found, True)] == ["useful", "right"]
    assert [each.rule for each in checking._in_order(found[::2], True)] == ["strength", "fingerprints"]


@pytest.mark.parametrize(("stub", "told"), [(f"reference/{ID}/x.py", "`grade check"), ("x.py", "our fault, not yours")])
def test_an_author_is_not_told_to_write_to_the_authors(stub: str, told: str) -> None:
    result = KataResult(
        id=ID, title="T", verdict=Verdict.INTERNAL, points=0, max=1, by_kind={}, seconds=0, from_store=False,
        tests=(), message="why", stub=stub,
    )  # fmt: skip
    said = " ".join(story.story(result, 80, Paint(False), Language()).split())
    assert told in said and ("to the authors" in said) == (stub == "x.py")
