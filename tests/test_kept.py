"""What is known of a learner's own files without judging any, and the page that `grade report` makes of it."""

from __future__ import annotations

import re
import shutil
import sqlite3
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from grader.cli import report as verb
from grader.cli.commands import run
from grader.course import Course, find
from grader.errors import UsageFault
from grader.judge.pictures import Recorder
from grader.kept import Kept, kept
from grader.scorecard import KataResult, TestResult, Verdict, grade_kata
from grader.store import Store
from grader.submission import read

from .test_study import TOY

P, F, T = Verdict.PASS, Verdict.FAIL, Verdict.TIMEOUT


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Course:
    shutil.copytree(TOY, tmp_path / "course", ignore=shutil.ignore_patterns("__pycache__", ".grade"))
    monkeypatch.chdir(tmp_path / "course")
    return find(tmp_path / "course")


def judged(course: Course, verdict: Verdict, told: str = "", *, sha256: str = "", origin: str = "") -> KataResult:
    """As if the file of the first kata had been judged just now, with this message and picture."""
    kata, recorder = course.katas[0], Recorder()
    recorder.text("what it wrote", f"written: {told}")
    kinds = [*kata.points, *[next(iter(kata.points))] * kata.tests][: kata.tests]
    tests = [
        TestResult(
            name=f"test_{i}", kind=kind, title="T", verdict=verdict, message=told, pictures=tuple(recorder.pictures)
        )
        for i, kind in enumerate(kinds)
    ]
    result = grade_kata(kata, tests, seconds=0.1, stub="elsewhere.py", sha256=sha256 or read(kata, None, course).sha256)
    store = Store(course.root, lambda said: pytest.fail(str(said)))
    store.put(f"{told}{time.time_ns()}", result, origin=origin)
    store.close()
    return result


def known(course: Course) -> Kept:
    store = Store(course.root, lambda said: pytest.fail(str(said)))
    try:
        return kept(course, store)
    finally:
        store.close()


def write(course: Course, text: str) -> None:
    course.katas[0].stub.write_text(text, encoding="utf-8")


def test_what_was_never_tried_is_to_do_and_counts(course: Course) -> None:
    card = known(course).card
    assert [(kata.verdict, kata.message, kata.tests) for kata in card.katas] == [(Verdict.TODO, "", ())] * 2
    assert (card.score.points, card.complete) == (0.0, True)
    assert card.score.max == sum(sum(kata.points.values()) for kata in course.katas)


def test_the_file_as_it_is_comes_before_what_was_judged_later(course: Course) -> None:
    """Whoever goes back to an earlier file sees what was found of that, as `grade` would tell them."""
    write(course, "x = 1\n")
    first = judged(course, P, "the first")
    write(course, "x = 2\n")
    judged(course, F, "the second")
    assert known(course).card.katas[0].tests[0].message == "the second"
    write(course, "x = 1\n")
    found = known(course)
    assert found.card.katas[0] == replace(
        first, from_store=True, stub="katas/01_scale/scale.py", readme="katas/01_scale/README.md"
    )
    assert found.card.score.points == first.points > 0
    assert [each.verdict for each in found.attempts["01_scale"]] == [P, F] and not found.changed


def test_a_file_that_changed_since_shows_its_last_result_and_says_so(course: Course) -> None:
    judged(course, F, "the last")
    write(course, "x = 3\n")
    found = known(course)
    assert found.card.katas[0].tests[0].message == "the last" and found.changed == {"01_scale"}


def test_what_somebody_else_handed_in_is_never_shown(course: Course) -> None:
    write(course, "mine = 1\n")
    judged(course, F, "mine")
    judged(course, P, "theirs", sha256="theirs", origin="/class/ada")
    found = known(course)
    assert found.card.katas[0].tests[0].message == "mine"
    assert [each.origin for each in found.attempts["01_scale"]] == [""]
    assert found.changed == set()


def test_an_attempt_whose_findings_are_not_kept_is_shown_by_its_end(course: Course) -> None:
    """A timeout may be the machine's doing, so it is judged anew each time."""
    write(course, "slow = 1\n")
    judged(course, P, "before", sha256="before")
    judged(course, T, "too slow")
    kata = known(course).card.katas[0]
    assert (kata.verdict, kata.points, kata.tests) == (T, 0.0, ())
    assert kata.message == "what this attempt found was not kept: `grade run 01_scale` judges the file again"


def test_results_of_an_older_form_and_damaged_ones_are_passed_over(course: Course) -> None:
    judged(course, P, "good")
    judged(course, F, "older")
    with sqlite3.connect(course.root / ".grade" / "store.sqlite") as database:
        database.execute("UPDATE results SET result = '{}' WHERE key LIKE 'older%'")
    database.close()
    assert known(course).card.katas[0].tests[0].message == "good"


def test_the_page_goes_beside_the_store_and_says_where_it_is(
    course: Course, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    judged(course, F, "off by <b>one</b>")
    shown: list[str] = []
    monkeypatch.setattr(verb.webbrowser, "open", lambda address: shown.append(address) or True)
    page = course.root / ".grade" / "report.html"
    for args in (["report"], ["report", "--html"], ["report", "--html", "--open"]):
        page.unlink(missing_ok=True)
        assert run(args) == 0
        assert capsys.readouterr().out == f"the page is {page}\n"
        text = page.read_text(encoding="utf-8")
        assert "off by &lt;b&gt;one&lt;/b&gt;" in text and "written: off by" in text and "1 attempt" in text
    assert shown == [page.as_uri()]


def test_the_page_goes_where_it_is_sent_and_over_no_other_file(
    course: Course, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (tmp_path / "mine.html", tmp_path):
        for _ in range(2):  # a page is replaced by the next
            assert run(["report", "--html", str(path)]) == 0
    assert (tmp_path / "mine.html").read_bytes() == (tmp_path / "report.html").read_bytes()
    stub = course.katas[0].stub
    before = stub.read_bytes()
    with pytest.raises(UsageFault, match=r"scale\.py is there already, and is no page"):
        run(["report", "--html", str(stub)])
    assert stub.read_bytes() == before
    with pytest.raises(UsageFault, match="cannot write"):
        run(["report", "--html", str(tmp_path / "nowhere" / "a.html")])


def test_a_link_in_the_place_of_the_page_is_replaced_and_not_followed(course: Course, tmp_path: Path) -> None:
    target, page = tmp_path / "precious.txt", course.root / ".grade" / "report.html"
    target.write_text("precious")
    page.parent.mkdir()
    page.symlink_to(target)
    assert run(["report"]) == 0
    assert target.read_text() == "precious" and not page.is_symlink() and page.is_file()


def test_a_browser_that_does_not_open_is_said(
    course: Course, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verb.webbrowser, "open", lambda address: False)
    assert run(["report", "--open"]) == 0
    assert capsys.readouterr().out.splitlines()[1] == "no browser could be opened: open the file in yours"


def test_the_page_of_a_course_speaks_of_every_kata_once(course: Course, tmp_path: Path) -> None:
    assert run(["report", "--html", str(tmp_path)]) == 0
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert re.findall(r'<article class="kata open" id="([^"]*)"', text) == ["kata-01_scale", "kata-02_line"]
    assert "seed" not in text.split("<footer>")[1]  # there was no run
