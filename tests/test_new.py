"""`grade new`: a kata that is complete from the first minute, or a reason why there is none, and then no file."""

import shutil
from pathlib import Path

import pytest

from grader.authoring.making.new import new, next_steps
from grader.authoring.proving.rules import ON_FILES
from grader.authoring.proving.subject import Subject
from grader.course import Course, find
from grader.errors import CourseFault, UsageFault
from grader.scorecard import Verdict
from grader.session import Session
from grader.store import Store
from grader.stub import is_in_step

from .workshop import run

TOY = Path(__file__).parent / "toy"


@pytest.fixture
def course(tmp_path: Path) -> Course:
    """The toy course, to be written into."""
    for name in ("katas", "reference"):
        shutil.copytree(TOY / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(TOY / "course.toml", tmp_path)
    return find(tmp_path, tmp_path)


def tree(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_new_katas_are_right_from_the_first_minute(course: Course, tmp_path: Path) -> None:
    """For both kinds of worker: every rule on files holds, the references pass and their mistakes and stubs do not."""
    new(course, "51_my_topic", title="Lines & slopes", title_zh="直线")
    new(course, "052_other_topic", worker="numpy")
    course = find(tmp_path, tmp_path)
    asked = course.select(["51", "other_topic"])
    assert [(kata.title, kata.title_zh) for kata in asked] == [
        ("Lines & slopes", "直线"),
        ("Other topic", "从零实现 Other topic"),
    ]
    for kata in asked:
        subject = Subject(course, kata)
        assert [str(finding) for rule in ON_FILES for finding in rule(subject)] == []
        assert is_in_step(subject.reference or "", subject.stub or "")
        assert len(subject.mistakes.mistakes) >= 6 and subject.variants
        assert {test.kind for test in subject.tests} == {"shape", "value", "gradient", "convergence", "behaviour"}
    session = Session(course, Store(tmp_path, print), jobs=2)
    try:
        right = session.grade(asked, tmp_path / "reference")
        untouched = session.grade(asked)
        variants = tmp_path / "variants"
        for kata in asked:
            (variants / kata.id).mkdir(parents=True)
            shutil.copy(tmp_path / f"reference/{kata.id}/variants/one_by_one.py", variants / kata.id / kata.stub.name)
        varied = session.grade(asked, variants)
        for kata in asked:
            for mistake in Subject(course, kata).mistakes.mistakes:
                (variants / kata.id / kata.stub.name).write_text(mistake.text, encoding="utf-8")
                (result,) = session.grade([kata], variants).katas
                failed = [test.name for test in result.tests if test.verdict is Verdict.FAIL]
                assert mistake.caught_by in failed, mistake.id
    finally:
        session.close()
    assert {kata.verdict for kata in (*right.katas, *varied.katas)} == {Verdict.PASS}
    assert {kata.verdict for kata in untouched.katas} == {Verdict.TODO}


REFUSED = {
    "51-my-topic": "no id of a kata",
    "My_topic": "no id of a kata",
    "51_My": "no id of a kata",
    "5_topic": "no id of a kata",
    "../51_topic": "no id of a kata",
    "51_": "no id of a kata",
    "": "no id of a kata",
    "00_topic": "numbered from 1",
    "01_topic": "01_scale has the number 1 already",
    "001_topic": "01_scale has the number 1 already",
    "51_line": "02_line has the name line already",
    "02_line": "02_line has the name",
    "51_torch": "would hide Python's own torch",
    "51_random": "would hide Python's own random",
    "51_class": "would hide Python's own class",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_and_nothing_is_written(course: Course, name: str) -> None:
    before = tree(course.root)
    with pytest.raises(UsageFault) as refused:
        new(course, name)
    assert REFUSED[name] in refused.value.message
    assert str(refused.value.next_step)
    assert tree(course.root) == before


@pytest.mark.parametrize("title", ['a "quoted" one', "two\nlines", "back\\slash"])
def test_a_title_that_would_break_the_manifest_is_refused(course: Course, title: str) -> None:
    before = tree(course.root)
    with pytest.raises(UsageFault, match="plain text"):
        new(course, "51_my_topic", title=title)
    assert tree(course.root) == before


def test_an_alias_is_taken_too(course: Course) -> None:
    manifest = course.root / "katas/01_scale/kata.toml"
    manifest.write_text(
        manifest.read_text(encoding="utf-8").replace("[points]", 'aliases = ["grow"]\n\n[points]', 1), encoding="utf-8"
    )
    with pytest.raises(UsageFault, match="01_scale has the name grow already"):
        new(find(course.root, course.root), "51_grow")


@pytest.mark.parametrize("place", ["katas/51_my_topic", "reference/51_my_topic"])
def test_a_folder_that_is_there_is_left_alone(course: Course, place: str) -> None:
    (course.root / place).mkdir()
    (course.root / place / "mine.txt").write_text("mine", encoding="utf-8")
    before = tree(course.root)
    with pytest.raises(UsageFault, match="exists already"):
        new(course, "51_my_topic")
    assert tree(course.root) == before


def test_a_faulty_course_is_told_first(course: Course) -> None:
    manifest = course.root / "katas/01_scale/kata.toml"
    manifest.write_text("number = ", encoding="utf-8")
    with pytest.raises(CourseFault):
        find(course.root, course.root)


def test_the_command_names_what_it_wrote_and_what_comes_next(
    course: Course, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(course.root / "katas")
    code, said, _ = run(capsys, "new", "51_my_topic", "--worker", "numpy")
    assert code == 0
    written = list(said.partition("\n\n")[0].splitlines())
    assert len(written) == 10 and all((course.root / path).is_file() for path in written)
    assert said.endswith(f"{next_steps('51_my_topic')}\n")
    code, said, told = run(capsys, "new", "51_my_topic")
    assert (code, said) == (2, "")
    assert "51_my_topic has the name" in told and "the next free number is 52" in told
    assert run(capsys, "new", "53_other", "--worker", "jax")[0] == 2


def test_a_course_in_english_gets_katas_in_english(course: Course, tmp_path: Path) -> None:
    (tmp_path / "course.toml").unlink()
    course = find(tmp_path, tmp_path)
    files = new(course, "51_my_topic", worker="numpy")
    course = find(tmp_path, tmp_path)
    assert {path.name for path in files}.isdisjoint(["README.zh.md", "zh.po"])
    assert not any("\u4e00" <= sign <= "\u9fff" for path in files for sign in path.read_text(encoding="utf-8"))
    (kata,) = course.select(["51"])
    assert [str(finding) for rule in ON_FILES for finding in rule(Subject(course, kata))] == []
