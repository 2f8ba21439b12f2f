"""`course.toml`: what it says and what holds where it is silent, how its faults are told, and formats of other versions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from grader import formats, reports
from grader.authoring.proving.suite import KINDS
from grader.cli import main
from grader.course import Course, find
from grader.errors import CourseFault
from grader.formats import SCHEMAS, Format
from grader.settings import FORMAT, POINTS, Settings, load

TOY = Path(__file__).parent / "toy"
FULL = """\
format_version = 2
name = "Lines"
languages = ["en", "zh"]
tracks = ["first steps", "vision"]
fail_under = 60
reports = ["json=out/card.json", "junit=card.xml"]
diagnosis = false

[names.zh]
"first steps" = "入门"
vision = "视觉"

[points]
gradient = 5

[limits]
slower = 2.5
"""


def settings(root: Path, said: str) -> Settings:
    (root / "course.toml").write_text(said, encoding="utf-8")
    return load(root)


def faults(root: Path, said: str) -> list[str]:
    with pytest.raises(CourseFault) as caught:
        settings(root, said)
    return [str(fault) for fault in caught.value.faults]


@pytest.fixture
def course(tmp_path: Path) -> Course:
    """The toy course, whose settings may be changed."""
    shutil.copytree(TOY, tmp_path / "course", ignore=shutil.ignore_patterns("__pycache__", ".grade"))
    return find(tmp_path / "course")


def changed(course: Course, said: str) -> Course:
    (course.root / "course.toml").write_text(f'format_version = 2\nlanguages = ["en", "zh"]\n{said}', encoding="utf-8")
    return find(course.root)


def test_all_that_may_be_said_is_read(tmp_path: Path) -> None:
    assert settings(tmp_path, FULL) == Settings(
        name="Lines",
        languages=("en", "zh"),
        tracks=("first steps", "vision"),
        names={"zh": {"first steps": "入门", "vision": "视觉"}},
        points={**POINTS, "gradient": 5},
        fail_under=60,
        reports=("json=out/card.json", "junit=card.xml"),
        diagnosis=False,
        slower=2.5,
    )


def test_what_is_not_said_has_the_value_that_the_schema_names(tmp_path: Path) -> None:
    schema = json.loads((SCHEMAS / "course.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    known, silent = schema["properties"], settings(tmp_path, "format_version = 2\n")
    assert silent == Settings()
    assert [known[name]["default"] for name in ("languages", "reports", "diagnosis")] == [["en"], [], True]
    assert {kind: rule["default"] for kind, rule in known["points"]["properties"].items()} == silent.points
    assert silent.points.keys() == set(KINDS)
    assert known["limits"]["properties"]["slower"]["default"] == silent.slower


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("fail_under = 0", "fail_under must be > 0, found 0"),
        ("track = []", "track is not a known field; did you mean tracks?"),
        ("tracks = []", "tracks must hold at least 1, found 0"),
        ('name = ""', 'name must not be empty, found ""'),
        ("[limits]\nslower = 0.5", "limits.slower must be >= 1, found 0.5"),
        ("[points]\nshapes = 1", "points.shapes is not a known field; did you mean shape?"),
        *(
            (f'reports = ["{report}"]', f'reports[0] must look like json=scorecard.json, found "{report}"')
            for report in ("json", "pdf=x.pdf", "json=/etc/x", "json=../x", "json=a/../x", "json=a/..", "json=C:x")
        ),
    ],
)
def test_a_fault_is_told_with_its_key(tmp_path: Path, said: str, told: str) -> None:
    assert faults(tmp_path, f"format_version = 2\n{said}\n") == [f"course.toml: {told}"]


def test_the_reports_that_a_course_may_want_are_those_that_go_to_files(tmp_path: Path) -> None:
    for name in reports.REPORTS:
        said = f'format_version = 2\nreports = ["{name}=card"]\n'
        assert (name == "github") or settings(tmp_path, said).reports == (f"{name}=card",)


def test_settings_of_the_first_version_are_read_as_they_were_meant(tmp_path: Path) -> None:
    assert settings(tmp_path, 'format_version = 1\nlanguages = ["en", "zh"]\n') == Settings(languages=("en", "zh"))


@pytest.mark.parametrize(
    ("version", "why"),
    [
        (3, "made for a newer grader: upgrade gradkata"),
        (0, "this grader does not know so old a format"),
        (-1, "this grader does not know so old a format"),
    ],
)
def test_a_version_that_cannot_be_read_is_one_line(tmp_path: Path, version: int, why: str) -> None:
    told = faults(tmp_path, f"format_version = {version}\nlanguages = 3\n")
    assert told == [f"course.toml: format_version must be {FORMAT.version}, found {version}; {why}"]


@pytest.mark.parametrize("version", ["true", '"2"', "2.5"])
def test_a_version_that_is_no_number_is_told(tmp_path: Path, version: str) -> None:
    assert faults(tmp_path, f"format_version = {version}\n") == [
        f"course.toml: format_version must be 2, found {version}"
    ]


def test_an_old_file_is_taken_to_today_step_by_step(tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "object", "properties": {"format_version": {"const": 3}}}', encoding="utf-8")
    (tmp_path / "x.toml").write_text("format_version = 1\ncolour = 1\n", encoding="utf-8")
    steps = {1: lambda fields: {"hue": fields["colour"]}, 2: lambda fields: {"hue": fields["hue"] + 1}}
    found = formats.read(tmp_path, tmp_path / "x.toml", Format(schema, 3, steps))
    assert found == {"format_version": 3, "hue": 2}


def test_the_tracks_of_a_course_are_its_own(course: Course) -> None:
    changed(course, 'tracks = ["foundations", "my own"]\n')
    manifest = course.root / "katas/01_scale/kata.toml"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace('"foundations"', '"my owm"'), encoding="utf-8")
    with pytest.raises(CourseFault) as caught:
        find(course.root)
    assert str(caught.value) == (
        "katas/01_scale/kata.toml: track must be one of foundations, my own, found my owm; did you mean my own?"
    )
    changed_back = manifest.read_text(encoding="utf-8").replace('"my owm"', '"anything at all"')
    manifest.write_text(changed_back, encoding="utf-8")
    assert changed(course, "").katas[0].track == "anything at all"


def test_tracks_have_names_in_other_languages(course: Course) -> None:
    named = changed(course, 'tracks = ["foundations"]\n[names.zh]\nfoundations = "基础"\n').katas[0]
    assert (named.track_in("zh"), named.track_in("en")) == ("基础", "foundations")
    assert changed(course, 'tracks = ["foundations"]\n').katas[0].track_in("zh") == "foundations"
    with pytest.raises(CourseFault) as caught:
        changed(course, 'tracks = ["foundations", "vision"]\n[names.zh]\nvison = "视觉"\nfoundations = "基础"\n')
    assert [str(fault) for fault in caught.value.faults] == [
        "course.toml: names.zh.vision is missing",
        "course.toml: names.zh must be one of foundations, vision, found vison; did you mean vision?",
    ]


def test_a_run_honours_the_settings_of_its_course(course: Course, capsys: pytest.CaptureFixture[str]) -> None:
    """Its name, its reports, and limits for a slow machine."""
    from grader.engine.task import job_for
    from grader.submission import read

    course = changed(course, 'name = "Lines"\nreports = ["json=out/card.json"]\n[limits]\nslower = 3\n')
    (course.root / "out").mkdir()
    with pytest.raises(SystemExit):
        main(["run", "scale", "--course", str(course.root)])
    card = json.loads((course.root / "out/card.json").read_text(encoding="utf-8"))
    assert card["course"] == "Lines" and [kata["id"] for kata in card["katas"]] == ["01_scale"]
    (kata,) = course.select(["scale"])
    assert job_for(course, kata, read(kata, None, course)).seconds == 3 * kata.seconds
