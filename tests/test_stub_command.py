"""`grade stub`: stubs follow their references, and nobody's work is written over."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from grader.authoring.making import stubs
from grader.cli import main
from grader.course import Course, find
from grader.store import Store

Run = Callable[..., tuple[object, str, str]]

TOY = Path(__file__).parent / "toy"
FILLED = "def scale(x, factor):\n    return x * factor  # mine\n"


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Course:
    """The toy course, to be written into, around the working directory."""
    for name in ("katas", "reference"):
        shutil.copytree(TOY / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    return find(tmp_path, tmp_path)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """`grade stub` with these words: exit code, output, and what went to standard error."""

    def call(*words: str) -> tuple[object, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["stub", *words])
        return ended.value.code, *capsys.readouterr()

    return call


def change(course: Course, old: str = "one multiplication", new: str = "multiply once") -> None:
    """Another hint in the reference of 01_scale."""
    path = course.root / "reference/01_scale/scale.py"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def stub_of(course: Course) -> Path:
    return course.root / "katas/01_scale/scale.py"


def beside(course: Course) -> list[str]:
    return sorted(path.name for path in stub_of(course).parent.iterdir() if ".bak" in path.name)


def test_stubs_in_step_are_left_as_they_are(course: Course, run: Run) -> None:
    before = stub_of(course).stat().st_mtime_ns
    assert run() == (0, "2 stubs are in step\n", "")
    assert run("--check") == (0, "2 stubs are in step\n", "")
    assert stub_of(course).stat().st_mtime_ns == before


def test_check_names_what_is_out_of_step_and_writes_nothing(course: Course, run: Run) -> None:
    change(course)
    before = stub_of(course).read_bytes()
    code, said, _ = run("--check")
    assert code == 1
    assert "katas/01_scale/scale.py is not in step with its reference: `grade stub 01_scale`" in said
    assert stub_of(course).read_bytes() == before and beside(course) == []
    assert run("--check", "line")[0] == 0


def test_a_missing_stub_is_written(course: Course, run: Run) -> None:
    before = stub_of(course).read_bytes()
    stub_of(course).unlink()
    assert run("scale") == (0, "katas/01_scale/scale.py is written\n", "")
    assert stub_of(course).read_bytes() == before and beside(course) == []


def test_a_stub_that_was_generated_is_replaced_without_a_copy(course: Course, run: Run) -> None:
    run()  # from here on it is known as generated
    for hint in ("multiply once", "multiply twice"):
        change(course, "one multiplication" if hint.endswith("once") else "multiply once", hint)
        assert run("1") == (0, "katas/01_scale/scale.py is written\n", "")
        assert hint in stub_of(course).read_text(encoding="utf-8")
    assert beside(course) == []


def test_the_stub_of_the_committed_reference_is_known_on_a_fresh_clone(course: Course, run: Run) -> None:
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org"]
    for words in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "course"]):
        subprocess.run([*git, *words], cwd=course.root, check=True)
    change(course)
    run()
    assert "multiply once" in stub_of(course).read_text(encoding="utf-8") and beside(course) == []


def test_what_somebody_wrote_is_kept_however_often(course: Course, run: Run) -> None:
    texts = [FILLED + f"# try {number}\n" for number in range(3)]
    for text in texts:
        stub_of(course).write_text(text, encoding="utf-8")
        code, said, _ = run("scale")
        assert code == 0 and "it is kept as scale.py.bak" in said
    assert beside(course) == ["scale.py.bak", "scale.py.bak2", "scale.py.bak3"]
    kept = [(stub_of(course).parent / name).read_text(encoding="utf-8") for name in beside(course)]
    assert kept == texts
    assert run("--check", "scale")[0] == 0


def test_a_link_is_moved_aside_and_never_written_through(course: Course, run: Run, tmp_path: Path) -> None:
    answers = tmp_path / "answers.py"
    answers.write_text(FILLED, encoding="utf-8")
    stub_of(course).unlink()
    stub_of(course).symlink_to(answers)
    run("scale")
    assert answers.read_text(encoding="utf-8") == FILLED
    assert not stub_of(course).is_symlink() and (stub_of(course).parent / "scale.py.bak").is_symlink()


def test_line_ends_are_no_difference(course: Course, run: Run) -> None:
    stub_of(course).write_bytes(stub_of(course).read_bytes().replace(b"\n", b"\r\n"))
    assert run("--check")[0] == 0


def test_all_faults_are_told_and_nothing_is_written(course: Course, run: Run) -> None:
    shutil.copytree(course.root / "katas/01_scale", course.root / "katas/03_third")
    third = course.root / "katas/03_third"
    (third / "test_scale.py").rename(third / "test_third.py")
    manifest = (
        (third / "kata.toml")
        .read_text(encoding="utf-8")
        .replace("01_scale", "03_third")
        .replace("number = 1", "number = 3")
    )
    (third / "kata.toml").write_text(manifest, encoding="utf-8")
    change(course, "# END SOLUTION", "# END")
    stub_of(course).write_text(FILLED, encoding="utf-8")
    (course.root / "katas/02_line/line.py").unlink()
    code, said, told = run()
    assert (code, said) == (2, "")
    assert (
        "reference/01_scale/scale.py:8: BEGIN SOLUTION inside the one of line 8" in told
        or "reference/01_scale/scale.py:" in told
    )
    assert "reference/03_third/third.py: is missing" in told
    assert stub_of(course).read_text(encoding="utf-8") == FILLED and beside(course) == []
    assert not (course.root / "katas/02_line/line.py").exists()


def test_a_store_that_cannot_be_kept_costs_a_copy_and_no_work(course: Course) -> None:
    (course.root / ".grade").write_text("in the way", encoding="utf-8")
    store = Store(course.root, lambda text: None)
    change(course)
    (found,) = stubs.pending(course, course.select(["scale"]), store)
    assert found.saved_as is not None
    stubs.write(found, store)
    assert beside(course) == ["scale.py.bak"]
