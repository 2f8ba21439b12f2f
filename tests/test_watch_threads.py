"""The two threads behind the screen of `grade watch`: which files changed, and what is judged of all that is asked for."""

from __future__ import annotations

import os
import queue
import shutil
from collections.abc import Callable, Iterator, Set
from pathlib import Path
from typing import Any, TypeVar

import pytest

from grader.course import Course, find
from grader.engine.key import read_digest
from grader.messages.language import Language
from grader.scorecard import KataResult, Verdict
from grader.watch.changes import Changes, Events, Files
from grader.watch.runs import Began, Ended, News, Runs, Stands, Trouble
from grader.watch.runs import Tested as OneTested  # pytest collects classes by the name
from grader.watch.upgrade import Upgrade

TOY = Path(__file__).with_name("toy")
T = TypeVar("T")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    shutil.copytree(TOY, tmp_path / "course", ignore=shutil.ignore_patterns("__pycache__", ".grade"))
    return tmp_path / "course"


@pytest.fixture
def stub(root: Path) -> Path:
    return root / "katas/01_scale/scale.py"


def renamed(path: Path, content: str) -> None:
    """Saved as many editors do it."""
    beside = path.with_name("4913~")
    beside.write_text(content)
    os.replace(beside, path)


# Files


def test_a_change_is_one_of_content(root: Path, stub: Path) -> None:
    files = Files(root)
    assert files.look() == frozenset()
    stub.write_text("a = 1\n")
    assert files.look() == {stub} and files.look() == frozenset()
    stub.touch()
    assert files.look() == frozenset()
    renamed(stub, "a = 1\n")
    assert files.look() == frozenset()
    renamed(stub, "a = 2\n")
    assert files.look() == {stub}
    stub.rename(stub.with_name("other.py"))
    assert files.look() == {stub, stub.with_name("other.py")}
    stub.with_name("other.py").rename(stub)
    assert files.look() == {stub, stub.with_name("other.py")}


def test_what_is_named_is_read_whatever_its_times_say(root: Path, stub: Path) -> None:
    files, before = Files(root), stub.stat()
    content = stub.read_text()
    stub.write_text(content.replace("numpy", "nympu"))
    os.utime(stub, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert files.look() == frozenset()
    assert files.look([stub]) == {stub}


def test_what_no_course_is_made_of_is_not_looked_at(root: Path, stub: Path) -> None:
    files = Files(root)
    for name in (".scale.py.swp", "scale.py~", "notes.txt", ".hidden.py"):
        stub.with_name(name).write_text("x")
    stub.with_name("__pycache__").mkdir()
    (root / "katas/__pycache__").mkdir()
    assert files.look() == frozenset()


def test_a_link_and_a_folder_in_the_place_of_a_file_are_changes_and_not_read(root: Path, stub: Path) -> None:
    files = Files(root)
    stub.unlink()
    stub.symlink_to("/dev/zero")
    assert files.look() == {stub}
    stub.unlink()
    stub.mkdir()
    assert files.look() == {stub}


# Changes


class Told:
    """What the thread tells."""

    def __init__(self, root: Path, events: Events | None = None) -> None:
        self.heard: queue.Queue[frozenset[Path] | str] = queue.Queue()
        self.changes = Changes(root, self.heard.put, lambda: self.heard.put("polling"), events)


@pytest.fixture
def told(root: Path) -> Iterator[Callable[..., Told]]:
    made: list[Told] = []

    def make(events: Events | None = None) -> Told:
        made.append(Told(root, events))
        made[-1].changes.start()
        return made[-1]

    yield make
    for each in made:
        each.changes.stop()


def test_every_way_of_saving_is_seen(told: Callable[..., Told], stub: Path) -> None:
    heard = told().heard
    stub.write_text("a = 1\n")
    assert heard.get() == {stub}
    renamed(stub, "a = 2\n")
    assert heard.get() == {stub}
    stub.unlink()
    assert heard.get() == {stub}
    stub.write_text("a = 3\n")
    assert heard.get() == {stub}
    assert heard.empty()


def test_a_file_that_is_emptied_and_written_is_one_change(root: Path, stub: Path) -> None:
    """As by an editor that truncates it first: it is back before anything is told."""
    found: list[str] = []
    changes = Changes(root, lambda paths: found.append(stub.read_text()), lambda: None)
    stub.write_bytes(b"")

    class Filling:
        """The pause in which the editor writes."""

        def wait(self, seconds: float) -> bool:
            stub.write_text("a = 1\n")
            return False

    changes._end = Filling()  # type: ignore[assignment]
    assert changes.look() and not changes.look()
    assert found == ["a = 1\n"]


def batches(*given: Set[tuple[Any, str]]) -> Events:
    """A system that tells this, and then is silent."""
    return lambda *folders, **settings: iter(given)


def test_where_events_do_not_come_files_are_looked_at_and_it_is_said(told: Callable[..., Told], stub: Path) -> None:
    moments: queue.Queue[Set[tuple[Any, str]]] = queue.Queue()
    heard = told(lambda *folders, **settings: iter(moments.get, None)).heard  # type: ignore[arg-type]
    stub.write_text("a = 1\n")
    moments.put(set())
    assert heard.get() == {stub}
    moments.put(set())
    assert heard.get() == "polling"
    stub.write_text("a = 2\n")
    assert heard.get() == {stub}


def test_an_event_that_only_comes_late_is_no_reason(told: Callable[..., Told], stub: Path) -> None:
    moments: queue.Queue[Set[tuple[Any, str]]] = queue.Queue()
    heard = told(lambda *folders, **settings: iter(moments.get, None)).heard  # type: ignore[arg-type]
    for turn in range(2):
        stub.write_text(f"a = {turn}\n")
        moments.put(set())
        assert heard.get() == {stub}
        moments.put({(1, str(stub))})
    moments.put(set())
    moments.put(None)  # type: ignore[arg-type]
    assert heard.get() == "polling"  # since the events came to their end


def test_a_system_that_watches_no_more_files_is_no_trouble(told: Callable[..., Told], stub: Path) -> None:
    def refusing(*folders: Path, **settings: Any) -> Iterator[Set[tuple[Any, str]]]:
        raise OSError(28, "no space left on device")

    heard = told(refusing).heard
    assert heard.get() == "polling"
    renamed(stub, "a = 1\n")
    assert heard.get() == {stub}


# Upgrade


def test_an_upgrade_is_one_of_content(tmp_path: Path) -> None:
    package = tmp_path / "grader"
    package.mkdir()
    (package / "a.py").write_text("a = 1\n")
    upgrade, digest = Upgrade(package), read_digest(package)
    assert not upgrade.came()
    os.utime(package / "a.py", ns=(0, 0))
    assert not upgrade.came() and read_digest(package) == digest
    (package / "b.py").write_text("")
    assert upgrade.came() and read_digest(package) != digest


# Runs


class Heard:
    """The news, in their order."""

    def __init__(self, course: Course, code: str = "en") -> None:
        self.news: queue.Queue[News] = queue.Queue()
        self.runs = Runs(course, 2, Language(code), self.news.put)

    def until(self, kind: type[T], number: int) -> T:
        """The next of this kind, of this run."""
        while True:
            found = self.news.get()
            if isinstance(found, Trouble) and kind is not Trouble:
                raise AssertionError(found)
            if isinstance(found, kind) and getattr(found, "number", number) == number:
                return found

    def result(self, number: int) -> KataResult:
        found = self.until(Ended, number).result
        assert found is not None
        return found


@pytest.fixture
def heard(root: Path) -> Iterator[Heard]:
    found = Heard(find(root))
    found.runs.start()
    yield found
    found.runs.close()


def right(root: Path) -> str:
    return (root / "reference/01_scale/scale.py").read_text()


LOOP = "    while True:\n        pass\n    # BEGIN SOLUTION: slice at the middle\n"


def looping(root: Path) -> str:
    """Right but for one test, which never ends."""
    return right(root).replace("    # BEGIN SOLUTION: slice at the middle\n", LOOP)


def test_results_come_one_by_one_and_then_where_one_stands(heard: Heard, root: Path, stub: Path) -> None:
    stub.write_text(right(root))
    number = heard.runs.ask("1")
    assert heard.until(Began, number).kata.id == "01_scale"
    names = [heard.until(OneTested, number).result.name for _ in range(4)]
    assert sorted(names) == ["test_halves", "test_pure", "test_shape", "test_values"]
    ended = heard.until(Ended, number)
    assert ended.result is not None and ended.result.verdict is Verdict.PASS and not ended.killed
    assert heard.until(Stands, number).standing.places[0].solved


def test_the_newest_request_wins_and_a_killed_run_leaves_the_ladder(heard: Heard, root: Path, stub: Path) -> None:
    stub.write_text(looping(root))
    manifest = root / "katas/01_scale/kata.toml"
    manifest.write_text(manifest.read_text().replace("seconds = 2.0", "seconds = 600.0"))
    first = heard.runs.ask("scale")
    heard.until(OneTested, first)
    stub.write_text(right(root))
    second = heard.runs.ask("scale")
    assert heard.until(Ended, first).killed
    assert heard.result(second).verdict is Verdict.PASS
    stub.write_text(looping(root))
    third = heard.runs.ask("scale")
    heard.until(OneTested, third)
    assert heard.runs.kill()
    ended = heard.until(Ended, third)
    assert ended.killed and ended.result is not None and ended.seconds > 0
    assert {test.verdict for test in ended.result.tests} == {Verdict.PASS, Verdict.NOT_RUN}
    heard.until(Stands, third)


@pytest.mark.parametrize(
    "source, verdict, says",
    [("def scale(:\n", Verdict.ERROR, "syntax"), ("\x00", Verdict.ERROR, "NUL"), (None, Verdict.ERROR, "is missing")],
    ids=["syntax error", "no text", "deleted"],
)
def test_a_file_that_cannot_run_is_told_and_the_next_one_judged(
    heard: Heard, root: Path, stub: Path, source: str | None, verdict: Verdict, says: str
) -> None:
    stub.unlink()
    if source is not None:
        stub.write_text(source)
    found = heard.result(heard.runs.ask("scale"))
    assert found.verdict is verdict
    assert says in " ".join([found.message, *(test.message for test in found.tests)])
    stub.write_text(right(root))
    assert heard.result(heard.runs.ask("scale")).verdict is Verdict.PASS


def test_a_course_that_another_release_replaces_is_read_anew(heard: Heard, root: Path, stub: Path) -> None:
    stub.write_text(right(root))
    assert heard.result(heard.runs.ask("scale")).title == "Scale"
    manifest, suite = root / "katas/01_scale/kata.toml", root / "katas/01_scale/test_scale.py"
    good = manifest.read_text()
    manifest.write_text("not toml")  # half of it is there
    assert "is not valid TOML" in str(heard.until(Trouble, heard.runs.ask("scale")).said)
    manifest.write_text(good.replace('title = "Scale"', 'title = "Enlarge"').replace("tests = 4", "tests = 5"))
    more = '\n\n@pytest.mark.shape\ndef test_more(solution):\n    """A fifth."""\n    assert solution.scale(1, 2) == 3, "three"\n'
    suite.write_text(suite.read_text() + more)
    number = heard.runs.ask("scale")
    assert heard.until(Began, number).kata.tests == 5
    found = heard.result(number)
    assert (found.title, found.verdict, len(found.tests)) == ("Enlarge", Verdict.FAIL, 5)


def test_a_kata_that_is_gone_is_told(heard: Heard, root: Path) -> None:
    shutil.rmtree(root / "katas/02_line")
    assert "there is no kata" in str(heard.until(Trouble, heard.runs.ask("02_line")).said)
    assert heard.result(heard.runs.ask("01_scale")).verdict is Verdict.TODO


def test_what_is_told_is_in_the_learners_language(root: Path, stub: Path) -> None:
    stub.write_text(right(root).replace("x * factor", "x + factor"))
    heard = Heard(find(root), "zh")
    heard.runs.start()
    found = heard.result(heard.runs.ask("scale"))
    heard.runs.close()
    assert found.title == "放大" and "相差" in found.tests[1].message


def test_what_was_known_is_answered_while_the_ladder_warms_for_the_next(root: Path, stub: Path) -> None:
    stub.write_text(right(root))
    for from_store in (False, True):
        heard = Heard(find(root))
        heard.runs.start()
        assert heard.result(heard.runs.ask("scale")).from_store is from_store
        again = heard.runs.ask("scale", fresh=True)
        assert not heard.result(again).from_store
        heard.runs.close()


def test_closing_without_a_start_is_no_trouble(root: Path) -> None:
    Heard(find(root)).runs.close()
    Changes(root, lambda paths: None, lambda: None).stop()
