"""What learners do between two runs: the course and its next kata, hints, and files that come back whatever replaced them."""

import io
import os
import pty
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from grader.cli import speech
from grader.cli.commands import run
from grader.course import Course, find
from grader.errors import UsageFault
from grader.messages.language import Language
from grader.scorecard import TestResult, Verdict, grade_kata
from grader.standing import State, standing
from grader.store import Store
from grader.study import listing, paths
from grader.submission import read

TOY = Path(__file__).with_name("toy")


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Course:
    shutil.copytree(TOY, tmp_path / "course", ignore=shutil.ignore_patterns("__pycache__", ".grade"))
    monkeypatch.chdir(tmp_path / "course")
    monkeypatch.setenv("COLUMNS", "80")
    return find(tmp_path / "course")


def attempt(course: Course, name: str, verdict: Verdict, origin: str = "") -> None:
    """As if a file had been judged just now."""
    (kata,) = course.select([name])
    kinds = [*kata.points, *[next(iter(kata.points))] * kata.tests][: kata.tests]
    tests = [TestResult(name=f"test_{i}", kind=kind, title="T", verdict=verdict) for i, kind in enumerate(kinds)]
    result = grade_kata(kata, tests, seconds=0.1, sha256=read(kata, None, course).sha256)
    store = Store(course.root, lambda said: pytest.fail(str(said)))
    store.put(f"{name}{verdict}{time.time()}", result, origin=origin)
    store.close()


def said(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert run(list(args)) == 0
    return capsys.readouterr().out


def states(course: Course) -> dict[str, State]:
    store = Store(course.root, lambda said: pytest.fail(str(said)))
    try:
        return {place.kata.id: place.state for place in standing(course, store).places}
    finally:
        store.close()


def test_a_kata_is_new_begun_passed_and_changed_since(course: Course) -> None:
    first, second = course.katas
    assert set(states(course).values()) == {State.NEW}
    attempt(course, first.id, Verdict.TODO)
    assert states(course)[first.id] is State.NEW
    attempt(course, first.id, Verdict.FAIL)
    assert states(course)[first.id] is State.BEGUN
    attempt(course, second.id, Verdict.PASS)
    assert states(course)[second.id] is State.PASSED
    second.stub.write_text(second.stub.read_text() + "\n# more\n")
    assert states(course)[second.id] is State.CHANGED


def test_what_was_judged_from_elsewhere_is_no_attempt_of_the_learners(course: Course) -> None:
    attempt(course, course.katas[0].id, Verdict.PASS, origin="/elsewhere")
    assert states(course)[course.katas[0].id] is State.NEW


def test_next_is_what_is_begun_then_what_is_ready_and_in_the_end_nothing(
    course: Course, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = course.katas
    assert said(capsys, "next").startswith(first.id)
    attempt(course, first.id, Verdict.PASS)
    assert said(capsys, "next").startswith(second.id)
    attempt(course, second.id, Verdict.PASS)
    assert said(capsys, "next") == "All katas of this course pass.\n"


def test_next_and_list_and_watch_say_that_what_passed_has_another_file_since(
    course: Course, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = course.katas
    attempt(course, first.id, Verdict.PASS)
    assert "another one since" not in said(capsys, "next") + said(capsys, "list")
    first.stub.write_text(first.stub.read_text() + "\n# more\n")
    told = " ".join(said(capsys, "next").split())
    assert told.startswith(second.id)
    sentence = "01_scale has passed, and its file is another one since: it still counts, and `grade next` goes on; `grade scale` judges it as it is now"
    assert told.endswith(sentence)
    listed = said(capsys, "list")
    assert (
        listed.startswith("~ changed") and "0 of 2 katas pass" in listed and " ".join(listed.split()).endswith(sentence)
    )
    assert "文件已经改过" in listing.changed(standing(course, Store(course.root, print)).places, Language("zh"))
    attempt(course, first.id, Verdict.FAIL)
    attempt(course, second.id, Verdict.PASS)
    told = said(capsys, "next")
    assert told.startswith("All katas of this course have passed.\n") and sentence in " ".join(told.split())


def test_next_stays_with_what_passed_before_and_was_found_not_to_now(course: Course) -> None:
    first, second = course.katas
    attempt(course, first.id, Verdict.PASS)
    stands = standing(course, Store(course.root, print))
    assert stands.next() == second and stands.next(among={first.id}) == first


def test_the_list_has_a_line_for_each_kata_that_fits(course: Course, capsys: pytest.CaptureFixture[str]) -> None:
    attempt(course, course.katas[0].id, Verdict.PASS)
    lines = said(capsys, "list").splitlines()
    assert lines[0].startswith("✓ passed") and lines[1].startswith("○ new")
    assert [line.split()[2] for line in lines[:2]] == [kata.id for kata in course.katas]
    assert lines[-1].startswith("1 of 2 katas pass") and all(len(line) <= 80 for line in lines)


def test_hints_come_one_at_a_time_and_are_remembered(course: Course, capsys: pytest.CaptureFixture[str]) -> None:
    kata = course.katas[0]
    total = len(kata.hints)
    for number in range(1, total + 1):
        assert f"hint {number} of {total}" in said(capsys, "hint", kata.slug)
    assert "the last one" in said(capsys, "hint", kata.slug)
    assert said(capsys, "hint", kata.slug, "--again").count(f" of {total}") == total


def test_the_statement_is_shown(course: Course, capsys: pytest.CaptureFixture[str]) -> None:
    kata = course.katas[0]
    (kata.folder / "README.md").write_text("# The statement\n")
    assert said(capsys, "show", kata.slug) == "# The statement\n"


@pytest.mark.parametrize(("own", "asked"), [("", "-R utf-8"), ("-S", "-S -R utf-8")])
def test_less_is_told_to_show_colours_and_any_sign(course: Course, tmp_path: Path, own: str, asked: str) -> None:
    (course.katas[0].folder / "README.md").write_text("# Scale\n")
    near, far = pty.openpty()
    pager = f"sh -c 'echo $LESS $LESSCHARSET > {tmp_path}/asked; cat'"
    environment = {**os.environ, "TERM": "xterm", "PAGER": pager, "LESS": own}
    environment.pop("LESSCHARSET", None)
    command = [str(Path(sys.executable).with_name("grade")), "show", "scale"]
    subprocess.run(command, cwd=course.root, env=environment, stdin=far, stdout=far, stderr=far, check=True)
    os.close(far)
    assert "Scale" in os.read(near, 1 << 16).decode()
    os.close(near)
    assert (tmp_path / "asked").read_text() == f"{asked}\n"


def test_reset_keeps_what_was_there_and_undo_goes_to_and_fro(
    course: Course, capsys: pytest.CaptureFixture[str]
) -> None:
    kata = course.katas[0]
    stub, mine = kata.stub.read_bytes(), b"mine = 1\n"
    kata.stub.write_bytes(mine)
    (kata.folder / f"{kata.slug}.stub").write_bytes(stub)
    shutil.rmtree(course.root / "reference", ignore_errors=True)
    told = said(capsys, "reset", kata.slug, "--yes")
    assert kata.stub.read_bytes() == stub
    copy = re.search(r"kept in (\S+?\.py)", told)
    assert copy and (course.root / copy[1]).read_bytes() == mine
    assert "is the stub already" in said(capsys, "reset", kata.slug)
    for content in (mine, stub, mine):
        said(capsys, "undo", kata.slug)
        assert kata.stub.read_bytes() == content
    kata.stub.unlink()
    said(capsys, "reset", kata.slug, "--yes")
    assert kata.stub.read_bytes() == stub


def test_where_nobody_can_be_asked_nothing_is_replaced(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    kata = course.katas[0]
    kata.stub.write_bytes(b"mine = 1\n")
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    with pytest.raises(UsageFault, match="nothing was changed") as fault:
        run(["reset", kata.slug])
    assert "--yes" in str(fault.value.next_step) and kata.stub.read_bytes() == b"mine = 1\n"


def test_with_no_copy_there_is_nothing_to_undo(course: Course) -> None:
    with pytest.raises(UsageFault, match="nothing to undo"):
        run(["undo", course.katas[0].slug])


def test_a_solution_is_for_those_who_solved_it_or_gave_up(course: Course, capsys: pytest.CaptureFixture[str]) -> None:
    kata = course.katas[0]
    reference = course.reference(kata)
    reference.parent.mkdir(parents=True, exist_ok=True)
    reference.write_text("# BEGIN SOLUTION: x\nanswer = 42\n# END SOLUTION\n")
    with pytest.raises(UsageFault, match="does not pass yet"):
        run(["solution", kata.slug])
    assert said(capsys, "solution", kata.slug, "--give-up") == "answer = 42\n"
    assert said(capsys, "solution", kata.slug) == "answer = 42\n"  # it is remembered
    reference.unlink()
    with pytest.raises(UsageFault, match="is a release"):
        run(["solution", kata.slug])


def test_a_kata_that_passes_shows_its_solution(course: Course, capsys: pytest.CaptureFixture[str]) -> None:
    kata = course.katas[1]
    course.reference(kata).parent.mkdir(parents=True, exist_ok=True)
    course.reference(kata).write_text("answer = 42\n")
    attempt(course, kata.id, Verdict.PASS)
    assert said(capsys, "solution", kata.slug) == "answer = 42\n"


def test_history_tells_every_attempt_and_where_its_file_was(course: Course, capsys: pytest.CaptureFixture[str]) -> None:
    kata = course.katas[0]
    assert "no attempts yet" in said(capsys, "history")
    attempt(course, kata.id, Verdict.FAIL)
    attempt(course, kata.id, Verdict.PASS, origin="/elsewhere")
    attempt(course, kata.id, Verdict.PASS)
    own, others = said(capsys, "history", kata.slug).split("\n\n")
    assert ["fail" in line for line in own.splitlines()] == [True, False] and "elsewhere" not in own
    heading, line = others.splitlines()
    assert heading.startswith("files from elsewhere (--from)") and "✓ pass" in line and "from /elsewhere" in line


def test_the_history_of_all_katas_is_a_table(course: Course, capsys: pytest.CaptureFixture[str]) -> None:
    for kata in course.katas:
        attempt(course, kata.id, Verdict.PASS)
    lines = said(capsys, "history").splitlines()
    assert len({len(kata.id) for kata in course.katas}) == 2 and len({line.index("✓") for line in lines}) == 1


def test_who_gave_up_reads_so_later(course: Course, capsys: pytest.CaptureFixture[str]) -> None:
    kata, other = course.katas
    said(capsys, "solution", kata.slug, "--give-up")
    attempt(course, other.id, Verdict.PASS)
    said(capsys, "solution", other.slug, "--give-up")
    manifest = kata.folder / "kata.toml"
    manifest.write_text(manifest.read_text().replace('title = "Scale"', f'title = "{"Scale " * 12}"'))
    lines = said(capsys, "list").splitlines()
    assert lines[0].endswith("…  solution shown") and len(lines[0]) <= 80 and "solution shown" not in lines[1]
    assert said(capsys, "history").splitlines()[-1] == f"{kata.id}: its solution was shown before it passed"


NAMED = """\
format_version = 2
languages = ["en", "zh"]
tracks = ["foundations", "vision"]
[names.zh]
foundations = "基础"
vision = "视觉"
"""


def test_tracks_are_shown_where_there_is_room_and_can_be_asked_for(
    course: Course, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = course.katas[1].folder / "kata.toml"
    manifest.write_text(manifest.read_text().replace('track = "foundations"', 'track = "vision"'))
    assert "vision" not in said(capsys, "list")
    monkeypatch.setenv("COLUMNS", "120")
    lines = said(capsys, "list").splitlines()
    assert [line.split()[3] for line in lines[:2]] == ["foundations", "vision"]
    lines = said(capsys, "list", "--track", "vision").splitlines()
    assert course.katas[1].id in lines[0] and lines[-1].startswith("0 of 1 kata passes")
    (course.root / "course.toml").write_text(NAMED, encoding="utf-8")
    speech.choose(["--lang", "zh"])
    try:
        assert "视觉" in said(capsys, "list")
    finally:
        speech.choose(["--lang", "en"])
    assert "vision" in said(capsys, "list")
    with pytest.raises(UsageFault, match="no track 'visions'"):
        run(["list", "--track", "visions"])


PATHS = """\
format_version = 2
languages = ["en", "zh"]
[[paths]]
name = "evening"
title = "An evening"
title_zh = "一个晚上"
about = "How lines are drawn."
about_zh = "怎样画线。"
katas = ["01_scale", "02_line"]
[[paths]]
name = "hour"
title = "An hour"
title_zh = "一小时"
about = "Lines alone."
about_zh = "只有线。"
katas = ["02_line"]
"""


@pytest.fixture
def on_paths(course: Course) -> Course:
    (course.root / "course.toml").write_text(PATHS, encoding="utf-8")
    return course


def test_a_path_is_listed_in_its_own_order_and_names_what_comes_next(
    on_paths: Course, capsys: pytest.CaptureFixture[str]
) -> None:
    scale, line = on_paths.katas
    last = said(capsys, "list").splitlines()[-1]
    assert last == "paths: evening (0 h), hour (0 h); `grade list --path evening` shows one"
    turned = PATHS.replace('["01_scale", "02_line"]', '["02_line", "01_scale"]')
    (on_paths.root / "course.toml").write_text(turned, encoding="utf-8")
    lines = said(capsys, "list", "--path", "evening").splitlines()
    assert lines[0] == "An evening: How lines are drawn." and lines[-1].startswith("0 of 2 katas pass")
    assert [each.split()[2] for each in lines[2:4]] == [line.id, scale.id]
    assert said(capsys, "next").startswith(scale.id) and said(capsys, "next", "--path", "hour").startswith(line.id)
    attempt(on_paths, line.id, Verdict.PASS)
    assert said(capsys, "next", "--path", "hour").startswith("All katas of this path have passed.\n")
    with pytest.raises(UsageFault, match="no path 'evenings'") as refused:
        run(["next", "--path", "evenings"])
    assert str(refused.value.next_step) == "did you mean evening?"


def test_a_path_speaks_the_language_and_keeps_what_there_is_of_it(on_paths: Course) -> None:
    evening, hour = paths.load(on_paths)
    assert (evening.title_in("zh"), hour.about_in("en")) == ("一个晚上", "Lines alone.")
    shutil.rmtree(on_paths.katas[1].folder)
    (left,) = paths.load(find(on_paths.root))
    assert (left.name, [kata.id for kata in left.katas]) == ("evening", ["01_scale"])


def test_an_author_hears_what_is_wrong_with_a_path(on_paths: Course) -> None:
    wrong = PATHS.replace('title_zh = "一小时"\n', "").replace('"hour"', '"evening"').replace("01_scale", "01_scales")
    (on_paths.root / "course.toml").write_text(wrong, encoding="utf-8")
    assert [str(fault) for fault in paths.faults(find(on_paths.root))] == [
        "course.toml: paths.0.katas is no kata of this course, found 01_scales; did you mean 01_scale?",
        "course.toml: paths.0.katas must stand after 01_scale, which it requires, found 02_line",
        "course.toml: paths.1.name is the name of another path too, found evening",
        "course.toml: paths.1.title_zh is missing",
        "course.toml: paths.1.katas must stand after 01_scale, which it requires, found 02_line",
    ]


def test_a_dot_means_the_kata_in_whose_folder_one_is(
    course: Course, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kata = course.katas[1]
    (kata.folder / "README.md").write_text("# The second\n")
    monkeypatch.chdir(kata.folder)
    for name in (".", "./"):
        assert said(capsys, "show", name) == "# The second\n"
    assert "hint 1" in said(capsys, "hint", ".")
    monkeypatch.chdir(course.root)
    with pytest.raises(UsageFault, match="there is no kata"):
        run(["show", "."])
    with pytest.raises(UsageFault, match=r"did you mean history\?"):
        run(["show", "histori"])


def test_a_slip_in_a_verb_is_told_with_the_verb(course: Course) -> None:
    with pytest.raises(UsageFault, match=r"did you mean history\?"):
        run(["histori"])
