"""`grade init`: a course from nothing, which holds, and which takes nothing away from the folder that it is put into."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from grader import __version__
from grader.authoring.making.new import new, numbered
from grader.authoring.proving.rules import ON_FILES
from grader.authoring.proving.subject import Subject
from grader.course import Course, find
from grader.errors import UsageFault
from grader.settings import Settings

from .workshop import run


def tree(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("languages", [("en",), ("en", "zh")])
def test_an_empty_folder_becomes_a_course_that_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], languages: tuple[str, ...]
) -> None:
    """In the language of its author beside English; nothing is asked, and every rule on files holds."""
    root = tmp_path / 'Lines "and" more'
    code, said, _ = run(capsys, "init", str(root), "--lang", languages[-1])
    assert code == 0
    named = said.partition("\n\n")[0].splitlines()
    assert sorted(named) == sorted(name for name in tree(root) if not name.startswith(".grade/"))
    assert (
        ("README.zh.md" in named) == ("zh" in languages) == ("[中文](README.zh.md)" in (root / "README.md").read_text())
    )
    course = find(root)
    assert (course.name, course.languages, course.settings.tracks) == (root.name, languages, ("foundations",))
    assert [kata.id for kata in course.katas] == ["01_line"]
    subject = Subject(course, course.katas[0])
    assert [str(finding) for rule in ON_FILES for finding in rule(subject)] == []
    assert len(subject.mistakes.mistakes) >= 6 and subject.variants


def test_what_it_writes_installs_the_grader_and_grades_on_github(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, "init", str(tmp_path))[0] == 0
    settings = tomllib.loads((tmp_path / "pyproject.toml").read_text(encoding="utf-8"))
    assert settings["project"]["dependencies"] == [f"gradkata=={__version__}"]
    assert settings["tool"]["pytest"]["ini_options"]["testpaths"] == ["katas"]
    workflow = yaml.safe_load((tmp_path / ".github/workflows/grade.yml").read_text(encoding="utf-8"))
    used = {step["uses"] for job in workflow["jobs"].values() for step in job["steps"] if "uses" in step}
    own = [tmp_path / each / "action.yml" for each in used if each.startswith("./")]
    steps = [step for path in own for step in yaml.safe_load(path.read_text(encoding="utf-8"))["runs"]["steps"]]
    assert any("pip install --quiet" in step.get("run", "") for step in steps)
    git = ["git", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "--quiet"], check=True)
    listed = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True).stdout
    assert ".grade" not in listed and "?? katas/" in listed


def test_files_that_are_there_stay_and_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = {"README.md": b"mine", ".gitignore": b"mine too", ".git/HEAD": b"ref: x"}
    for name, content in mine.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    code, said, _ = run(capsys, "init", str(tmp_path))
    assert code == 0 and mine.items() <= tree(tmp_path).items()
    assert "README.md was there, and stays as it was\n.gitignore was there, and stays as it was\n" in said


@pytest.mark.parametrize("name", ["katas", "reference", "course.toml"])
def test_a_course_is_not_begun_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    (tmp_path / name).write_text("format_version = 2\n", encoding="utf-8")
    code, said, told = run(capsys, "init", str(tmp_path))
    assert (code, said) == (2, "") and f"has a course already, or a part of one: {name}" in told
    assert tree(tmp_path) == {name: b"format_version = 2\n"}


def test_a_slug_alone_gets_the_next_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "init", str(tmp_path))
    code, said, _ = run(capsys, "new", "my_topic", "--course", str(tmp_path))
    assert code == 0 and "katas/02_my_topic/kata.toml" in said
    assert numbered(find(tmp_path), "07_other") == "07_other"


def test_a_new_kata_has_the_track_and_the_points_of_its_course(tmp_path: Path) -> None:
    settings = Settings(
        tracks=("first steps", "more"),
        points={"shape": 2, "value": 1.5, "gradient": 1, "convergence": 3, "behaviour": 0},
    )
    course = Course(tmp_path, (), settings)
    new(course, "01_one", worker="numpy")
    (one,) = find(tmp_path).katas
    assert (one.track, one.points) == ("first steps", settings.points)
    new(Course(tmp_path, (one,), settings), "02_two", worker="numpy", track="more")
    two = find(tmp_path).katas[1]
    assert two.track == "more"
    new(Course(tmp_path, (one, two), settings), "03_three", worker="numpy")
    assert find(tmp_path).katas[2].track == "more"
    with pytest.raises(UsageFault, match="no track 'mor'") as refused:
        new(Course(tmp_path, (one,), settings), "04_four", track="mor")
    assert str(refused.value.next_step) == "did you mean more?"


def test_what_the_settings_show_as_comments_may_be_taken_out_of_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "init", str(tmp_path))
    path = tmp_path / "course.toml"
    lines = path.read_text(encoding="utf-8").splitlines()
    shown = [line.removeprefix("# ") for line in lines[1:]]
    path.write_text("\n".join(shown) + "\n", encoding="utf-8")
    fields = tomllib.loads(path.read_text(encoding="utf-8"))
    assert find(tmp_path).settings.fail_under == fields["fail_under"] and fields["late"]["percent_per_day"] > 0
