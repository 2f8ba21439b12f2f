"""A newer release over a former one: the learner keeps what is theirs, gets what is new, and is told what changed."""

import shutil
import subprocess
from pathlib import Path

import pytest

from grader.authoring.making.choice import choose
from grader.authoring.making.placing import RECORD, place
from grader.authoring.making.release import contents
from grader.cli import main
from grader.course import Course, find
from grader.errors import GradeError
from grader.scorecard import KataResult, Verdict
from grader.session import Session
from grader.store import Store

TOY = Path(__file__).parent / "toy"
FILLED = (TOY / "reference/01_scale/scale.py").read_text(encoding="utf-8").replace("x * factor", "factor * x  # mine")
STUB, SUITE = "katas/01_scale/scale.py", "katas/01_scale/test_scale.py"


@pytest.fixture
def course(tmp_path: Path) -> Course:
    """The toy course, of which there are going to be releases."""
    root = tmp_path / "course"
    for name in ("katas", "reference"):
        shutil.copytree(TOY / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    return find(root, root)


@pytest.fixture
def out(course: Course, tmp_path: Path) -> Path:
    """A first release, whose learner has filled in one stub."""
    learner = tmp_path / "learner"
    place(contents(choose(course)), learner, course)
    (learner / STUB).write_text(FILLED, encoding="utf-8")
    return learner


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def change_stub(course: Course) -> None:
    edit(course.root / "reference/01_scale/scale.py", "one multiplication", "multiply once")


def change_suite(course: Course) -> None:
    edit(course.root / SUITE, "for factor in (2.0, ", "for factor in (1.5, 2.0, ")


def upgrade(course: Course, out: Path) -> list[str]:
    """What the learner is told."""
    again = find(course.root, course.root)
    return [str(notice) for notice in place(contents(choose(again)), out, again)[1]]


def text(out: Path, path: str) -> str:
    return (out / path).read_text(encoding="utf-8")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_release_of_the_same_touches_nothing(course: Course, out: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    assert place(contents(choose(course)), out, course) == ([], [])
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()} == before


def test_a_new_suite_comes_and_the_learners_stub_stays(course: Course, out: Path) -> None:
    change_suite(course)
    assert upgrade(course, out) == []
    assert "(1.5, 2.0, " in text(out, SUITE)
    assert text(out, STUB) == FILLED
    assert names(out / "katas/01_scale") == {"kata.toml", "scale.py", "scale.stub", "test_scale.py"}


def test_a_new_stub_is_written_beside_the_learners(course: Course, out: Path) -> None:
    change_stub(course)
    assert upgrade(course, out) == [f"{STUB} is yours and stays; the stub has changed: see scale.new.py"]
    assert text(out, STUB) == FILLED and "multiply once" in text(out, "katas/01_scale/scale.new.py")
    assert upgrade(course, out) == []  # told once, and still there
    assert "multiply once" in text(out, "katas/01_scale/scale.new.py")
    edit(course.root / "reference/01_scale/scale.py", "multiply once", "multiply each")
    assert len(upgrade(course, out)) == 1
    assert "multiply each" in text(out, "katas/01_scale/scale.new.py")
    assert names(out / "katas/01_scale") == {"kata.toml", "scale.py", "scale.new.py", "scale.stub", "test_scale.py"}


def test_an_untouched_stub_is_replaced(course: Course, out: Path) -> None:
    edit(course.root / "reference/02_line/line.py", "use predict", "call predict")
    (out / "katas/02_line/line.py").write_bytes((out / "katas/02_line/line.py").read_bytes().replace(b"\n", b"\r\n"))
    assert upgrade(course, out) == []
    assert "call predict" in text(out, "katas/02_line/line.py")
    assert names(out / "katas/02_line") == {"kata.toml", "line.py", "line.stub", "test_line.py"}


def test_whatever_else_was_edited_is_kept_beside_the_new(course: Course, out: Path) -> None:
    edit(out / SUITE, "2.0", "3.0")
    mine = text(out, SUITE)
    (out / "katas/01_scale/scale.new.py").write_text("# notes of mine\n", encoding="utf-8")
    change_suite(course)
    change_stub(course)
    assert f"{SUITE} is new; yours is kept as test_scale.py.bak" in upgrade(course, out)
    assert text(out, f"{SUITE}.bak") == mine and "(1.5, 2.0, " in text(out, SUITE)
    assert text(out, "katas/01_scale/scale.new.py.bak") == "# notes of mine\n"


def test_files_of_the_learner_are_left_alone_and_a_deleted_one_comes_back(course: Course, out: Path) -> None:
    (out / "notes.md").write_text("mine", encoding="utf-8")
    (out / "katas/02_line/line.py").unlink()
    (out / SUITE).unlink()
    assert upgrade(course, out) == []
    assert text(out, "notes.md") == "mine"
    assert (out / "katas/02_line/line.py").is_file() and (out / SUITE).is_file()


def rename(course: Course) -> None:
    """01_scale is 01_grow from now on."""
    root = course.root
    for place_, files in (("katas", ("scale.py", "test_scale.py")), ("reference", ("scale.py",))):
        (root / place_ / "01_scale").rename(root / place_ / "01_grow")
        for name in files:
            (root / place_ / "01_grow" / name).rename(root / place_ / "01_grow" / name.replace("scale", "grow"))
    edit(root / "katas/01_grow/kata.toml", 'id = "01_scale"', 'id = "01_grow"')
    edit(root / "katas/02_line/kata.toml", 'requires = ["01_scale"]', 'requires = ["01_grow"]')
    edit(root / "katas/01_grow/kata.toml", "[points]", 'aliases = ["01_scale", "scale"]\n\n[points]')


def test_a_renamed_kata_takes_the_learners_file_along(course: Course, out: Path) -> None:
    rename(course)
    assert upgrade(course, out) == [f"{STUB} is now katas/01_grow/grow.py: what you wrote is there; a copy stays"]
    assert text(out, "katas/01_grow/grow.py") == FILLED and text(out, STUB) == FILLED
    assert names(out / "katas/01_scale") == {"scale.py"}
    change = find(course.root, course.root)
    edit(course.root / "reference/01_grow/grow.py", "one multiplication", "multiply once")
    assert upgrade(change, out) == ["katas/01_grow/grow.py is yours and stays; the stub has changed: see grow.new.py"]
    assert [kata.id for kata in find(out, out).select(["scale"])] == ["01_grow"]


def test_a_renamed_kata_that_was_untouched_leaves_nothing_behind(course: Course, out: Path) -> None:
    shutil.copy(course.root / STUB, out / STUB)
    rename(course)
    assert upgrade(course, out) == []
    assert not (out / "katas/01_scale").exists() and (out / "katas/01_grow/grow.py").is_file()


def test_a_kata_that_is_gone_leaves_only_what_the_learner_wrote(course: Course, out: Path) -> None:
    for place_ in ("katas", "reference"):
        shutil.rmtree(course.root / place_ / "01_scale")
    edit(course.root / "katas/02_line/kata.toml", 'requires = ["01_scale"]', "requires = []")
    upgrade(course, out)
    assert names(out / "katas") - {"README.md"} == {"01_scale", "02_line"} and names(out / "katas/01_scale") == {
        "scale.py"
    }


@pytest.mark.parametrize("where", ["katas", "katas/01_scale", "grader/cli"])
def test_nothing_is_written_through_a_link_to_the_outside(
    course: Course, out: Path, tmp_path: Path, where: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.move(out / where, elsewhere)
    (out / where).symlink_to(elsewhere)
    change_suite(course)
    before = {path: path.read_bytes() for path in elsewhere.rglob("*") if path.is_file()}
    with pytest.raises(GradeError, match="is not a folder of its own"):
        upgrade(course, out)
    assert {path: path.read_bytes() for path in elsewhere.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("path", ["../victim.txt", "/victim.txt", ".git/config", "katas/../../victim.txt"])
def test_a_record_cannot_make_a_release_remove_what_is_elsewhere(
    course: Course, out: Path, tmp_path: Path, path: str
) -> None:
    victim = tmp_path / "victim.txt"
    victim.write_text("", encoding="utf-8")
    digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    (out / RECORD).write_text(f'[files]\n"{path}" = "{digest}"\n', encoding="utf-8")
    with pytest.raises(GradeError, match="leads out of the release"):
        upgrade(course, out)
    assert victim.is_file()


def git(folder: Path, *words: str, check: bool = True) -> str:
    command = ["git", "-c", "user.name=A learner", "-c", "user.email=learner@example.org", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=check).stdout.strip()


@pytest.fixture
def pulled(course: Course, tmp_path: Path) -> tuple[Path, Path]:
    """A published release and a learner's clone of it, with a commit of theirs."""
    published, clone = tmp_path / "published", tmp_path / "clone"
    release(course, published)
    git(tmp_path, "clone", "--quiet", str(published), str(clone))
    (clone / STUB).write_text(FILLED, encoding="utf-8")
    git(clone, "commit", "--quiet", "--all", "--message", "mine")
    return published, clone


def release(course: Course, out: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["release", str(out), "--git", "--course", str(course.root)])
    assert ended.value.code == 0


def test_pulling_a_new_suite_keeps_the_learners_stub(course: Course, pulled: tuple[Path, Path]) -> None:
    published, clone = pulled
    change_suite(course)
    release(course, published)
    assert git(published, "rev-list", "--count", "HEAD") == "2" and git(published, "status", "--porcelain") == ""
    git(clone, "pull", "--quiet", "--no-rebase", "--no-edit")
    assert text(clone, STUB) == FILLED and "(1.5, 2.0, " in text(clone, SUITE)
    release(course, published)  # nothing has changed, so there is nothing to commit
    assert git(published, "rev-list", "--count", "HEAD") == "2"


def test_pulling_a_new_stub_never_loses_the_learners(course: Course, pulled: tuple[Path, Path]) -> None:
    """Git stops where both changed the same lines; the way that the release's README gives brings theirs back."""
    published, clone = pulled
    change_stub(course)
    release(course, published)
    git(clone, "pull", "--quiet", "--no-rebase", "--no-edit", check=False)
    assert git(clone, "diff", "--name-only", "--diff-filter=U") == STUB
    git(clone, "checkout", "--ours", STUB)
    assert text(clone, STUB) == FILLED
    (clone / STUB).write_text("not committed\n", encoding="utf-8")
    git(clone, "merge", "--abort", check=False)


def test_a_commit_of_a_release_takes_only_what_the_release_wrote(course: Course, pulled: tuple[Path, Path]) -> None:
    published, _ = pulled
    (published / "notes.md").write_text("draft", encoding="utf-8")
    git(published, "add", "notes.md")
    shutil.rmtree(course.root / "katas/02_line")
    change_suite(course)
    release(course, published)
    assert git(published, "status", "--porcelain") == "A  notes.md"
    assert "katas/02_line/line.py" not in git(published, "ls-files").split("\n")


CHANGED = "changed since you passed on "


@pytest.fixture
def grade(course: Course) -> object:
    """Grade 01_scale in the course itself, whose stub the learner has filled in."""
    (course.root / STUB).write_text(FILLED, encoding="utf-8")
    session = Session(course, Store(course.root, print))

    def call(seed: int = 0, fresh: bool = False) -> KataResult:
        session.course = find(course.root, course.root)
        session.seed = seed
        (result,) = session.grade(session.course.select(["1"]), fresh=fresh).katas
        return result

    yield call
    session.close()


def test_the_scorecard_says_that_a_kata_changed_since_it_passed(course: Course, grade) -> None:  # type: ignore[no-untyped-def]
    edit(course.root / SUITE, "    for factor in (2.0", '    assert rng is not None, "a"\n    for factor in (2.0')
    assert grade().verdict is Verdict.PASS
    edit(course.root / SUITE, "x * factor, tol", "x * factor + 1, tol")
    result = grade()
    assert result.verdict is Verdict.FAIL and result.message.startswith(CHANGED)
    again = grade()
    assert again.from_store and again.message == result.message
    assert grade(fresh=True).message == result.message
    edit(course.root / SUITE, "x * factor + 1, tol", "x * factor, tol")
    assert (back := grade()).verdict is Verdict.PASS and back.message == ""


def test_what_the_learner_or_the_seed_changed_is_no_change_of_the_kata(course: Course, grade) -> None:  # type: ignore[no-untyped-def]
    assert grade().verdict is Verdict.PASS
    edit(course.root / STUB, "factor * x", "factor + x")
    assert (result := grade()).verdict is Verdict.FAIL and result.message == ""
    edit(course.root / STUB, "factor + x", "factor * x")
    edit(course.root / SUITE, "x * factor, tol", "x * factor + 1, tol")
    assert (result := grade(seed=3)).verdict is Verdict.FAIL and result.message == ""


def test_a_renamed_kata_remembers_when_it_passed(course: Course, grade) -> None:  # type: ignore[no-untyped-def]
    assert grade().verdict is Verdict.PASS
    rename(course)
    edit(course.root / "katas/01_grow/test_grow.py", "x * factor, tol", "x * factor + 1, tol")
    assert (result := grade()).id == "01_grow" and result.message.startswith(CHANGED)
