"""What runs on GitHub: with the least rights, and on a learner's files as data."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github/workflows").iterdir())
ACTIONS = sorted((ROOT / ".github/actions").glob("*/action.yml"))
BY_HASH = re.compile(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
OURS = re.compile(r"uses: \./\.github/actions/\w+ # zizmor: ignore\[self-repository\] every runner knows this form")


def read(path: Path) -> dict[Any, Any]:
    loaded: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


def steps(described: dict[Any, Any]) -> list[dict[str, Any]]:
    """The steps of a workflow, or of an action."""
    jobs = described["jobs"].values() if "jobs" in described else [described["runs"]]
    return [step for job in jobs for step in job["steps"]]


def action(name: str) -> dict[Any, Any]:
    return read(ROOT / f".github/actions/{name}/action.yml")


def test_the_workflows_are_those_that_are_meant() -> None:
    assert [path.name for path in WORKFLOWS] == ["grade.yml", "tests.yml"]
    assert [path.parent.name for path in ACTIONS] == ["grade", "record"]


def test_a_linter_of_workflows_finds_nothing() -> None:
    command = [Path(sys.executable).parent / "zizmor", "--offline", "--no-progress", ".github"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "No findings to report" in done.stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_can_read_and_only_what_records_can_write(path: Path) -> None:
    workflow = read(path)
    assert workflow["permissions"] == {"contents": "read"}
    more = {name: job["permissions"] for name, job in workflow["jobs"].items() if "permissions" in job}
    assert more == ({"record": {"contents": "write"}} if path.name == "grade.yml" else {})
    assert "secrets." not in path.read_text(encoding="utf-8")


def test_the_job_that_writes_runs_nothing_but_git_on_two_outputs() -> None:
    job = read(ROOT / ".github/workflows/grade.yml")["jobs"]["record"]
    assert [step["uses"].partition("@")[0] for step in job["steps"]] == ["actions/checkout", "./.github/actions/record"]
    (step,) = steps(action("record"))
    assert not re.search(r"\b(grade|python|pip)\b", step["run"].replace("user.name grade", "").replace("grade@", ""))


@pytest.mark.parametrize("path", [*WORKFLOWS, *ACTIONS], ids=lambda path: f"{path.parent.name}/{path.name}")
def test_an_action_of_others_is_pinned_by_its_hash(path: Path) -> None:
    lines = [line.strip().removeprefix("- ") for line in path.read_text(encoding="utf-8").splitlines()]
    used = [line for line in lines if line.startswith("uses:")]
    assert [line for line in used if not BY_HASH.fullmatch(line) and not OURS.fullmatch(line)] == []
    assert len(used) == sum("uses" in step for step in steps(read(path)))


def test_whoever_uses_the_actions_is_told_of_every_input_and_output() -> None:
    for path in ACTIONS:
        described = read(path)
        rules = [*described["inputs"].values(), *described.get("outputs", {}).values()]
        assert described["description"] and all(rule["description"].endswith(".") for rule in rules)
        used = set(re.findall(r"inputs\.([\w-]+)", path.read_text(encoding="utf-8")))
        assert used == set(described["inputs"])


def test_a_plan_fits_into_its_job() -> None:
    """Minutes to install, to judge, and to be ended by force, and some to report."""
    jobs = read(ROOT / ".github/workflows/grade.yml")["jobs"]
    (install,) = [step["run"] for step in steps(action("grade")) if step.get("name") == "Install"]
    found = re.search(r"timeout --kill-after=10 (\d+)m", install)
    assert found is not None
    needed = int(found[1]) + int(action("grade")["inputs"]["minutes"]["default"]) + 2 + 1
    assert all(needed + 2 < jobs[name]["timeout-minutes"] for name in ("self-check", "hand-in"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_leaves_no_token_and_no_hanging_job_behind(path: Path) -> None:
    workflow = read(path)
    checkouts = [step for step in steps(workflow) if step.get("uses", "").startswith("actions/checkout@")]
    assert len(checkouts) == len(workflow["jobs"])
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)
    longest = 120 if path.name == "tests.yml" else 30  # the suites are proved there, on many seeds
    assert all(job["timeout-minutes"] <= longest for job in workflow["jobs"].values())
    assert workflow["concurrency"]["cancel-in-progress"] is True


@pytest.mark.parametrize("path", [*WORKFLOWS, *ACTIONS], ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_script_has_text_of_an_event_pasted_into_it(path: Path) -> None:
    assert [step["run"] for step in steps(read(path)) if "${{" in step.get("run", "")] == []


def test_the_trusted_job_checks_out_the_base_branch_and_has_no_cache() -> None:
    job = read(ROOT / ".github/workflows/grade.yml")["jobs"]["hand-in"]
    assert "github.event_name == 'pull_request_target'" in job["if"]
    assert not [step for step in job["steps"] if {"ref", "repository", "cache"} & set(step.get("with", {}))]
    for step in steps(action("grade")):
        assert "cache" not in step.get("with", {})
        if step.get("uses", "").startswith("actions/cache"):
            assert "steps.plan.outputs.mode == 'self-check'" in step["if"]


def test_a_hand_in_is_graded_on_a_seed_that_nobody_knows() -> None:
    graded = {step["id"]: step["run"] for step in steps(action("grade")) if "grade run" in step.get("run", "")}
    assert list(graded) == ["self-check", "hand-in"]
    assert "--seed secret" in graded["hand-in"] and "--seed" not in graded["self-check"]


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
    (script,) = [step["run"] for step in steps(action("grade")) if step.get("id") == "stubs"]
    temp = course / ".git/temp"
    temp.mkdir()
    output = temp / "output"
    environment = os.environ | {"BASE": base, "HEAD": head, "GITHUB_OUTPUT": str(output), "RUNNER_TEMP": str(temp)}
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]  # as GitHub starts `shell: bash`
    done = subprocess.run(command, cwd=course, env=environment, capture_output=True, text=True, check=True)
    folder = temp / "handed-in"
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
