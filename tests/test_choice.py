"""`grade release --katas`: some katas of a course as a course of their own, with the grader in it or beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from grader.authoring.making import manifest
from grader.authoring.making.choice import choose
from grader.authoring.making.release import contents
from grader.authoring.proving import proof
from grader.authoring.proving.subject import Subject
from grader.course import Course, find
from grader.errors import UsageFault

from .workshop import run

TOY = Path(__file__).parent / "toy"
SOLVED = "SOLVED-7c1"


def edit(path: Path, *pairs: tuple[str, str]) -> None:
    text = path.read_text(encoding="utf-8")
    for old, new in pairs:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """The toy course and a third kata, each of which requires the one before; the author has solved a stub."""
    root = tmp_path_factory.mktemp("course")
    shutil.copytree(TOY, root, ignore=shutil.ignore_patterns("__pycache__", ".grade"), dirs_exist_ok=True)
    for place in ("katas", "reference"):
        shutil.copytree(root / place / "02_line", root / place / "03_curve")
        for path in (root / place / "03_curve").glob("*line.py"):
            path.rename(path.with_name(path.name.replace("line", "curve")))
    edit(
        root / "katas/03_curve/kata.toml",
        ('id = "02_line"', 'id = "03_curve"'),
        ("number = 2", "number = 3"),
        ('track = "foundations"', 'track = "sequences"'),
        ('requires = ["01_scale"]', 'requires = [\n  "02_line",  # which fits it\n]'),
    )
    (root / "katas/01_scale/scale.py").write_text(f'"""{SOLVED}"""\n', encoding="utf-8")
    (root / "katas/01_scale/scale.py.bak").write_text(SOLVED, encoding="utf-8")
    (root / "course.toml").write_text(
        'format_version = 2\nname = "Lines & more"\nlanguages = ["en", "zh"]\n', encoding="utf-8"
    )
    return find(root, root)


def test_what_is_required_outside_the_choice_is_recommended(course: Course) -> None:
    choice = choose(course, ["1", "curve"])
    assert [(kata.id, kata.requires, kata.recommends) for kata in choice.course.katas] == [
        ("01_scale", (), ()),
        ("03_curve", ("01_scale",), ("02_line",)),
    ]
    assert list(choice.recommended) == ["02_line"]
    alone = choose(course, ["3"]).course.katas[0]
    assert (alone.requires, alone.recommends) == ((), ("02_line", "01_scale"))
    assert choose(course).course == course and not choose(course).recommended


def test_a_track_is_chosen_beside_what_is_named(course: Course) -> None:
    def ids(*names: str, tracks: tuple[str, ...] = ()) -> list[str]:
        return [kata.id for kata in choose(course, names, tracks).course.katas]

    assert ids(tracks=("sequences",)) == ["03_curve"]
    assert ids("1", tracks=("sequences",)) == ["01_scale", "03_curve"]
    assert ids(tracks=("foundations", "sequences")) == ["01_scale", "02_line", "03_curve"]
    with pytest.raises(UsageFault, match="no kata is of the track 'sequence'") as refused:
        choose(course, (), ["sequence"])
    assert str(refused.value.next_step) == "did you mean sequences?"
    with pytest.raises(UsageFault) as refused:
        choose(course, (), ["x"])
    assert str(refused.value.next_step) == "the tracks are foundations, sequences"


def test_a_release_of_some_katas_says_what_is_in_it_and_what_each_line_means(
    course: Course, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    (course.root / "katas/README.md").write_text(
        "# Katas\n\n<!-- course -->\nold\n<!-- /course -->\n", encoding="utf-8"
    )
    for kata in course.katas:
        kata.statement("zh").write_text(kata.title, encoding="utf-8")
        kata.statement().write_text(kata.title, encoding="utf-8")
    proof.write(Subject(course, course.select(["scale"])[0]), 5)
    code, said, _ = run(capsys, "release", str(out), "--katas", "3, scale", "--course", str(course.root))
    assert code == 0
    first, *meaning = said.splitlines()
    assert first == f"{out}: 2 katas"
    assert meaning[:3] == [
        "  03_curve builds on what is not in here, and recommends it: 02_line",
        "  not proved as they stand; `grade check --record` proves them: 03_curve",
        "  the grader is in it, in grader/, without the commands for authors",
    ]
    released = find(out, out)
    assert [(kata.id, kata.requires, kata.recommends) for kata in released.katas] == [
        ("01_scale", (), ()),
        ("03_curve", ("01_scale",), ("02_line",)),
    ]
    readme = (out / "README.md").read_text(encoding="utf-8")
    assert readme.startswith("# Lines & more\n")
    assert "| 1 | " in readme and "| 3 | " in readme and "| 2 | " not in readme
    assert "- 03_curve builds on " in readme and "(02_line)" in readme
    assert "[中文](README.zh.md)" in readme
    chinese = (out / "README.zh.md").read_text(encoding="utf-8")
    line = course.select(["line"])[0]
    assert f"- 03_curve 以 {line.title_zh} (02_line) 为基础" in chinese and "$" not in chinese
    assert "(katas/01_scale/README.zh.md)" in chinese and released.katas[0].blurb_zh in chinese
    assert not (out / "katas/02_line").exists()
    listed = (out / "katas/README.md").read_text(encoding="utf-8")
    assert (
        "(01_scale/README.md)" in listed
        and "### sequences\n" in listed
        and "02_line" not in listed
        and "old" not in listed
    )
    texts = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert not [path for path, content in texts.items() if SOLVED.encode() in content]
    assert b"raise NotImplementedError" in (out / "katas/01_scale/scale.py").read_bytes()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--katas", "1,9"], "there is no kata '9'"),
        (["--katas", " , "], "--katas names no kata"),
        (["--track", "visio"], "no kata is of the track 'visio'"),
    ],
)
def test_a_choice_of_nothing_is_refused_before_anything_is_written(
    course: Course, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    code, _, said = run(capsys, "release", str(tmp_path / "out"), *words, "--course", str(course.root))
    assert code == 2 and told in said and not (tmp_path / "out").exists()


def test_the_grader_of_a_release_has_no_commands_for_authors_and_works(course: Course, tmp_path: Path) -> None:
    """Its own command, in a process that sees nothing of ours: the list of commands, and a stub that is brought back."""
    for name, content in contents(choose(course, ["1"])).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    assert not list(tmp_path.rglob("authoring")) and (tmp_path / "grader/LICENSE").read_text().startswith("MIT License")
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8"}

    def grade(*words: str) -> subprocess.CompletedProcess[str]:
        start = "import grader; from grader.cli import main; assert grader.__file__.startswith(PLACE); main(WORDS)"
        code = start.replace("PLACE", repr(str(tmp_path))).replace("WORDS", repr(list(words)))
        command = [sys.executable, "-c", code]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

    listed = grade("--help").stdout
    commands = {line.split()[0] for line in listed.partition("Commands:")[2].splitlines() if line.startswith("  ")}
    assert {"run", "reset", "doctor"} <= commands and not {"init", "new", "stub", "check", "release"} & commands
    stub = tmp_path / "katas/01_scale/scale.py"
    before = stub.read_bytes()
    stub.write_text("mine", encoding="utf-8")
    assert grade("reset", "scale", "--yes").returncode == 0 and stub.read_bytes() == before
    assert "no kata 'check'" in grade("check").stderr


def test_a_release_that_depends_on_the_published_grader_holds_katas_alone(course: Course) -> None:
    from grader import __version__

    files = contents(choose(course, ["1"]), published=True)
    assert not [name for name in files if name.startswith("grader/")]
    project = tomllib.loads(files["pyproject.toml"].decode())["project"]
    assert project["name"] == "lines-more-katas" and project["dependencies"] == [f"gradkata=={__version__}"]
    assert b"grader/LICENSE" not in files["README.md"]
    carried = tomllib.loads(contents(choose(course, ["1"]))["pyproject.toml"].decode())["project"]
    ours = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {each.split(">")[0] for each in carried["dependencies"]} >= {"numpy", "click"}
    assert len(carried["dependencies"]) == len(ours["dependencies"])
    for table in ("scripts", "entry-points"):
        assert carried[table] == ours[table]


MANIFEST = """\
id = "x"
tests = 3  # so many
requires = [
  "01_a",  # first
]

[points]
shape = 1
value = 2  # most

[limits]
seconds = 2.0
"""


def test_a_manifest_is_changed_where_it_must_be_and_nowhere_else() -> None:
    assert manifest.with_number(MANIFEST, "tests", 5) == MANIFEST.replace("tests = 3", "tests = 5")
    assert manifest.with_number(MANIFEST.replace("tests = 3  # so many\n", ""), "tests", 5) == MANIFEST.replace(
        "tests = 3  # so many\n", ""
    ).replace("]\n\n[points]", "]\ntests = 5\n\n[points]")
    short = manifest.with_list(MANIFEST, "requires", [])
    assert short == MANIFEST.replace('[\n  "01_a",  # first\n]', "[]")
    assert manifest.with_list(MANIFEST, "recommends", []) == MANIFEST
    assert manifest.with_list(MANIFEST, "recommends", ["02_b"]) == MANIFEST.replace(
        "]\n\n[points]", ']\nrecommends = ["02_b"]\n\n[points]'
    )
    more = MANIFEST.replace("# most\n", "# most\ngradient = 3\n")
    assert manifest.with_points(MANIFEST, {"gradient": 3.0}) == more
    assert manifest.without_points(more, ["gradient"]) == MANIFEST
    bare = MANIFEST.replace("[points]\nshape = 1\nvalue = 2  # most\n\n", "")
    assert tomllib.loads(manifest.with_points(bare, {"shape": 1.0, "value": 2.0})) == tomllib.loads(MANIFEST)
    assert manifest.says(MANIFEST, tomllib.loads(MANIFEST)) and not manifest.says("[", {})
