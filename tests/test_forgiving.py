"""What costs a learner nothing: a misnamed file, a broken manifest elsewhere, an import too many, plots, a slip that has a name."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from grader.absent import compiled
from grader.cli.commands import run
from grader.course import Course, find
from grader.errors import CourseFault, UsageFault
from grader.scorecard import KataResult, Verdict
from grader.submission import read

TOY = Path(__file__).with_name("toy")
SCALE = (TOY / "reference/01_scale/scale.py").read_text()
LINE = (TOY / "reference/02_line/line.py").read_text()


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Course:
    shutil.copytree(TOY, tmp_path / "course", ignore=shutil.ignore_patterns("__pycache__", ".grade"))
    monkeypatch.chdir(tmp_path / "course")
    monkeypatch.setenv("COLUMNS", "100")
    return find(tmp_path / "course")


# A file by another name


@pytest.mark.parametrize(
    "name", ["SCALE.PY", "scale (1).py", "Scale_final.py", "my-scale.py", "scale2.py", "01_scale.py"]
)
def test_a_file_that_looks_like_the_missing_one_is_named(course: Course, name: str) -> None:
    kata = course.katas[0]
    kata.stub.rename(kata.folder / name)
    (kata.folder / "notes_on_downscale.py").touch()
    problem = read(kata, None, course).problem
    assert problem is not None
    assert problem.message == f"katas/01_scale/scale.py is missing, and katas/01_scale/{name} stands there"
    assert str(problem.help) == "name it scale.py, if that is your answer"


def test_neither_a_suite_nor_the_file_of_another_kata_is_taken_for_it(course: Course, tmp_path: Path) -> None:
    course.katas[0].stub.unlink()
    problem = read(course.katas[0], None, course).problem
    assert problem is not None and problem.message == "katas/01_scale/scale.py is missing"
    for name in ("line.py", "test_scale.py", "scale.txt", "scaler.py"):
        (tmp_path / name).touch()
    problem = read(course.katas[0], tmp_path, course).problem
    assert problem is not None and "stands there" not in problem.message
    (tmp_path / "scale(2).py").touch()
    problem = read(course.katas[0], tmp_path, course).problem
    assert problem is not None and problem.message.endswith("scale(2).py stands there")


# A course with a fault in it


def test_a_broken_manifest_stops_only_its_own_kata(course: Course, capsys: pytest.CaptureFixture[str]) -> None:
    (course.katas[1].folder / "kata.toml").write_text("number = 'two'\n")
    assert run(["list"]) == 0
    told = capsys.readouterr()
    assert "01_scale" in told.out and "02_line" not in told.out
    assert "katas/02_line/kata.toml" in told.err and "this kata is left out" in told.err
    assert run(["scale", "--from", "reference"]) == 0
    assert run(["--from", "reference"]) == 2, "not all that was asked for could be judged"
    assert "1 of 1 kata passes" in capsys.readouterr().out
    assert told.err.count("02_line") == 1, "one line is enough"
    with pytest.raises(CourseFault):
        find(course.root)


@pytest.mark.parametrize("name", ["01_scale copy", "00_scale", "99_scale"])
def test_a_copied_folder_leaves_the_kata_that_it_was_copied_from(
    course: Course, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    shutil.copytree(course.katas[0].folder, course.root / "katas" / name)
    assert run(["list"]) == 0
    told = capsys.readouterr()
    assert "01_scale" in told.out and "02_line" in told.out and name not in told.out
    assert [line for line in told.err.splitlines() if f"katas/{name}/kata.toml: id must be" in line]
    assert "katas/01_scale/kata.toml:" not in told.err


def test_where_no_kata_is_left_the_course_is_at_fault(course: Course) -> None:
    for kata in course.katas:
        (kata.folder / "kata.toml").write_text("nothing\n")
    with pytest.raises(CourseFault, match="02_line"):
        run(["list"])


# An import of what is not there


@pytest.mark.parametrize(
    ("source", "left_out"),
    [
        ("import nowhere\n", ["nowhere"]),
        ("import nowhere.inside as n, os\nos.sep\n", ["nowhere"]),
        ("from nowhere.inside import a, b as c\nimport nowhere\n", ["nowhere"]),
        ("import os, json\nfrom pathlib import Path\n", []),
        ("from torch.nowhere import a\n", []),
        ("import nowhere\nnowhere.a\n", []),
        ("import nowhere.inside\ndef f(): return nowhere\n", []),
        ("from nowhere import a, b\nb()\n", []),
        ("from nowhere import *\n", []),
        ("from . import nowhere\n", []),
        ("try:\n    import nowhere\nexcept ImportError:\n    pass\n", []),
        ("import nowhere\n__all__ = ['nowhere']\n", []),
    ],
)
def test_only_what_nothing_uses_is_left_out(source: str, left_out: list[str]) -> None:
    code, found = compiled(source, "a.py")
    assert found == left_out
    if left_out:
        exec(code, {"__name__": "a"})


def test_the_lines_stay_where_they_are() -> None:
    code, _ = compiled("import nowhere\n\n\nraise ValueError\n", "a.py")
    with pytest.raises(ValueError) as raised:
        exec(code, {"__name__": "a"})
    assert raised.traceback[-1].lineno == 3  # from 0


def test_a_kata_is_judged_without_it_and_says_so(grade_source: Callable[..., KataResult]) -> None:
    result = grade_source("import nowhere\nfrom elsewhere import thing\n" + SCALE)
    assert result.verdict is Verdict.PASS
    assert result.message.endswith("not installed: nowhere, elsewhere")
    result = grade_source("import nowhere\n" + SCALE.replace("return", "nowhere.x()\n    return", 1))
    assert result.verdict is Verdict.ERROR and "No module named 'nowhere'" in result.tests[0].message


def test_what_is_forbidden_is_no_import_too_many(grade_source: Callable[..., KataResult]) -> None:
    assert grade_source("import torch\n" + SCALE).verdict is Verdict.FORBIDDEN


def test_the_notice_stands_on_the_scorecard_of_a_kata_that_passes(
    course: Course, capsys: pytest.CaptureFixture[str]
) -> None:
    course.katas[0].stub.write_text("import nowhere\n" + SCALE)
    for _ in range(2):  # the second is from the store
        assert run(["scale"]) == 0
        assert "01_scale  left out of your file, since nothing in it uses them" in capsys.readouterr().out


# Plots, and slips that have a name


def test_a_plot_can_be_drawn_and_shows_nothing(grade_source: Callable[..., KataResult]) -> None:
    plots = (
        "import matplotlib.pyplot as plt\n\nfigure, axes = plt.subplots()\naxes.plot([1, 2], label='loss')\n"
        "axes.legend()\nfigure.canvas.draw()\nplt.show()\n"
    )
    result = grade_source(SCALE.replace("import numpy", f"{plots}\nimport numpy", 1))
    assert result.verdict is Verdict.PASS and [test.output for test in result.tests] == [""] * 4


def test_an_update_in_place_is_told_by_name(grade_source: Callable[..., KataResult]) -> None:
    wrong = "def predict(x, w, b):\n    w += 0\n    return x @ w + b\n"
    result = grade_source(f"{LINE}\n\n{wrong}", "line")
    told = next(test for test in result.tests if "in-place" in test.message)
    assert told.cause is not None and told.cause.help.startswith("this changes a tensor in place")


def test_a_verb_that_is_no_kata_is_asked_back(course: Course) -> None:
    with pytest.raises(UsageFault, match=r"did you mean hint\?"):
        run(["hnit"])
