"""The command as other programs know it: arguments, exit codes, reports, interrupts. Every run is a whole process."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from grader import reports
from grader.engine.sandbox import LAYERS
from grader.session import Session

TOY = Path(__file__).parent / "toy"
GRADE = str(Path(sys.executable).with_name("grade"))


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A copy of the toy course, to be filled in and broken."""
    root = tmp_path / "course"
    shutil.copytree(TOY, root, ignore=shutil.ignore_patterns("__pycache__", ".grade"))
    return root


def grade(course: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [GRADE, *arguments], cwd=course, text=True, capture_output=True, env={**os.environ, **environment}, check=False
    )


def card(course: Path, *arguments: str, **environment: str) -> tuple[int, dict[str, Any]]:
    done = grade(course, *arguments, "--report", "json", **environment)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_the_reference_passes_and_its_json_follows_the_schema(course: Path) -> None:
    code, found = card(course, "run", "--from", "reference")
    assert code == 0
    schema = json.loads((Path(reports.__file__).parents[1] / "schemas" / "scorecard.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(found)
    assert [kata["verdict"] for kata in found["katas"]] == ["pass", "pass"]
    assert found["score"]["points"] == found["score"]["max"] > 0
    assert sum(test["points"] for kata in found["katas"] for test in kata["tests"]) == found["score"]["points"]


def test_untouched_stubs_are_to_do_and_the_first_is_named(course: Path) -> None:
    done = grade(course)
    assert done.returncode == 1
    assert "to do" in done.stdout and "katas/01_scale/scale.py" in done.stdout.splitlines()[-1]
    assert "Traceback" not in done.stdout + done.stderr


def test_a_test_beside_the_reference_is_known_as_hidden_and_folded_for_students(course: Path) -> None:
    (course / "reference/01_scale/test_hidden.py").write_text(
        "import pytest\n\n\n@pytest.mark.value\ndef test_secret(solution):\n"
        '    """Nobody knows of this."""\n    assert float(solution.scale(2.0, 3.0)) == 6.0\n'
    )
    manifest = course / "katas/01_scale/kata.toml"
    manifest.write_text(manifest.read_text().replace("tests = 4", "tests = 5"))
    _, found = card(course, "scale", "--from", "reference")
    tests = found["katas"][0]["tests"]
    assert [test["name"] for test in tests if test["hidden"]] == ["test_secret"] and len(tests) == 5
    theirs = grade(course, "scale", "--from", "reference", "--report", "gradescope").stdout
    assert "01_scale: hidden tests" in theirs and "Nobody knows" not in theirs


def test_one_kata_by_number_slug_id_or_alone(course: Path) -> None:
    for name in (["1"], ["run", "scale"], ["run", "01_scale"]):
        code, found = card(course, *name, "--from", "reference")
        assert code == 0 and [kata["id"] for kata in found["katas"]] == ["01_scale"]


def test_what_is_known_is_not_judged_again_until_anything_changes(course: Path) -> None:
    first = card(course, "1", "--from", "reference")[1]["katas"][0]
    again = card(course, "1", "--from", "reference")[1]["katas"][0]
    assert (first["from_store"], again["from_store"]) == (False, True)
    assert again["tests"] == first["tests"]
    assert card(course, "1", "--from", "reference", "--fresh")[1]["katas"][0]["from_store"] is False
    assert card(course, "1", "--from", "reference", "--seed", "7")[1]["katas"][0]["from_store"] is False
    suite = course / "katas/01_scale/test_scale.py"
    suite.write_text(suite.read_text() + "\n# changed\n")
    assert card(course, "1", "--from", "reference")[1]["katas"][0]["from_store"] is False


def test_an_unchanged_course_is_answered_without_numpy_torch_or_jsonschema(course: Path) -> None:
    card(course, "--from", "reference")
    done = subprocess.run(
        [sys.executable, "-X", "importtime", GRADE, "--from", "reference"],
        cwd=course, text=True, capture_output=True, check=True,
    )  # fmt: skip
    loaded = set(re.findall(r"\| +([\w.]+)$", done.stderr, re.MULTILINE))
    assert "grader.session" in loaded and not loaded & {"numpy", "torch", "jsonschema", "pytest"}


@pytest.mark.parametrize("layer", ["landlock", "seccomp", "rlimits", "namespaces"])
def test_a_result_of_a_weaker_sandbox_is_judged_again_in_a_whole_one(course: Path, layer: str) -> None:
    def stored(**environment: str) -> bool:
        found: bool = card(course, "1", "--from", "reference", **environment)[1]["katas"][0]["from_store"]
        return found

    assert [stored(GRADKATA_TEST_WITHOUT=layer) for _ in range(2)] == [False, True]
    assert [stored() for _ in range(2)] == [False, True]
    assert stored(GRADKATA_TEST_WITHOUT=layer), "what a whole sandbox found holds in a weaker one"


def test_a_whole_sandbox_has_every_layer_that_there_is(warm_session: Session) -> None:
    warm_session.grade(warm_session.course.katas)
    assert warm_session.keeper.current is not None
    assert warm_session.keeper.current.sandbox.layers == LAYERS


def test_files_from_elsewhere_flat_or_in_folders(course: Path, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    shutil.copy(course / "reference/01_scale/scale.py", flat)
    code, found = card(course, "--from", str(flat))
    verdicts = {kata["id"]: kata["verdict"] for kata in found["katas"]}
    assert code == 1 and verdicts == {"01_scale": "pass", "02_line": "error"}


def test_reports_go_where_they_are_sent(course: Path, tmp_path: Path) -> None:
    done = grade(
        course,
        "1",
        "--from",
        "reference",
        "--report",
        f"json={tmp_path / 'a.json'}",
        "--report",
        f"junit={tmp_path / 'a.xml'}",
        "--report",
        f"html={tmp_path / 'a.html'}",
    )
    assert done.returncode == 0 and "10" not in done.stderr and "points" in done.stdout
    assert json.loads((tmp_path / "a.json").read_text())["complete"] is True
    assert (tmp_path / "a.xml").read_text().startswith("<?xml")
    assert "1 of 1 kata passes" in (tmp_path / "a.html").read_text()
    twice = grade(course, "--report", "json", "--report", "junit")
    assert twice.returncode == 2 and "standard output" in twice.stderr
    nowhere = grade(course, "1", "--from", "reference", "--report", "json=/nonexistent/a.json")
    assert nowhere.returncode == 2 and "/nonexistent/a.json" in nowhere.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nope"], "there is no kata 'nope'"),
        (["scal"], "did you mean scale"),
        (["--from", "nowhere"], "nowhere is not a folder"),
        (["--report", "pdf"], "there is no report 'pdf'"),
        (["--course", "/"], "/ is not a course"),
        (["--jobs", "0"], "--jobs"),
    ],
)
def test_a_wrong_request_names_the_thing_and_exits_with_2(course: Path, arguments: list[str], words: str) -> None:
    done = grade(course, "run", *arguments)
    assert done.returncode == 2 and words in done.stderr and not done.stdout and "Traceback" not in done.stderr


def test_outside_a_course_it_says_so(tmp_path: Path) -> None:
    done = grade(tmp_path)
    assert done.returncode == 2 and "not in a course" in done.stderr and "--course" in done.stderr


def test_a_faulty_manifest_is_the_courses_fault_all_at_once(course: Path) -> None:
    for id, old, new in (("01_scale", "difficulty = 1", "difficulty = 9"), ("02_line", "worker =", "workr =")):
        manifest = course / "katas" / id / "kata.toml"
        manifest.write_text(manifest.read_text().replace(old, new))
    done = grade(course)
    assert done.returncode == 2
    assert "01_scale/kata.toml: difficulty" in done.stderr and "02_line/kata.toml: workr" in done.stderr


def test_a_suite_that_does_not_collect_is_our_fault_and_exits_with_3(course: Path) -> None:
    suite = course / "katas/01_scale/test_scale.py"
    suite.write_text("import nothing_of_that_name\n" + suite.read_text())
    code, found = card(course, "--from", "reference")
    kata = found["katas"][0]
    assert code == 3 and kata["verdict"] == "internal" and "nothing_of_that_name" in kata["message"]
    assert found["katas"][1]["verdict"] == "pass"


def test_a_suite_with_fewer_tests_than_its_manifest_is_no_pass(course: Path) -> None:
    suite = course / "katas/01_scale/test_scale.py"
    suite.write_text(suite.read_text().replace("def test_halves", "def check_halves"))
    code, found = card(course, "1", "--from", "reference")
    assert code == 3 and found["katas"][0]["verdict"] == "internal"
    assert "3 tests" in found["katas"][0]["message"]


def test_the_environment_of_the_caller_steers_nothing(course: Path, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise SystemExit('shadowed')")
    (course / "conftest.py").write_text("raise SystemExit('conftest')")
    (course / "pytest.ini").write_text("[pytest]\naddopts = --collect-only\n")
    code, found = card(
        course, "--from", "reference", PYTEST_ADDOPTS="--collect-only", PYTHONPATH=str(tmp_path), PYTHONWARNINGS="error"
    )
    assert code == 0 and found["score"]["points"] == found["score"]["max"]


def test_an_interrupt_leaves_a_partial_scorecard_and_no_process(course: Path, tmp_path: Path) -> None:
    (course / "katas/01_scale/scale.py").write_text("while True:\n    pass\n")
    manifest = course / "katas/01_scale/kata.toml"
    manifest.write_text(manifest.read_text().replace("seconds = 2.0", "seconds = 100.0"))
    shutil.copy(course / "reference/02_line/line.py", course / "katas/02_line/line.py")
    process = subprocess.Popen(
        [GRADE, "run", "-j", "2", "--report", f"json={tmp_path / 'a.json'}"],
        cwd=course, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # tests in the background ignore it
    )  # fmt: skip
    assert process.stderr is not None
    first = next(line for line in process.stderr if line.startswith("02_line"))  # it is done; the other loops for ever
    assert any("grader.judge.ladder" in command for command in _processes_in(course))
    before = _ticks(process.pid)
    while not any(ticks >= before.get(pid, 0) + 60 for pid, ticks in _ticks(process.pid).items()):
        assert (
            process.poll() is None
        )  # until the other is at work, which a busy machine may take a while to bring about
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate()
    assert process.returncode == 130, output
    assert "stopped early" in output and "02_line" in first
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["complete"] is False and found["unfinished"] == ["01_scale"]
    assert len(found["katas"][0]["tests"]) == 4  # as many as its manifest says, and none was run
    assert {test["verdict"] for test in found["katas"][0]["tests"]} == {"not_run"}
    assert not _processes_in(course)


def _ticks(top: int) -> dict[int, int]:
    """Hundredths of a second that each process has used which this one started, or one of those did."""
    stats = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            stats[int(folder.name)] = (folder / "stat").read_text().rpartition(")")[2].split()
    found: set[int] = set()
    while more := {pid for pid, fields in stats.items() if int(fields[1]) in found | {top}} - found:
        found |= more
    return {pid: int(stats[pid][11]) for pid in found}


def _processes_in(course: Path) -> list[str]:
    """Command lines of the processes whose working directory is the course: the ladder and its judges."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.readlink(folder / "cwd") == str(course):
                found.append((folder / "cmdline").read_text())
    return found


def test_without_fork_the_verdicts_are_the_same(course: Path) -> None:
    code, found = card(course, "--from", "reference", GRADKATA_START="fresh")
    assert code == 0, found
    assert "afresh" in found["sandbox"]
    (course / "katas/01_scale/scale.py").write_text("def scale(x, factor):\n    return x.nope\n")
    code, found = card(course, "1", GRADKATA_START="fresh")
    assert [test["verdict"] for test in found["katas"][0]["tests"]] == ["fail"] * 4


def test_a_folder_that_cannot_keep_results_is_a_notice(course: Path) -> None:
    (course / ".grade").write_text("in the way")
    done = grade(course, "1", "--from", "reference")
    assert done.returncode == 0 and "results are not kept" in done.stderr


def test_every_command_and_option_has_help(course: Path) -> None:
    for command in ([], ["run"], ["doctor"]):
        text = grade(course, *command, "--help").stdout
        assert "Usage" in text and len(text.splitlines()) > 5


def test_doctor_tries_the_sandbox(course: Path) -> None:
    done = grade(course, "doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "refused   fork" in done.stdout and "nothing is missing" in done.stdout
    weaker = grade(course, "doctor", GRADKATA_TEST_WITHOUT="seccomp")
    assert weaker.returncode == 1 and "seccomp off (switched off for a test)" in weaker.stdout


@pytest.mark.parametrize("command", ["run", "check"])
def test_windows_is_sent_to_where_files_can_be_judged(course: Path, command: str) -> None:
    there = "import types, grader.cli, grader.machine as m; m.sys = types.SimpleNamespace(platform='win32')"
    code = f"{there}; grader.cli.main([{command!r}])"
    done = subprocess.run([sys.executable, "-c", code], cwd=course, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "in WSL" in done.stderr and not done.stdout
