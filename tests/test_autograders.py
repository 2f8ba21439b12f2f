"""What other systems run: the zip of Gradescope's autograder and GitHub Classroom's workflow, each as that system would."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from base64 import b64decode
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from jsonschema import Draft202012Validator

from grader import autograder
from grader.authoring.making.choice import choose
from grader.authoring.making.pages import on_github
from grader.authoring.making.release import CLASSROOM, contents
from grader.cli import main
from grader.course import Course, find
from grader.engine.hold import Ladder

from .workshop import run

TOY = Path(__file__).parent / "toy"
SCHEMAS = Path(__file__).parent / "schemas"
HIDDEN = '''"""Hidden."""

import numpy as np
import pytest


@pytest.mark.value
def test_secret(solution):
    """A secret."""
    assert solution.scale(np.ones(2), 3.0).sum() == 6, "three"
'''
DUE = {"created_at": "2026-11-30T12:00:00-07:00", "assignment": {"due_date": "2026-12-01T23:00:00-07:00"}}


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """The toy course, whose first kata has a hidden test."""
    root = tmp_path_factory.mktemp("course")
    shutil.copytree(TOY, root, ignore=shutil.ignore_patterns("__pycache__", ".grade"), dirs_exist_ok=True)
    (root / "reference/01_scale/test_hidden.py").write_text(HIDDEN, encoding="utf-8")
    manifest = root / "katas/01_scale/kata.toml"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace("tests = 4", "tests = 5"), encoding="utf-8")
    return find(root, root)


@pytest.fixture(scope="module")
def packed(course: Course, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("zip") / "autograder.zip"
    with pytest.raises(SystemExit) as ended:
        main(["release", str(out), "--gradescope", "--course", str(course.root)])
    assert ended.value.code == 0
    return out


@pytest.fixture
def image(packed: Path, tmp_path: Path) -> Path:
    """Gradescope's folder, as its image is built from the zip, but for what setup.sh installs."""
    root = tmp_path / "autograder"
    with zipfile.ZipFile(packed) as archive:
        for info in archive.infolist():
            Path(archive.extract(info, root / "source")).chmod(info.external_attr >> 16)
    shutil.copy(root / "source/run_autograder", root)
    (root / "submission").mkdir()
    python = root / "venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nPYTHONPATH={root / "source"} exec {sys.executable} "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    return root


def graded(image: Path, code: int = 0) -> dict[str, Any]:
    """What Gradescope reads after it ran `run_autograder` from somewhere."""
    done = subprocess.run([str(image / "run_autograder")], cwd="/", capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    found = image / "results/results.json"
    results: dict[str, Any] = json.loads(found.read_text(encoding="utf-8")) if found.is_file() else {}
    if results:
        conforms("gradescope", results)
    return results


def conforms(reader: str, document: dict[str, Any]) -> None:
    """Whether this is what that reader takes."""
    schema = json.loads((SCHEMAS / f"{reader}.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator(schema).validate(document)


def test_the_zip_has_the_suites_and_no_solution(course: Course, packed: Path) -> None:
    with zipfile.ZipFile(packed) as archive:
        names = set(archive.namelist())
        modes = {info.filename: info.external_attr >> 16 for info in archive.infolist()}
        scripts = {name: archive.read(name).decode() for name in ("setup.sh", "run_autograder")}
    assert {"reference/01_scale/test_hidden.py", "katas/01_scale/test_scale.py", "grader/autograder.py"} <= names
    assert [name for name in names if name.startswith("reference/")] == ["reference/01_scale/test_hidden.py"]
    assert not [name for name in names if name.startswith("grader/authoring")]
    for name, script in scripts.items():
        assert modes[name] & 0o111
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_setup_installs_the_source_with_a_python_that_is_new_enough(packed: Path, tmp_path: Path) -> None:
    """Beside an old Python, with a package manager that brings a newer one; each stands in as a script that says what it did."""
    source, tools = tmp_path / "source", tmp_path / "tools"
    with zipfile.ZipFile(packed) as archive:
        archive.extract("setup.sh", source)
    tools.mkdir()
    log = tmp_path / "log"

    def tool(path: Path, script: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/bash\n{script}\n", encoding="utf-8")
        path.chmod(0o755)

    tool(tools / "python3", "exit 1")
    new = f'[[ $1 == -c ]] && exit 0; [[ $1 == -m ]] && mkdir -p "$3/bin" && cp {tools}/installer "$3/bin/python"'
    tool(tools / "brought", new)
    tool(tools / "installer", f'echo "pip $*" >> {log}')
    apt = f'echo "apt-get $*" >> {log}; [[ $* == *python3.11* ]] && cp {tools}/brought {tools}/python3.11; exit 0'
    tool(tools / "apt-get", apt)
    for name in ("dirname", "mkdir", "cp", "bash"):
        (tools / name).symlink_to(shutil.which(name) or name)
    subprocess.run(["/bin/bash", str(source / "setup.sh")], env={"PATH": str(tools)}, check=True, capture_output=True)
    said = log.read_text(encoding="utf-8").splitlines()
    assert [line.split()[0] for line in said] == ["apt-get", "apt-get", "apt-get", "pip"]
    assert said[-1].endswith("install --quiet --disable-pip-version-check .")


def test_a_right_and_a_missing_file_are_graded_as_gradescope_reads_it(course: Course, image: Path) -> None:
    """Uploaded at the top; the hidden tests are one, which is seen after the due date."""
    shutil.copy(course.root / "reference/01_scale/scale.py", image / "submission")
    (image / "submission_metadata.json").write_text(json.dumps(DUE), encoding="utf-8")
    results = graded(image)
    points = sum(course.katas[0].points.values())
    *visible, hidden = results["tests"]
    assert results["score"] == pytest.approx(points) == pytest.approx(sum(test["score"] for test in results["tests"]))
    assert [test["visibility"] for test in visible] == ["visible"] * 5
    assert [test.get("status") for test in visible] == ["passed"] * 4 + ["failed"]
    assert "line.py is missing" in visible[-1]["output"] and visible[-1]["score"] == 0
    assert (hidden["name"], hidden["visibility"], hidden["status"]) == ("hidden tests", "after_due_date", "passed")
    assert hidden["output"] == "1 of 1 tests pass" and "secret" not in json.dumps(results).lower().replace(
        "secret s", ""
    )
    total = sum(test["max_score"] for test in results["tests"])
    assert total == pytest.approx(sum(sum(kata.points.values()) for kata in course.katas))


def test_a_repository_is_graded_from_its_katas_and_hidden_tests_wait_for_the_grades(image: Path) -> None:
    wrong = "def scale(x, factor):\n    return x\n"
    stub = image / "submission/katas/01_scale/scale.py"
    stub.parent.mkdir(parents=True)
    stub.write_text(wrong, encoding="utf-8")
    hidden = graded(image)["tests"][-1]
    assert (hidden["visibility"], hidden["status"], hidden["score"]) == ("after_published", "failed", 0)
    assert hidden["max_score"] > 0 and "three" not in json.dumps(hidden)


def test_a_fault_of_the_course_is_no_result(image: Path) -> None:
    suite = image / "source/katas/01_scale/test_scale.py"
    suite.write_text("import nowhere_at_all\n", encoding="utf-8")
    (image / "submission/scale.py").write_text("def scale(x, factor):\n    return x\n", encoding="utf-8")
    assert graded(image, code=3) == {}


@pytest.mark.parametrize("allowed", [False, True])
def test_a_weaker_sandbox_is_refused_or_named(
    course: Course, image: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], allowed: bool
) -> None:
    """Before any code runs that was handed in."""
    heard = Ladder.hear

    def weakly(self: Ladder) -> None:
        heard(self)
        self.sandbox.complete = False

    monkeypatch.setattr(Ladder, "hear", weakly)
    shutil.copy(course.root / "reference/01_scale/scale.py", image / "submission")
    config = msgspec.json.encode(autograder.Config(allow_weaker_sandbox=allowed))
    (image / "source" / autograder.CONFIG).write_bytes(config)
    code, found = autograder.grade(image), image / "results/results.json"
    if allowed:
        assert code == 0
        assert "the sandbox of this machine is weaker than it should be: " in json.loads(found.read_text())["output"]
    else:
        assert code == 2 and not found.exists()
        assert "--allow-weaker-sandbox" in capsys.readouterr().err


def test_a_zip_takes_the_place_of_an_older_one_and_of_nothing_else(
    course: Course, packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mine.zip"
    out.write_bytes(b"mine")
    words = ("release", str(out), "--gradescope", "--katas", "1", "--course", str(course.root))
    code, _, told = run(capsys, *words)
    assert code == 2 and "is there already, and is no autograder" in told and out.read_bytes() == b"mine"
    shutil.copy(packed, out)
    code, said, _ = run(capsys, *words)
    assert code == 0 and said.splitlines()[0] == f"{out}: 1 kata"
    with zipfile.ZipFile(out) as archive:
        assert "katas/02_line/kata.toml" not in archive.namelist()
    assert run(capsys, *words, "--git")[0] == run(capsys, *words[:2], "--allow-weaker-sandbox")[0] == 2


def test_a_hidden_suite_that_asks_for_the_reference_cannot_be_packed(
    course: Course, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "course"
    shutil.copytree(course.root, root, ignore=shutil.ignore_patterns(".grade"))
    hidden = root / "reference/01_scale/test_hidden.py"
    hidden.write_text(HIDDEN.replace("(solution)", "(solution, reference)"), encoding="utf-8")
    code, _, told = run(capsys, "release", str(tmp_path / "x.zip"), "--gradescope", "--course", str(root))
    assert code == 2 and "asks for the reference, which an autograder does not hold" in told


def test_the_step_of_the_classroom_hands_points_to_its_reporter(course: Course, tmp_path: Path) -> None:
    """The workflow's own script, in a student's repository that passes one kata of two."""
    for name, content in contents(choose(course), classroom=True).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    assert [path.name for path in (tmp_path / CLASSROOM).parent.iterdir()] == ["classroom.yml"]
    shutil.copy(course.root / "reference/02_line/line.py", tmp_path / "katas/02_line")
    (tmp_path / "katas/01_scale/scale.py").write_text("def scale(x, factor):\n    return None\n", encoding="utf-8")
    told = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "graded by GitHub Classroom, which shows the points" in told and "kata-history" not in told
    assert "kata-history" in contents(choose(course))["README.md"].decode()
    workflow = yaml.safe_load((tmp_path / CLASSROOM).read_text(encoding="utf-8"))
    (job,) = workflow["jobs"].values()
    pinned = on_github()[".github/workflows/grade.yml"] + on_github()[".github/actions/grade/action.yml"]
    assert all(f"uses: {step['uses']} " in pinned for step in job["steps"][:-1] if "uses" in step)
    assert "timeout --kill-after=10 12m pip install --quiet ." in [step.get("run") for step in job["steps"]]
    (step,) = [step for step in job["steps"] if step.get("id") == "grade"]
    output = tmp_path / "output"
    bin = tmp_path / "bin"
    bin.mkdir()
    (bin / "grade").write_text(
        f'#!/bin/sh\nexec {sys.executable} -c "from grader.cli import main; main()" "$@"\n', encoding="utf-8"
    )
    (bin / "grade").chmod(0o755)
    environment = os.environ | {
        "PATH": f"{bin}:{os.environ['PATH']}", "PYTHONPATH": str(tmp_path), "GITHUB_OUTPUT": str(output),
    }  # fmt: skip
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    outputs = dict(line.split("=", 1) for line in output.read_text(encoding="utf-8").splitlines())
    reporter = job["steps"][-1]
    name = f"{reporter['with']['runners'].upper()}_RESULTS"
    assert reporter["env"] == {name: "${{ steps.grade.outputs.result }}"}
    results = json.loads(b64decode(outputs["result"]))
    conforms("classroom", results)
    assert results["version"] == 3 and results["status"] == "fail"
    passed = {test["task_id"] for test in results["tests"] if test["status"] == "pass"}
    assert passed == {"02_line"}
    assert results["max_score"] == sum(sum(kata.points.values()) for kata in find(tmp_path).katas)
    assert sum(test["score"] for test in results["tests"]) == pytest.approx(sum(course.katas[1].points.values()))
