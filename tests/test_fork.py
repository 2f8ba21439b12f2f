"""A learner's fork and a course's hand-ins: the workflow as it stands, its steps carried out in a clean clone of a course."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from .runner import Job, Runner, shims

ROOT = Path(__file__).parents[1]
TOY = Path(__file__).with_name("toy")
SCALE, LINE = "katas/01_scale/scale.py", "katas/02_line/line.py"


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=A learner", "-c", "user.email=learner@example.org"]
    done = subprocess.run(["git", *who, *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


class Fork:
    """A repository with the toy course, as its owner sees it: commits go up, and jobs run on clean clones of it."""

    def __init__(self, at: Path) -> None:
        self.at, self.origin, self.work = at, at / "origin.git", at / "work"
        shutil.copytree(TOY, self.work, ignore=shutil.ignore_patterns("__pycache__", ".grade"))
        shutil.copytree(ROOT / ".github", self.work / ".github")
        shutil.copy(ROOT / "pyproject.toml", self.work)
        (self.work / ".gitignore").write_text(".grade/\n__pycache__/\n")
        git(self.work, "init", "--quiet", "--initial-branch=main")
        git(at, "init", "--quiet", "--bare", "--initial-branch=main", str(self.origin))
        git(self.work, "remote", "add", "origin", str(self.origin))
        self.runner = Runner(at / "runner", shims(at / "bin", Path(sys.executable).parent / "grade"))
        self.runs = 0

    def solve(self, *paths: str) -> None:
        for path in paths:
            shutil.copy(self.work / path.replace("katas/", "reference/"), self.work / path)

    def only(self, kata: str) -> None:
        """As a course that asks for one kata: without the one of torch a run takes a second."""
        step = "uses: ./.github/actions/grade # zizmor: ignore[self-repository] every runner knows this form\n"
        path = self.work / ".github/workflows/grade.yml"
        text = path.read_text(encoding="utf-8").replace(step, f"{step}        with: {{katas: {kata}}}\n", 1)
        path.write_text(text, encoding="utf-8")

    def edit(self, path: str, old: str, new: str) -> None:
        text = (self.work / path).read_text(encoding="utf-8")
        assert text.count(old) == 1
        (self.work / path).write_text(text.replace(old, new), encoding="utf-8")

    def push(self, branch: str = "main") -> str:
        git(self.work, "add", "--all")
        git(self.work, "commit", "--quiet", "--allow-empty", "--message", "work")
        git(self.work, "push", "--quiet", "--force", "origin", f"HEAD:refs/heads/{branch}")
        return git(self.work, "rev-parse", "HEAD")

    def event(self, name: str, branch: str, **event: Any) -> dict[str, Any]:
        self.runs += 1
        return {
            "event_name": name, "ref": f"refs/heads/{branch}", "ref_name": branch, "repository": "owner/course",
            "base_ref": "", "run_id": str(self.runs), "run_attempt": "1",
            "event": {"repository": {"fork": True, "default_branch": "main"}, "origin": self.origin.as_uri(), **event},
        }  # fmt: skip

    def clone(self, commit: str) -> Path:
        target = self.at / f"clone-{self.runs}"
        git(self.at, "clone", "--quiet", "--depth", "1", "--branch", commit, self.origin.as_uri(), str(target))
        return target

    def grade(self, branch: str = "main") -> Job:
        """Push, and let the workflow run: the self-check, then what records it."""
        self.push(branch)
        event = self.event("push", branch)
        folder = self.clone(branch)
        job = self.runner.job(folder, "self-check", event)
        assert job is not None
        needs = {"self-check": {"outputs": job.outputs}}
        recorded = self.runner.job(folder, "record", event, needs)
        assert recorded is None or not recorded.failed, recorded.log
        return job

    def kept(self, path: str) -> str:
        return git(self.origin, "show", f"kata-history:{path}")

    def card(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.runner.artifacts["scorecard"] / "scorecard.json").read_text())
        return found


@pytest.fixture
def fork(tmp_path: Path) -> Fork:
    return Fork(tmp_path)


def test_untouched_is_green_and_says_so_everywhere(fork: Fork) -> None:
    job = fork.grade()
    assert not job.failed, job.log
    assert "Plan: self-check; at most 12 min to install, then at most 12 min to judge." in job.log
    assert "2 katas to judge · 10 tests · at most 12 min" in job.log
    assert "0 of 2 katas pass" in job.summary.read_text() and "::error" not in job.log
    found = job.steps["grade"]["outputs"]
    assert (found["points"], found["passed"], found["katas"], found["complete"]) == ("0", "0", "2", "true")
    assert fork.card()["complete"] is True
    names = {path.name for path in fork.runner.artifacts["scorecard"].iterdir()}
    assert names == {"scorecard.html", "scorecard.json", "scorecard.xml", "scorecard.md"}
    assert "<script" not in (fork.runner.artifacts["scorecard"] / "scorecard.html").read_text()
    badge = ElementTree.fromstring(fork.kept("badge.svg"))
    assert badge.get("aria-label") == "katas: 0 of 2"
    assert json.loads(fork.kept("solved/main.json"))["katas"] == {}
    assert (fork.at / "bin/pip.log").read_text().split()[-1].startswith(str(fork.at / "clone-1"))


def test_half_solved_is_green_and_recorded_and_only_what_changed_is_judged(fork: Fork) -> None:
    fork.grade()
    fork.solve(SCALE)
    job = fork.grade()
    assert not job.failed and "1 of 2 katas pass" in job.summary.read_text()
    assert "1 kata to judge" in job.log
    assert list(json.loads(fork.kept("solved/main.json"))["katas"]) == ["01_scale"]
    assert [kata["from_store"] for kata in fork.card()["katas"]] == [False, True]
    before = git(fork.origin, "rev-parse", "kata-history")
    assert "to judge ·" not in fork.grade().log and git(fork.origin, "rev-parse", "kata-history") == before


def test_all_solved_is_green_to_the_last_point(fork: Fork) -> None:
    fork.solve(SCALE, LINE)
    job = fork.grade()
    assert not job.failed and "2 of 2 katas pass" in job.summary.read_text()
    found = job.steps["grade"]["outputs"]
    assert found["points"] == found["max"] and found["passed"] == "2"
    assert "#1a7f37" in fork.kept("badge.svg")


def test_one_that_got_worse_is_red_at_its_line_until_it_is_mended_whatever_becomes_of_the_caches(fork: Fork) -> None:
    fork.only("scale")
    fork.solve(SCALE)
    assert not fork.grade().failed
    fork.edit(SCALE, "x * factor", "x + factor")
    for _ in range(2):  # not only on the push that broke it, and not only as long as a cache lives
        fork.runner.caches.clear()
        job = fork.grade()
        assert job.failed and "01_scale passed before, and does not now" in job.log
        assert any(line.startswith(f"::error file={SCALE},") for line in job.commands)
        assert len(json.loads(fork.kept("solved/main.json"))["katas"]) == 1
        assert fork.card()["katas"][0]["verdict"] == "fail"
    fork.solve(SCALE)
    assert not fork.grade().failed


def test_a_new_branch_is_held_to_what_the_default_branch_has(fork: Fork) -> None:
    fork.only("scale")
    fork.solve(SCALE)
    assert not fork.grade().failed
    fork.edit(SCALE, "x * factor", "x + factor")
    assert fork.grade("topic/one").failed
    assert list(json.loads(fork.kept("solved/topic/one.json"))["katas"]) == ["01_scale"]
    assert "1 of 1" in fork.kept("badge.svg")  # of the default branch alone


def test_two_branches_that_record_together_lose_nothing(fork: Fork) -> None:
    fork.push()
    folder = fork.clone("main")
    one, two = (json.dumps({"format_version": 1, "katas": {}, "of": name}) for name in "ab")
    for branch, solved in (("a", one), ("b", two)):
        needs = {"self-check": {"outputs": {"solved": solved, "badge": ""}}}
        job = fork.runner.job(folder, "record", fork.event("push", branch), needs)
        assert job is not None and not job.failed
    assert json.loads(fork.kept("solved/a.json"))["of"] == "a" and json.loads(fork.kept("solved/b.json"))["of"] == "b"


def test_where_nothing_may_be_written_that_is_said_and_the_job_stays_green(fork: Fork) -> None:
    (fork.origin / "hooks").mkdir(exist_ok=True)
    hook = fork.origin / "hooks/pre-receive"
    fork.push()
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    needs = {"self-check": {"outputs": {"solved": "{}", "badge": ""}}}
    job = fork.runner.job(fork.clone("main"), "record", fork.event("push", "main"), needs)
    assert job is not None and not job.failed
    assert [line.partition("::what")[0] for line in job.commands] == ["::warning"]


def test_what_a_hostile_file_prints_is_no_command_and_no_output(fork: Fork) -> None:
    fork.only("scale")
    (fork.work / SCALE).write_text('print("::error::mine\\npoints=99")\nraise ValueError("\\n::warning::mine")\n')
    job = fork.grade()
    assert not job.failed  # nothing passed before
    (command,) = job.commands  # four tests say the same of one line
    assert command.startswith(f"::error file={SCALE},") and ",line=2::" in command
    assert not [line for line in job.summary.read_text().splitlines() if line.startswith("::")]
    assert job.steps["grade"]["outputs"]["points"] == "0" and "mine" not in job.outputs["badge"] + job.outputs["solved"]


def test_out_of_time_is_told_and_what_was_decided_is_kept(fork: Fork) -> None:
    fork.edit(".github/workflows/grade.yml", "      - id: grade\n", "      - id: grade\n        with: {minutes: x}\n")
    job = fork.grade()
    assert job.failed and "minutes must be a whole number" in job.log
    fork.edit(".github/workflows/grade.yml", "        with: {minutes: x}\n", "")
    # A tenth of a second in place of a minute: the same plan, scaled.
    grade = fork.at / "bin/grade"
    grade.unlink()
    real = Path(sys.executable).parent / "grade"
    grade.write_text(f'#!/bin/bash\nargs=("$@")\nexec {real} "${{args[@]/#12/0.03}}"\n')
    grade.chmod(0o755)
    (fork.work / SCALE).write_text("while True: pass\n")
    job = fork.grade()
    card = fork.card()
    assert card["complete"] is False and card["unfinished"]
    assert "stopped early" in job.summary.read_text()
    assert any(line.startswith("::warning title=stopped early::not judged to the end: ") for line in job.commands)
    assert job.steps["grade"]["outputs"]["complete"] == "false"


def test_a_course_may_ask_for_a_share_of_the_points_instead(fork: Fork) -> None:
    with (fork.work / "course.toml").open("a") as settings:
        settings.write("fail_under = 60\n")
    fork.only("scale")
    job = fork.grade()
    assert job.failed and "0 of 4 points are less than the 60 % that course.toml asks for" in job.log
    fork.solve(SCALE)
    assert not fork.grade().failed


def test_the_project_itself_and_its_maintainers_workflow_stay_out_of_each_others_way(fork: Fork) -> None:
    fork.push()
    event = fork.event("push", "main")
    event["event"]["repository"]["fork"] = False
    assert fork.runner.job(fork.clone("main"), "self-check", event) is None
    theirs = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8"))["jobs"]
    for fork_or_not in (True, False):
        event["event"]["repository"]["fork"] = fork_or_not
        asked = Job(fork.runner, fork.work, event, {})
        assert any(asked.value(job["if"], {}) for job in theirs.values()) is not fork_or_not


def test_a_hand_in_is_graded_on_the_base_branch_with_a_secret_seed_and_can_be_collected(fork: Fork) -> None:
    base = fork.push()
    fork.solve(SCALE)
    (fork.work / "katas/01_scale/test_scale.py").write_text("def test_easy(): pass\n")
    (fork.work / "grader").mkdir()
    (fork.work / "grader/__init__.py").write_text("raise SystemExit(0)\n")
    git(fork.work, "add", "--all")
    git(fork.work, "commit", "--quiet", "--message", "solved")
    head = git(fork.work, "rev-parse", "HEAD")
    git(fork.work, "push", "--quiet", "origin", "HEAD:refs/pull/7/head")
    pull = {"number": 7, "base": {"sha": base}, "head": {"sha": head, "repo": {"full_name": "learner/course"}}}
    event = fork.event("pull_request_target", "main", pull_request={**pull, "user": {"login": "learner-1"}})
    folder = fork.clone("main")
    assert fork.runner.job(folder, "self-check", event) is None
    job = fork.runner.job(folder, "hand-in", event)
    assert job is not None and not job.failed, job and job.log
    kept = fork.runner.artifacts["hand-in-7"]
    whose = json.loads((kept / "hand-in.json").read_text())
    assert whose == {"author": "learner-1", "pull_request": 7, "commit": head}
    card = json.loads((kept / "scorecard.json").read_text())
    assert [kata["id"] for kata in card["katas"]] == ["01_scale"] and len(card["katas"][0]["tests"]) == 4
    assert card["seed"] is None and len(card["seed_sha256"]) == 64
    assert "1 of 1 kata passes" in job.summary.read_text()
    assert "- katas/01_scale/test_scale.py" in job.log and not fork.runner.caches
    assert "a-token" not in job.log
