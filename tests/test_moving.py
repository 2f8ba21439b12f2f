"""Progress is taken to another machine: a zip that Python's own reader knows, and nothing there is lost or counted twice."""

import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from grader import copies, nudges
from grader.cli.commands import run
from grader.course import Course, find
from grader.errors import UsageFault
from grader.scorecard import Verdict
from grader.standing import GIVEN_UP, State, standing
from grader.store import Store

from .test_study import attempt

TOY = Path(__file__).with_name("toy")


def made(root: Path) -> Course:
    shutil.copytree(TOY, root, ignore=shutil.ignore_patterns("__pycache__", ".grade"))
    return find(root)


@pytest.fixture
def there(tmp_path: Path) -> Course:
    """The course of a learner who has done something."""
    course = made(tmp_path / "there")
    attempt(course, "scale", Verdict.FAIL)
    attempt(course, "scale", Verdict.PASS)
    attempt(course, "line", Verdict.PASS, origin="/elsewhere")
    copies.replace(course, course.katas[0], course.katas[0].stub.read_bytes())
    with store(course) as kept:
        kept.put_note(course.katas[1].id, GIVEN_UP, "yes")
        for _ in range(2):
            nudges.next_nudge(kept, course.katas[0], "")
    return course


class store:  # a context
    """The store of a course, which is to complain of nothing."""

    def __init__(self, course: Course) -> None:
        self._store = Store(course.root, lambda said: pytest.fail(str(said)))

    def __enter__(self) -> Store:
        return self._store

    def __exit__(self, *error: object) -> None:
        self._store.close()


@pytest.fixture
def packed(there: Course, tmp_path: Path) -> Iterator[Path]:
    file = tmp_path / "progress.zip"
    assert run(["export", str(file), "--course", str(there.root)]) == 0
    yield file


def taken_in(course: Course, file: Path) -> int:
    code = run(["import", str(file), "--course", str(course.root)])
    assert isinstance(code, int)
    return code


def test_all_of_it_arrives_and_arrives_once(
    there: Course, packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = made(tmp_path / "here")
    capsys.readouterr()
    assert taken_in(here, packed) == 0
    assert capsys.readouterr().out.endswith("3 attempts and 1 copy are new\n")
    with store(here) as kept, store(there) as known:
        assert kept.all_attempts() == known.all_attempts() and len(kept.all_attempts()) == 3
        assert kept.all_notes() == known.all_notes()
        places = standing(here, kept).places
        assert [place.state for place in places] == [State.PASSED, State.NEW] and places[1].given_up
        assert len(nudges.given(kept, here.katas[0])) == 2
    assert [path.read_bytes() for path in copies.of(here, here.katas[0])] == [there.katas[0].stub.read_bytes()]
    assert taken_in(here, packed) == 0
    assert capsys.readouterr().out.endswith("0 attempts and 0 copies are new\n")


def test_what_is_here_stays(packed: Path, tmp_path: Path) -> None:
    here = made(tmp_path / "here")
    attempt(here, "line", Verdict.PASS)
    with store(here) as kept:
        for _ in range(3):
            nudges.next_nudge(kept, here.katas[0], "")
    (name,) = [name for name in zipfile.ZipFile(packed).namelist() if name.startswith("copies/")]
    mine = here.root / ".grade" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    taken_in(here, packed)
    assert mine.read_text() == "mine"
    with store(here) as kept:
        assert len(kept.all_attempts()) == 4
        assert len(nudges.given(kept, here.katas[0])) == 3


def test_nothing_is_written_over(there: Course, packed: Path) -> None:
    before = packed.read_bytes()
    with pytest.raises(UsageFault, match="is there already"):
        run(["export", str(packed), "--course", str(there.root)])
    assert packed.read_bytes() == before
    with pytest.raises(UsageFault, match="cannot write"):
        run(["export", str(packed.parent / "no" / "folder.zip"), "--course", str(there.root)])
    assert [path.name for path in packed.parent.iterdir() if path.name.endswith(".tmp")] == []


PROGRESS = {"attempts": [], "notes": [], "format_version": 1}


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({}, "progress.json"),
        ({"progress.json": "{"}, "is not what"),
        ({"progress.json": json.dumps(PROGRESS | {"more": 1})}, "more"),
        ({"progress.json": json.dumps(PROGRESS | {"attempts": [["a", "now"]]})}, "is not what"),
        ({"progress.json": json.dumps(PROGRESS | {"format_version": 2})}, "newer grader"),
        ({"progress.json": json.dumps(PROGRESS), "copies/01_scale/20260101-000000-000000.py": "x" * (1 << 20) + "x"}, "larger"),
    ],
)  # fmt: skip
def test_what_is_no_progress_changes_nothing(tmp_path: Path, files: dict[str, str], why: str) -> None:
    here, file = made(tmp_path / "here"), tmp_path / "progress.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    with pytest.raises(UsageFault, match=why):
        taken_in(here, file)
    with store(here) as kept:
        assert kept.all_attempts() == []
    assert not (here.root / ".grade" / "copies").exists()


def test_no_zip_at_all_is_told(tmp_path: Path) -> None:
    here, file = made(tmp_path / "here"), tmp_path / "progress.zip"
    with pytest.raises(UsageFault, match="there is no file"):
        taken_in(here, file)
    file.write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(UsageFault, match="is not what `grade export` writes"):
        taken_in(here, file)


def test_no_name_leads_out_of_the_copies(tmp_path: Path) -> None:
    here, file = made(tmp_path / "here"), tmp_path / "progress.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("progress.json", json.dumps(PROGRESS))
        for name in (
            "copies/../20260101-000000-000000.py",
            "/tmp/x.py",
            "katas/01_scale/scale.py",
            "copies/01_scale/x.py",
        ):
            archive.writestr(name, "evil")
    before = sorted(path for path in tmp_path.rglob("*.py"))
    assert taken_in(here, file) == 0
    assert sorted(path for path in tmp_path.rglob("*.py")) == before
