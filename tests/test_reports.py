"""Reports: exact texts for the scorecards of tests/golden, and what must hold for any scorecard."""

import io
import json
import math
import os
import re
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace as edited
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from junitparser import JUnitXml
from markdown_it import MarkdownIt
from msgspec.structs import replace
from rich.cells import cell_len

from grader import reports
from grader.messages.language import Language
from grader.reports import github, layout, markdown, terminal
from grader.reports.folded import folded
from grader.reports.progress import Progress
from grader.reports.table import amount
from grader.scorecard import Cause, KataResult, Line, Scorecard, TestResult, Text, Verdict

GOLDEN = Path(__file__).with_name("golden")
CASES = sorted(path.name for path in GOLDEN.iterdir() if path.is_dir())
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def golden(case: str) -> Scorecard:
    return msgspec.json.decode((GOLDEN / case / "scorecard.json").read_bytes(), type=Scorecard)


EXPECTED = {
    "terminal-80.txt": lambda card: terminal.render(card, width=80),
    "terminal-120.txt": lambda card: terminal.render(card, width=120),
    "junit.xml": lambda card: reports.render("junit", card),
    "summary.md": lambda card: reports.render("github", card),
    "annotations.txt": lambda card: github.commands(card),
    "results.json": lambda card: reports.render("gradescope", card),
    "classroom.txt": lambda card: reports.render("classroom", card),
    "page.html": lambda card: outline(reports.render("html", card)),
    "badge.svg": lambda card: reports.render("badge", card),
    "outputs.txt": lambda card: github.outputs(card),
}


def outline(page: str) -> str:
    """A page without its style, and without what other versions of the libraries that draw write in other bytes."""
    page = re.sub(r"(?<=<style>).*?(?=</style>)", "", page, flags=re.DOTALL)
    page = re.sub(r"(</desc>).*?(?=</svg>)", r"\1", page, flags=re.DOTALL)
    return re.sub(r'(viewBox|src)="[^"]*"', r'\1=""', page)


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("case", CASES)
def test_a_golden_scorecard_reads_exactly_so(case: str, name: str) -> None:
    """With GOLDEN=write in the environment the files are written instead: look at what changed before you keep it."""
    text, path = EXPECTED[name](golden(case)), GOLDEN / case / name
    if os.environ.get("GOLDEN") == "write":
        path.write_text(text, encoding="utf-8", newline="\n")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("case", [case for case in CASES if case != "hostile"])
def test_json_gives_back_what_it_was_read_from(case: str) -> None:
    assert reports.render("json", golden(case)) == (GOLDEN / case / "scorecard.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", reports.REPORTS)
@pytest.mark.parametrize("case", CASES)
def test_no_report_holds_a_control_character(case: str, name: str) -> None:
    text = reports.render(name, golden(case))
    assert text.endswith("\n")
    assert all(character.isprintable() or character == "\n" for character in text)


@pytest.mark.parametrize("case", CASES)
def test_colours_change_nothing_but_the_colour(case: str) -> None:
    card = golden(case)
    painted = terminal.render(card, colour=True)
    assert painted != terminal.render(card)
    assert ESCAPE.sub("", painted) == terminal.render(card)


@pytest.mark.parametrize("case", CASES)
def test_no_line_is_wider_than_the_terminal(case: str) -> None:
    for width in (*range(50, 130), 200):
        lines = terminal.render(golden(case), width=width).split("\n")
        assert max(map(cell_len, lines)) <= width
        assert not [line for line in lines if line != line.rstrip()]


@pytest.mark.parametrize("case", CASES)
def test_a_very_narrow_terminal_is_no_error(case: str) -> None:
    for width in range(1, 50):
        assert "points" in terminal.render(golden(case), width=width)


@pytest.mark.parametrize("width", [62, 70, 80, 120])
def test_many_tests_of_a_kind_are_counted_in_full_under_a_short_heading(width: int) -> None:
    card = golden("all-pass")
    many = [
        replace(kata, by_kind={kind: replace(each, passed=10, total=12) for kind, each in kata.by_kind.items()})
        for kata in card.katas
    ]
    told = terminal.render(replace(card, katas=tuple(many)), width=width, language=Language("zh"))
    counts = sum(len(kata.by_kind) for kata in many)
    assert told.count("10/12") in (0, counts) and "10/…" not in told
    assert width < 80 or told.count("10/12") == counts


def test_next_is_the_first_kata_that_its_learner_can_do_something_about() -> None:
    last = {case: reports.render("terminal", golden(case)).rstrip("\n").split("\n")[-1] for case in CASES}
    assert last["untouched"] == "Next: katas/01_mlp/mlp.py (statement: katas/01_mlp/README.md)"
    assert last["mixed"] == "Next: katas/04_lstm/lstm.py (statement: katas/04_lstm/README.md)"
    assert last["our-fault"] == "Next: katas/20_gpt2/gpt2.py (statement: katas/20_gpt2/README.md)"
    assert last["all-pass"] == "42 of 42 points · 4 of 4 katas pass · 3.8 s"


def test_all_is_done_only_where_nothing_comes_after() -> None:
    def last(after: terminal.After) -> str:
        return terminal.render(golden("all-pass"), after=after).rstrip("\n").split("\n")[-1]

    assert last(terminal.After()).endswith("   All done.")
    assert last(terminal.After("katas/05_gan/gan.py", "")).endswith("   Next: katas/05_gan/gan.py")


def test_the_story_prefers_what_went_wrong_to_what_is_still_to_do() -> None:
    card = golden("troubles")
    kata = card.katas[3]
    tests = list(kata.tests)
    tests[-1] = replace(tests[-1], verdict=Verdict.FAIL, message="worse than the bigram model")
    text = terminal.render(replace(card, katas=(replace(kata, verdict=Verdict.FAIL, tests=tuple(tests)),)))
    assert "worse than the bigram model" in text
    assert "Top-p" not in text


def test_our_own_fault_is_called_ours_and_says_what_to_do() -> None:
    text = reports.render("terminal", golden("our-fault"))
    assert text.count("This is our fault, not yours") == 2
    assert "`grade run 07_vae --fresh`" in text and "`grade doctor`" in text


def test_nothing_that_a_learner_wrote_stands_at_the_left_edge() -> None:
    forged = "x\n✓ pass   04_lstm  10/10\n42 of 42 points"
    test = TestResult(
        name="t", kind="value", title="A title", verdict=Verdict.ERROR, message=forged, output=forged,
        line=Line(1, forged), cause=Cause(forged, forged, forged, forged),
    )  # fmt: skip
    card = golden("mixed")
    kata = replace(card.katas[1], tests=(test,), message=forged)
    shown = terminal.render(replace(card, katas=(kata,)))
    assert not re.search(r"^(✓ pass|42 of 42)", shown, re.MULTILINE)
    assert "    | ✓ pass   04_lstm  10/10" in shown


TEXT = st.text(st.characters(codec="utf-8"), max_size=80) | st.text("ab \n\t\x1b\u202e从零\uff0c。", max_size=200)


@given(text=TEXT, width=st.integers(8, 60))
def test_wrapping_loses_nothing_but_white_space(text: str, width: int) -> None:
    lines = layout.wrap(text, width)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(cell_len(line) <= width for line in layout.wrap(text.replace("\x1b", ""), width))


@given(text=TEXT, width=st.integers(1, 60), right=st.booleans())
def test_padding_is_exact(text: str, width: int, right: bool) -> None:
    plain = "".join(character for character in text if character.isprintable())
    assert cell_len(layout.pad(plain, width, right=right)) == width


@given(st.lists(st.none() | st.floats(-1e300, 1e300), max_size=100), st.integers(1, 40))
def test_a_sparkline_is_as_long_as_the_curve_or_the_room(values: list[float | None], width: int) -> None:
    line = layout.sparkline(values, width)
    assert len(line) == min(len(values), width)
    if len(values) <= width:
        assert [bar == "!" for bar in line] == [value is None for value in values]


def test_a_sparkline_rises_with_its_values() -> None:
    assert layout.sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == "▁▂▃▄▅▆▇█"
    assert layout.sparkline([2.0, 2.0], 8) == "▁▁"


@pytest.mark.parametrize(
    ("points", "shown"),
    [(10.0, "10"), (7.5, "7.5"), (2.9999, "2.99"), (1 / 3 * 3, "1"), (0.0, "0"), (23 / 3, "7.66"), (0.29, "0.29")],
)
def test_points_look_full_only_when_they_are(points: float, shown: str) -> None:
    assert amount(points) == shown


def cases_of(case: str) -> Iterator[tuple[ElementTree.Element, KataResult]]:
    card = golden(case)
    suites = ElementTree.fromstring(reports.render("junit", card)).findall("testsuite")
    assert len(suites) == len(card.katas) + len(card.unfinished)
    yield from zip(suites, card.katas, strict=False)


@pytest.mark.parametrize("case", CASES)
def test_a_junit_reader_sees_a_pass_exactly_where_there_is_one(case: str) -> None:
    for suite, kata in cases_of(case):
        found = suite.findall("testcase")
        bad = [test for test in found if test.find("failure") is not None or test.find("error") is not None]
        assert (not bad) == (kata.verdict in (Verdict.PASS, Verdict.TODO))
        assert bool(suite.findall("testcase/error")) == (kata.verdict is Verdict.INTERNAL)
        skipped = suite.findall("testcase/skipped")
        assert len(skipped) == sum(test.verdict in (Verdict.NOT_RUN, Verdict.TODO) for test in kata.tests)
        assert len(found) - len(bad) - len(skipped) == sum(test.verdict is Verdict.PASS for test in kata.tests)
        assert int(suite.attrib["tests"]) == len(found)
        assert int(suite.attrib["failures"]) + int(suite.attrib["errors"]) == len(bad)
        assert suite.attrib["skipped"] == str(len(skipped))


def test_what_was_not_judged_is_an_error_to_a_junit_reader() -> None:
    root = ElementTree.fromstring(reports.render("junit", golden("stopped")))
    stopped = root.findall("testsuite")[2:]
    assert [suite.attrib["name"] for suite in stopped] == ["07_vae", "20_gpt2"]
    assert all(suite.find("testcase/error") is not None for suite in stopped)


COMMANDS = [
    "::error file=a.py::mine",
    "  ::stop-commands::x",
    "##[error]mine",
    "##vso[task.complete]",
    "x ##teamcity[a]",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_document_on_stdout_commands_no_ci_system_and_says_the_same_to_its_reader(command: str) -> None:
    card = golden("mixed")
    kata = next(kata for kata in card.katas if kata.tests)
    test = replace(kata.tests[0], verdict=Verdict.FAIL, message=f"one\n{command}", output=f"{command}\n{command}\n")
    card = replace(card, katas=(replace(kata, verdict=Verdict.FAIL, tests=(test,)),))
    for name in reports.REPORTS:
        assert not layout.COMMANDS.search(reports.render(name, card)), name
    assert msgspec.json.decode(reports.render("json", card), type=Scorecard) == card
    case = next(ElementTree.fromstring(reports.render("junit", card)).iter("testcase"))
    assert case.findtext("system-out") == test.output
    failure = case.find("failure")
    assert failure is not None and command in (failure.text or "").splitlines()


# What pytest is given so that its own XML shows a case that passes, one that fails and one that is left out.
ONE_OF_EACH = """
import unittest

def test_good():
    assert [1] == [1]

def test_bad():
    print("x")
    assert [1] == [2]

def test_left():
    raise unittest.SkipTest("so")
"""


def test_junit_has_the_form_that_pytest_writes(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text(ONE_OF_EACH)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml=a.xml", "test_a.py"]
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    subprocess.run(command, cwd=tmp_path, env=alone, capture_output=True, check=False)
    theirs = form(ElementTree.parse(tmp_path / "a.xml").getroot())
    ours = form(ElementTree.fromstring(reports.render("junit", golden("mixed"))))
    ours.pop("properties"), ours.pop("property")
    assert ours.keys() <= theirs.keys() | {"system-out"}
    for tag, names in ours.items():
        assert names - {"type"} <= theirs.get(tag, set()) | {"name"}, tag  # which older ones leave out of the outermost


def form(root: ElementTree.Element) -> dict[str, set[str]]:
    """The elements of a document, each with the attributes that it has somewhere."""
    found: dict[str, set[str]] = {}
    for element in root.iter():
        found.setdefault(element.tag, set()).update(element.attrib)
    return found


def test_every_report_of_the_registry_is_a_file_that_renders() -> None:
    here = Path(reports.__file__).parent
    for name in reports.REPORTS:
        assert (here / f"{name}.py").is_file()
        assert reports.render(name, golden("mixed"))
    with pytest.raises(KeyError):
        reports.render("layout", golden("mixed"))


def test_reading_and_rendering_need_neither_rich_console_nor_jsonschema() -> None:
    program = (
        "import sys, msgspec\nfrom grader import reports\nfrom grader.scorecard import Scorecard\n"
        "card = msgspec.json.decode(open(sys.argv[1], 'rb').read(), type=Scorecard)\n"
        "reports.render('terminal', card)\n"
        "print(sorted({'rich.console', 'jsonschema', 'xml', 'numpy', 'torch'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program, str(GOLDEN / "mixed" / "scorecard.json")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_a_report_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.json"
    reports.write(path, "one")
    with pytest.raises(UnicodeEncodeError):
        reports.write(path, "two \ud800")
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="refused"):
        reports.write(path, "three")
    assert path.read_text() == "one"
    assert list(tmp_path.iterdir()) == [path]


def refuse(*arguments: object) -> None:
    raise OSError("refused")


@pytest.mark.parametrize("target", ["real.json", "nowhere.json"])
def test_a_report_takes_the_place_of_a_link_and_leaves_alone_what_it_leads_to(tmp_path: Path, target: str) -> None:
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    real.write_text("old")
    link.symlink_to(tmp_path / target)
    reports.write(link, "new")
    assert not link.is_symlink() and (link.read_text(), real.read_text()) == ("new", "old")
    assert not (tmp_path / "nowhere.json").exists()


def test_what_lies_in_wait_beside_a_report_is_not_written_to(tmp_path: Path) -> None:
    real, beside = tmp_path / "real.json", tmp_path / f".out.json.{os.getpid()}.tmp"
    real.write_text("old")
    beside.symlink_to(real)
    reports.write(tmp_path / "out.json", "new")
    assert real.read_text() == "old" and (tmp_path / "out.json").read_text() == "new"


def test_a_report_goes_into_devices_and_pipes(tmp_path: Path) -> None:
    reports.write(Path("/dev/null"), "nothing")
    assert not Path("/dev/null").is_file()
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    reports.write(tmp_path / "pipe", "through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_off_a_terminal_is_a_plain_line_per_finished_kata() -> None:
    stream, card = io.StringIO(), golden("mixed")
    with Progress({kata.id: len(kata.tests) for kata in card.katas}, stream) as progress:
        for kata in card.katas:
            progress.started(kata.id)
            for test in kata.tests:
                progress.tested(kata.id, test)
            progress.finished(kata)
    assert stream.getvalue().splitlines() == [
        "4 katas to judge · 36 tests",
        "01_mlp  ✓ pass  9/9 points  0.6 s",
        "04_lstm  ✗ fail  7.5/10 points  1.4 s",
        "07_vae  ✗ timeout  7.66/10 points  6.2 s",
        "20_gpt2  ○ to do  0/13 points  0.2 s",
    ]


def test_the_plan_is_known_before_anything_is_judged() -> None:
    stream = io.StringIO()
    with Progress({"a": 8, "b": 1}, stream, {"a": 30.0, "b": 12.0}, jobs=2, within=12.0):
        assert stream.getvalue() == "2 katas to judge · 9 tests · about 21 s · at most 12 min\n"
    with Progress({}, stream, within=12.0):
        assert stream.getvalue().count("\n") == 1  # where all is known there is nothing to plan


def test_progress_on_a_terminal_says_what_is_judged_and_how_long_it_will_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream, card = Terminal(), golden("mixed")
    with Progress({"01_mlp": 8, "04_lstm": 9}, stream, {"01_mlp": 4.0, "04_lstm": 6.0}, clock=lambda: 0.0) as progress:
        progress.started("01_mlp")
        progress.tested("01_mlp", card.katas[0].tests[0])
        shown = " ".join(ESCAPE.sub("", lines(progress)).split())
        assert "1 of 17 tests, 0 of 2 katas, about 10 s left" in shown
        assert "01_mlp 1/8 The scores have one row per example" in shown
    assert "✓" not in stream.getvalue()


def lines(progress: Progress) -> str:
    from rich.console import Console

    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    console.print(progress)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return str(text)


def test_the_time_left_counts_down_and_is_shared_by_the_jobs() -> None:
    now = [0.0]
    progress = Progress({"a": 1, "b": 1}, io.StringIO(), {"a": 6.0, "b": 4.0}, jobs=2, clock=lambda: now[0])
    assert progress.remaining() == 5.0
    progress.started("a")
    now[0] = 4.0
    assert progress.remaining() == 3.0
    now[0] = 100.0
    assert progress.remaining() == 2.0
    assert edited(progress, expected={"a": 1.0}).remaining() is None
    assert edited(progress, tests={}).remaining() == 0.0


def test_json_is_json_to_anybody() -> None:
    found = json.loads(reports.render("json", golden("mixed")))
    assert next(iter(found)) == "format_version"
    assert set(found["katas"][0]["by_kind"]["value"]) == {"points", "max", "passed", "total"}


@pytest.mark.parametrize("case", CASES)
def test_totals_agree_across_reports(case: str) -> None:
    card = golden(case)
    points, most = (pytest.approx(each, abs=1e-9) for each in (card.score.points, card.score.max))
    theirs = json.loads(reports.render("gradescope", card))
    assert theirs["score"] == card.score.points and theirs["extra_data"]["max"] == card.score.max
    assert math.fsum(test["score"] for test in theirs["tests"]) == points
    assert math.fsum(test["max_score"] for test in theirs["tests"]) == most
    reporter = json.loads(b64decode(reports.render("classroom", card)))
    assert reporter["max_score"] == card.score.max
    assert math.fsum(test["score"] for test in reporter["tests"]) == points
    suites = list(JUnitXml.fromstring(reports.render("junit", card).encode()))
    junit = {name: [float(each.value) for suite in suites for each in suite.properties() if each.name == name]
             for name in ("points", "max")}  # fmt: skip
    assert math.fsum(junit["points"]) == points
    unbegun = card.score.max - math.fsum(kata.max for kata in card.katas)
    assert math.fsum(junit["max"]) + unbegun == most and (unbegun > 0) == bool(card.unbegun)
    total = f"{amount(card.score.points)} of {amount(card.score.max)} points"
    for name in ("markdown", "github", "terminal"):
        assert total in reports.render(name, card), name
    assert f"points={amount(card.score.points)}\nmax={amount(card.score.max)}\n" in github.outputs(card)
    passed = sum(kata.verdict is Verdict.PASS for kata in card.katas)
    badge = ElementTree.fromstring(reports.render("badge", card))
    assert badge.get("aria-label") == f"katas: {passed} of {len(card.katas) + len(card.unbegun)}"
    assert f"passed={passed}\n" in github.outputs(card)
    page = reports.render("html", card)
    assert f"<h1>{total}</h1>" in page
    shown = re.findall(r'<span class="aside">(?:[^<]* · )?([\d.]+)/([\d.]+)</span>', page)
    tests = [test for kata in card.katas for test in folded(kata, Language()).tests]
    assert math.fsum(test.points for test in tests) == pytest.approx(points)
    assert shown == [(amount(test.points), amount(test.max)) for test in tests]


SCHEMAS = {
    "json": Path(reports.__file__).parents[1] / "schemas/scorecard.schema.json",
    "gradescope": Path(__file__).with_name("schemas") / "gradescope.schema.json",
    "classroom": Path(__file__).with_name("schemas") / "classroom.schema.json",
}


@pytest.mark.parametrize("name", SCHEMAS)
@pytest.mark.parametrize("case", CASES)
def test_a_report_in_json_follows_the_schema_of_its_reader(case: str, name: str) -> None:
    schema = json.loads(SCHEMAS[name].read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    text = reports.render(name, golden(case))
    found = json.loads(b64decode(text) if name == "classroom" else text)
    assert [error.message for error in Draft202012Validator(schema).iter_errors(found)] == []


@pytest.mark.parametrize("case", CASES)
def test_another_reader_of_junit_counts_as_we_do(case: str) -> None:
    """junitparser, which knows of no attribute that it would have to believe: it counts the cases."""
    text = reports.render("junit", golden(case))
    read = JUnitXml.fromstring(text.encode())
    for suite in read:
        said = (suite.tests, suite.failures, suite.errors, suite.skipped)
        suite.update_statistics()
        assert (suite.tests, suite.failures, suite.errors, suite.skipped) == said
        assert all(test.name and test.classname for test in suite)
    wrong = {Verdict.PASS, Verdict.TODO}
    card = golden(case)
    read.update_statistics()
    assert (read.failures + read.errors == 0) == (card.complete and {kata.verdict for kata in card.katas} <= wrong)


def test_the_reporter_of_classroom_turns_nothing_red_for_what_is_still_to_do() -> None:
    """It fails the job for `fail` and `error`, and adds up the score of every test."""
    status = {case: json.loads(b64decode(reports.render("classroom", golden(case))))["status"] for case in CASES}
    assert status["untouched"] == status["all-pass"] == "pass"
    assert status["mixed"] == status["troubles"] == "fail"
    assert status["stopped"] == status["our-fault"] == "error"


def test_hidden_tests_are_one_for_gradescope_so_that_a_student_sees_the_total() -> None:
    card = golden("hidden")
    tests = json.loads(reports.render("gradescope", card))["tests"]
    assert {test["visibility"] for test in tests} == {"visible"}
    folded = {test["name"]: test for test in tests if test["tags"] == ["hidden"]}
    assert {name: test["output"] for name, test in folded.items()} == {
        "01_mlp: hidden tests": "2 of 2 tests pass",
        "04_lstm: hidden tests": "4 of 4 tests pass",
        "07_vae: hidden tests": "2 of 3 tests pass",
        "20_gpt2: hidden tests": "0 of 1 tests pass",
    }
    assert [test.get("status") for test in folded.values()] == ["passed", "passed", "failed", None]
    secret = [f"{kata.id}: {test.title}" for kata in card.katas for test in kata.tests if test.hidden]
    assert len(secret) == 10 and not [title for title in secret if title in reports.render("gradescope", card)]


def test_a_badge_has_nothing_to_run_or_to_fetch_and_is_never_red_for_work_to_do() -> None:
    colours = {}
    for case in CASES:
        badge = ElementTree.fromstring(reports.render("badge", golden(case)))
        assert {element.tag.rpartition("}")[2] for element in badge.iter()} == {"svg", "title", "g", "rect", "text"}
        assert not [name for element in badge.iter() for name in element.attrib if "href" in name or name[:2] == "on"]
        colours[case] = badge.findall(".//{*}rect")[1].get("fill")
    assert (colours["untouched"], colours["mixed"], colours["all-pass"]) == ("#6e7781", "#0969da", "#1a7f37")


def test_what_is_to_do_has_no_status_for_gradescope() -> None:
    tests = json.loads(reports.render("gradescope", golden("untouched")))["tests"]
    assert tests and not [test for test in tests if "status" in test or test["score"]]


def test_a_summary_is_cut_to_what_github_takes_and_says_so() -> None:
    card = golden("mixed")
    whole = markdown.render(card)
    short = markdown.render(card, most=len(whole.encode()) - 1)
    assert len(short) < len(whole) and "1 kata more is left out here" in short
    assert short.startswith(whole[:100])


@pytest.mark.parametrize("case", CASES)
def test_another_reader_of_markdown_sees_a_row_for_each_kata_and_nothing_that_a_learner_made_up(case: str) -> None:
    """markdown-it, by the rules of CommonMark with tables."""
    card = golden(case)
    tokens = MarkdownIt("commonmark").enable("table").parse(reports.render("github", card))
    assert sum(token.type == "tr_open" for token in tokens) == 1 + len(card.katas) + len(card.unbegun)
    inline = [inner for token in tokens for inner in token.children or ()]
    assert {token.type for token in (*tokens, *inline)} <= {
        *(f"{name}_{end}" for name in ("paragraph", "strong", "table", "thead", "tbody", "tr", "th", "td", "heading")
          for end in ("open", "close")),
        "inline", "text", "fence", "softbreak", "text_special", "code_inline",
    }  # fmt: skip
    told = [kata for kata in card.katas if kata.verdict not in (Verdict.PASS, Verdict.TODO)]
    assert sum(token.type == "heading_open" for token in tokens) == len(told)


def test_no_fence_is_closed_by_what_it_holds() -> None:
    text = markdown.fenced("a\n```\n````\nb")
    assert text.startswith("`````text\n") and text.endswith("\n`````")


def test_annotations_are_ten_and_begin_with_one_for_each_kata() -> None:
    card = golden("troubles")
    lines = github.commands(card).splitlines()
    assert [line.split("/")[1] for line in lines[:3]] == ["01_mlp", "04_lstm", "07_vae"]
    assert all(line.startswith("::error file=katas/") for line in lines)
    kata = card.katas[0]
    many = [replace(kata.tests[0], name=f"t{n}", verdict=Verdict.FAIL, message=f"wrong {n}") for n in range(30)]
    card = replace(card, katas=(replace(kata, tests=tuple(many)), *card.katas[1:]))
    lines = github.commands(card).splitlines()
    assert len(lines) == 10
    assert [line.split("/")[1] for line in lines] == ["01_mlp", "04_lstm", "07_vae", *["01_mlp"] * 7]
    assert [line.rpartition("::")[2] for line in lines[3:]] == [f"wrong {n}" for n in range(1, 8)]


def test_an_annotation_is_read_back_as_it_was_said() -> None:
    """By the rules of GitHub's own toolkit: what is escaped in a value, and what in a property."""
    kata = golden("mixed").katas[1]
    said, title = "100 %\nof a: b, c", "Title: a, b % c"
    test = replace(kata.tests[0], verdict=Verdict.FAIL, message=said, title=title, line=Line(7, "x"), cause=None)
    (command,) = github.commands(replace(golden("mixed"), katas=(replace(kata, tests=(test,)),))).splitlines()
    head, _, value = command.removeprefix("::error ").partition("::")
    properties = dict(each.split("=", 1) for each in head.split(","))

    def unescaped(text: str) -> str:
        for code, character in (("%2C", ","), ("%3A", ":"), ("%0A", "\n"), ("%0D", "\r"), ("%25", "%")):
            text = text.replace(code, character)
        return text

    assert unescaped(value) == said
    assert {name: unescaped(each) for name, each in properties.items()} == {
        "file": kata.stub, "title": f"{kata.id}: {title}", "line": "7",
    }  # fmt: skip


def test_a_run_that_was_ended_early_and_a_kata_without_tests_are_annotated_too() -> None:
    assert github.commands(golden("stopped")).startswith("::warning title=stopped early::not judged to the end: 07_vae")
    assert "::error file=katas/20_gpt2/gpt2.py,title=20_gpt2::" in github.commands(golden("our-fault"))


def test_the_page_tells_of_hidden_tests_how_many_pass_and_no_more() -> None:
    """Neither their titles, messages, outputs nor pictures."""
    card = golden("hidden")
    hidden = [test for kata in card.katas for test in kata.tests if test.hidden]
    marked = [
        replace(kata, tests=tuple(_secret(test) if test.hidden else test for test in kata.tests)) for kata in card.katas
    ]
    page = reports.render("html", replace(card, katas=tuple(marked)))
    assert hidden and "secret" not in page
    assert page.count('<span class="title">hidden tests</span>') == 4


def _secret(test: TestResult) -> TestResult:
    picture = Text("secret picture", "secret")
    return replace(
        test, title="secret", message="secret", output="secret", cause=Cause("secret"), line=Line(1, "secret"), pictures=(picture,)
    )  # fmt: skip
