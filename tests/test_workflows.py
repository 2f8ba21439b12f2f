"""What runs on GitHub: with the least rights, and on a learner's files as data."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github/workflows").iterdir())
FULL_VERSION = re.compile(r"[\w.-]+/[\w./-]+@v\d+\.\d+\.\d+")


def read(path: Path) -> dict[Any, Any]:
    loaded: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


def steps(workflow: dict[Any, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_the_workflows_are_those_that_are_meant() -> None:
    assert [path.name for path in WORKFLOWS] == ["grade.yml", "tests.yml"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_can_read_and_no_more(path: Path) -> None:
    workflow = read(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert not [name for name, job in workflow["jobs"].items() if "permissions" in job]
    assert "secrets." not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_uses_actions_of_one_full_version(path: Path) -> None:
    used = [step["uses"] for step in steps(read(path)) if "uses" in step]
    assert used
    assert [action for action in used if not FULL_VERSION.fullmatch(action)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_leaves_no_token_and_no_hanging_job_behind(path: Path) -> None:
    workflow = read(path)
    checkouts = [step for step in steps(workflow) if step.get("uses", "").startswith("actions/checkout@")]
    assert len(checkouts) == len(workflow["jobs"])
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)
    longest = 120 if path.name == "tests.yml" else 30  # the suites are proved there, on many seeds
    assert all(job["timeout-minutes"] <= longest for job in workflow["jobs"].values())
    assert workflow["concurrency"]["cancel-in-progress"] is True


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_script_has_text_of_an_event_pasted_into_it(path: Path) -> None:
    assert [step["run"] for step in steps(read(path)) if "${{" in step.get("run", "")] == []


def test_the_trusted_job_checks_out_the_base_branch_and_saves_no_cache() -> None:
    job = read(ROOT / ".github/workflows/grade.yml")["jobs"]["hand-in"]
    assert "github.event_name == 'pull_request_target'" in job["if"]
    for step in job["steps"]:
        assert not {"ref", "repository", "cache"} & set(step.get("with", {}))
        assert not step.get("uses", "").startswith("actions/cache")


def test_a_hand_in_is_graded_on_a_seed_that_nobody_knows() -> None:
    jobs = read(ROOT / ".github/workflows/grade.yml")["jobs"]
    graded = {
        name: [step["run"] for step in job["steps"] if "grade run" in step.get("run", "")] for name, job in jobs.items()
    }
    assert [len(scripts) for scripts in graded.values()] == [1, 1]
    assert "--seed secret" in graded["hand-in"][0] and "--seed" not in graded["self-check"][0]


def test_the_tests_run_on_both_processors_that_are_promised() -> None:
    job = read(ROOT / ".github/workflows/tests.yml")["jobs"]["tests"]
    matrix = job["strategy"]["matrix"]
    assert job["runs-on"] == "${{ matrix.system }}"
    systems = {*matrix["system"], *(each["system"] for each in matrix["include"])}
    assert systems == {"ubuntu-latest", "ubuntu-24.04-arm"}
    # What is included is a job of its own only where it changes no other one.
    assert all(
        each["system"] not in matrix["system"] and set(each) == {"python", "system"} for each in matrix["include"]
    )


def git(repository: Path, *words: str) -> str:
    settings = ["-c", "user.name=A learner", "-c", "user.email=learner@example.org", "-c", "core.symlinks=true"]
    done = subprocess.run(["git", *settings, *words], cwd=repository, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(repository: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        path = repository / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", "work")
    return git(repository, "rev-parse", "HEAD")


COURSE = {
    "katas/01_mlp/kata.toml": "",
    "katas/01_mlp/mlp.py": "stub",
    "katas/01_mlp/test_mlp.py": "suite",
    "katas/04_lstm/kata.toml": "",
    "katas/04_lstm/lstm.py": "stub",
    "katas/20_gpt_2/kata.toml": "",
    "katas/20_gpt_2/gpt_2.py": "stub",
    "grader/__init__.py": "harness",
}


@pytest.fixture
def course(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    commit(tmp_path, COURSE)
    return tmp_path


def hand_in(course: Path, head: str) -> tuple[dict[str, str], str, str]:
    """Run the step that takes the stubs, with the base branch checked out: (files taken, katas to grade, log)."""
    base = git(course, "rev-parse", "main")
    git(course, "checkout", "--quiet", "--force", "main")
    job = read(ROOT / ".github/workflows/grade.yml")["jobs"]["hand-in"]
    (script,) = [step["run"] for step in job["steps"] if step.get("id") == "stubs"]
    output = course / ".git/output"
    environment = os.environ | {"BASE": base, "HEAD": head, "GITHUB_OUTPUT": str(output)}
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]  # as GitHub starts `shell: bash`
    done = subprocess.run(command, cwd=course, env=environment, capture_output=True, text=True, check=True)
    folder = course / "handed-in"
    taken = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert not [path for path in folder.rglob("*") if path.is_symlink()]
    return taken, output.read_text().strip(), done.stdout


def test_a_hand_in_is_its_stubs_and_only_what_was_worked_on_is_graded(course: Path) -> None:
    git(course, "checkout", "--quiet", "-b", "learner")
    head = commit(course, {"katas/04_lstm/lstm.py": "solved", "katas/20_gpt_2/gpt_2.py": "begun"})
    taken, katas, _ = hand_in(course, head)
    assert taken == {"01_mlp/mlp.py": "stub", "04_lstm/lstm.py": "solved", "20_gpt_2/gpt_2.py": "begun"}
    assert katas == "katas=04_lstm 20_gpt_2"


def test_suites_harness_and_new_files_of_a_pull_request_stay_outside_and_are_named(course: Path) -> None:
    git(course, "checkout", "--quiet", "-b", "learner")
    protected = {
        "katas/01_mlp/test_mlp.py": "passes",
        "katas/01_mlp/conftest.py": "passes",
        "katas/99_easy/kata.toml": "",
        "katas/99_easy/easy.py": "free points",
        "grader/__init__.py": "passes",
        ".github/workflows/grade.yml": "passes",
        "::error::fake": "a command in a name",
    }
    head = commit(course, {"katas/01_mlp/mlp.py": "wrong"} | protected)
    taken, katas, log = hand_in(course, head)
    assert taken == {"01_mlp/mlp.py": "wrong", "04_lstm/lstm.py": "stub", "20_gpt_2/gpt_2.py": "stub"}
    assert katas == "katas=01_mlp"
    assert {line.removeprefix("- ") for line in log.splitlines() if line.startswith("- ")} == set(protected)
    assert (course / "grader/__init__.py").read_text() == "harness"


def test_what_the_log_shows_of_a_pull_request_is_no_command_to_github(course: Path) -> None:
    git(course, "checkout", "--quiet", "-b", "learner")
    head = commit(course, {"##[add-mask]pass": ""})
    _, _, log = hand_in(course, head)
    before, shown = log.split("##[add-mask]pass")
    word = before.split("::stop-commands::")[1].split("\n")[0]
    assert len(word) > 30
    assert shown.splitlines()[-1] == f"::{word}::"


def test_links_and_deleted_stubs_are_graded_as_missing(course: Path) -> None:
    git(course, "checkout", "--quiet", "-b", "learner")
    (course / "katas/04_lstm/lstm.py").unlink()
    (course / "katas/01_mlp/mlp.py").unlink()
    (course / "katas/01_mlp/mlp.py").symlink_to("../../grader/__init__.py")
    taken, katas, _ = hand_in(course, commit(course, {}))
    assert taken == {"20_gpt_2/gpt_2.py": "stub"}
    assert katas == "katas=01_mlp 04_lstm"


def test_a_stub_that_only_the_base_branch_changed_is_not_held_against_anyone(course: Path) -> None:
    git(course, "checkout", "--quiet", "-b", "learner")
    head = commit(course, {"katas/04_lstm/lstm.py": "solved"})
    git(course, "checkout", "--quiet", "main")
    commit(course, {"katas/01_mlp/mlp.py": "a better stub"})
    _, katas, log = hand_in(course, head)
    assert katas == "katas=04_lstm"
    assert "- " not in log


def test_a_pull_request_without_a_stub_is_not_graded(course: Path) -> None:
    git(course, "checkout", "--quiet", "-b", "learner")
    _, katas, log = hand_in(course, commit(course, {"README.md": "typo"}))
    assert katas == "katas="
    assert "Graded: nothing" in log


def test_a_commit_that_did_not_arrive_stops_the_job(course: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        hand_in(course, "0" * 40)
