"""On a runner: green unless something got worse, a summary, annotations, and an end before the job is cut off."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
TOY = Path(__file__).with_name("toy")
SCALE = "katas/01_scale/scale.py"


@pytest.fixture
def fork(tmp_path: Path) -> Path:
    shutil.copytree(TOY, tmp_path / "fork", ignore=shutil.ignore_patterns("__pycache__", ".grade"))
    return tmp_path / "fork"


def step(fork: Path) -> subprocess.CompletedProcess[str]:
    """The step of the workflow that grades, as its runner would run it."""
    workflow = yaml.safe_load((ROOT / ".github/workflows/grade.yml").read_text(encoding="utf-8"))
    (script,) = [each["run"] for each in workflow["jobs"]["self-check"]["steps"] if "--fail-on" in each.get("run", "")]
    (fork.parent / "summary.md").write_text("")
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "GITHUB_STEP_SUMMARY": str(fork.parent / "summary.md"),
    }
    return subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script],
        cwd=fork,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def summary(fork: Path) -> str:
    return (fork.parent / "summary.md").read_text(encoding="utf-8")


def test_untouched_is_green_and_says_so_everywhere(fork: Path) -> None:
    done = step(fork)
    assert done.returncode == 0, done.stderr
    assert "0 of 2 katas pass" in summary(fork) and "::error" not in done.stdout
    assert json.loads((fork / "scorecard.json").read_text())["complete"] is True
    assert 'skipped="4"' in (fork / "scorecard.xml").read_text() and (fork / "scorecard.md").read_text()


def test_half_solved_is_green_and_one_that_got_worse_is_red_and_named(fork: Path) -> None:
    shutil.copy(fork / "reference/01_scale/scale.py", fork / SCALE)
    assert step(fork).returncode == 0
    assert "1 of 2 katas pass" in summary(fork)
    good = (fork / SCALE).read_text()
    (fork / SCALE).write_text(good.replace("x * factor", "x + factor"))
    done = step(fork)
    assert done.returncode == 1 and "01_scale passed before, and does not now" in done.stderr
    assert f"::error file={SCALE}," in done.stdout
    (fork / SCALE).write_text(good)
    assert step(fork).returncode == 0


def test_what_a_learner_prints_is_no_command_to_the_runner(fork: Path) -> None:
    (fork / SCALE).write_text('print("::error::mine")\nraise ValueError("\\n::warning::mine")\n')
    done = step(fork)
    assert done.returncode == 0  # nothing passed before
    commands = [line for line in done.stdout.splitlines() if line.startswith("::")]
    assert commands and all(line.startswith(f"::error file={SCALE},") for line in commands)
    assert not [line for line in summary(fork).splitlines() if line.startswith("::")]


def test_out_of_time_is_told_and_what_was_decided_is_kept(fork: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (fork / SCALE).write_text("while True: pass\n")
    report = fork / "out.json"
    command = [Path(sys.executable).parent / "grade", "--within", "0.02", "--report", f"json={report}"]
    done = subprocess.run(command, cwd=fork, capture_output=True, text=True, check=False)
    card = json.loads(report.read_text())
    assert done.returncode == 1 and card["complete"] is False and card["unfinished"]
    assert "stopped early" in done.stdout
