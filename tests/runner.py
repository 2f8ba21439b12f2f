"""A stand-in for GitHub's runner: reads a workflow with a YAML parser and carries out a job's steps in a folder.

`run` steps and composite actions are carried out as the runner does it, with files for summary, outputs and environment.
For the actions of others that the workflow names stands what they leave behind: a checkout is there already, a cache is a
folder, an artifact a copy. What is an expression is evaluated with GitHub's rules, as far as the workflows use them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path
from typing import Any

import yaml

_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_TOKENS = re.compile(r"\s*('(?:[^']|'')*'|&&|\|\||==|!=|[!(),]|[\w.-]+)")


@dataclass
class Runner:
    """One repository's runner; `at` holds what outlives a job: caches and artifacts."""

    at: Path
    path: str  # where commands are looked for
    caches: dict[str, Path] = field(default_factory=dict)
    artifacts: dict[str, Path] = field(default_factory=dict)

    def job(
        self, folder: Path, name: str, github: Mapping[str, Any], needs: Mapping[str, Any] | None = None
    ) -> Job | None:
        """Carry out one job of grade.yml of the checkout in `folder`; None where its condition leaves it out."""
        workflow = yaml.safe_load((folder / ".github/workflows/grade.yml").read_text(encoding="utf-8"))
        wanted = workflow["jobs"][name]
        job = Job(self, folder, dict(github), dict(needs or {}))
        if "if" in wanted and not job.value(wanted["if"], {}):
            return None
        job.carry_out(wanted["steps"], {"steps": job.steps})
        job.outputs = {key: job.text(value, {"steps": job.steps}) for key, value in wanted.get("outputs", {}).items()}
        return job


@dataclass
class Job:
    """A job, and what came of it."""

    runner: Runner
    folder: Path
    github: dict[str, Any]
    needs: dict[str, Any]
    steps: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    log: str = ""
    failed: bool = False

    def __post_init__(self) -> None:
        self.temp = self.runner.at / f"job-{len(list(self.runner.at.glob('job-*')))}"
        self.temp.mkdir(parents=True)
        self.summary = self.temp / "summary.md"
        self.summary.touch()

    @property
    def commands(self) -> list[str]:
        """The lines of the log that a runner obeys."""
        return [line for line in self.log.splitlines() if line.startswith("::")]

    def carry_out(self, steps: list[dict[str, Any]], scope: dict[str, Any]) -> None:
        """The steps in their order; after one that fails only those whose condition asks for it."""
        for step in steps:
            asked = str(step.get("if", "success()"))
            wanted = bool(self.value(asked, scope))
            if not wanted or (self.failed and not re.search(r"\b(always|cancelled|failure)\(", asked)):
                continue
            found = self._run(step, scope) if "run" in step else self._use(step, scope)
            if "id" in step:
                scope["steps"][step["id"]] = {"outputs": found}

    def _run(self, step: dict[str, Any], scope: dict[str, Any]) -> dict[str, str]:
        assert step["shell"] == "bash" and "${{" not in step["run"]
        output = self.temp / "output"
        output.write_text("")
        script = self.temp / "step.sh"
        script.write_text(step["run"], encoding="utf-8")
        event = self.github["event"]
        environment = {
            "PATH": self.runner.path,
            "HOME": str(self.runner.at),
            "RUNNER_TEMP": str(self.temp),
            "GITHUB_ACTION_PATH": str(scope.get("action", self.folder)),
            "GITHUB_EVENT_NAME": self.github["event_name"],
            "GITHUB_OUTPUT": str(output),
            "GITHUB_REF": self.github["ref"],
            "GITHUB_REF_NAME": self.github["ref_name"],
            "GITHUB_REPOSITORY": self.github["repository"],
            "GITHUB_SERVER_URL": "https://github.test",
            "GITHUB_STEP_SUMMARY": str(self.summary),
            # The repository's address is a folder here: git itself leads from the one to the other.
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.{event['origin']}.insteadOf",
            "GIT_CONFIG_VALUE_0": f"https://x-access-token:a-token@github.test/{self.github['repository']}",
            **{name: self.text(value, scope) for name, value in step.get("env", {}).items()},
        }
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],  # as GitHub starts `shell: bash`
            cwd=self.folder / self.text(step.get("working-directory", "."), scope),
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.log += done.stdout
        self.failed |= done.returncode != 0
        return dict(line.split("=", 1) for line in output.read_text(encoding="utf-8").splitlines())

    def _use(self, step: dict[str, Any], scope: dict[str, Any]) -> dict[str, str]:
        given = {name: self.text(value, scope) for name, value in step.get("with", {}).items()}
        name = step["uses"].partition("@")[0]
        if name.startswith("./"):
            return self._composite(self.folder / name, given)
        if name == "actions/upload-artifact":
            target = self.runner.at / "artifacts" / given["name"]
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir(parents=True)
            for path in (path for pattern in given["path"].split() for path in glob(pattern)):
                shutil.copy(path, target)
            self.runner.artifacts[given["name"]] = target
            return {}
        if name in ("actions/cache/restore", "actions/cache/save"):
            return self._cache(name.endswith("save"), given)
        assert name in ("actions/checkout", "actions/setup-python"), name
        return {}

    def _composite(self, action: Path, given: dict[str, str]) -> dict[str, str]:
        described = yaml.safe_load((action / "action.yml").read_text(encoding="utf-8"))
        declared = described["inputs"]
        assert given.keys() <= declared.keys()
        inputs = {name: given.get(name, rule.get("default", "")) for name, rule in declared.items()}
        scope = {"inputs": inputs, "steps": {}, "action": action}
        self.carry_out(described["runs"]["steps"], scope)
        return {name: self.text(rule["value"], scope) for name, rule in described.get("outputs", {}).items()}

    def _cache(self, save: bool, given: dict[str, str]) -> dict[str, str]:
        path = Path(given["path"].replace("~", str(self.runner.at), 1))
        path = path if path.is_absolute() else self.folder / path
        if save:
            if path.exists():
                kept = self.runner.at / "caches" / f"{len(list(self.runner.at.glob('caches/*')))}"
                shutil.copytree(path, kept)
                self.runner.caches[given["key"]] = kept
            return {}
        wanted = [given["key"], *given.get("restore-keys", "").split()]
        for prefix in wanted:
            for key in reversed(self.runner.caches):
                if key.startswith(prefix):
                    shutil.copytree(self.runner.caches[key], path, dirs_exist_ok=True)
                    return {"cache-hit": str(key == given["key"]).lower()}
        return {}

    def text(self, value: Any, scope: Mapping[str, Any]) -> str:
        """A value of the workflow with its expressions evaluated."""
        if not isinstance(value, str):
            return str(value).lower() if isinstance(value, bool) else str(value)
        return _EXPRESSION.sub(lambda found: _shown(self.value(found[1], scope)), value)

    def value(self, expression: str, scope: Mapping[str, Any]) -> Any:
        """What an expression comes to."""
        found = _EXPRESSION.fullmatch(expression.strip())
        contexts = {
            "github": {**self.github, "token": "a-token"},
            "needs": self.needs,
            "runner": {"os": "Linux", "arch": "X64", "temp": str(self.temp)},
            **scope,
        }
        tokens = [*_tokens(found[1] if found else expression), ""]
        value = _either(tokens, contexts, self)
        assert tokens == [""], tokens
        return value


def _tokens(expression: str) -> Iterator[str]:
    at = 0
    while expression[at:].strip():
        found = _TOKENS.match(expression, at)
        assert found, expression[at:]
        yield found[1]
        at = found.end()


def _either(tokens: list[str], contexts: Mapping[str, Any], job: Job) -> Any:
    value = _both(tokens, contexts, job)
    while tokens[0] == "||":
        tokens.pop(0)
        other = _both(tokens, contexts, job)
        value = value or other
    return value


def _both(tokens: list[str], contexts: Mapping[str, Any], job: Job) -> Any:
    value = _equal(tokens, contexts, job)
    while tokens[0] == "&&":
        tokens.pop(0)
        other = _equal(tokens, contexts, job)
        value = value and other
    return value


def _equal(tokens: list[str], contexts: Mapping[str, Any], job: Job) -> Any:
    value = _one(tokens, contexts, job)
    while tokens[0] in ("==", "!="):
        same = tokens.pop(0) == "=="
        value = (_shown(value).lower() == _shown(_one(tokens, contexts, job)).lower()) is same
    return value


def _one(tokens: list[str], contexts: Mapping[str, Any], job: Job) -> Any:
    token = tokens.pop(0)
    if token == "!":
        return not _one(tokens, contexts, job)
    if token == "(":
        value = _either(tokens, contexts, job)
        assert tokens.pop(0) == ")"
        return value
    if token.startswith("'"):
        return token[1:-1].replace("''", "'")
    if tokens[0] == "(":
        return _called(token, tokens, contexts, job)
    value: Any = contexts
    for name in token.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _called(name: str, tokens: list[str], contexts: Mapping[str, Any], job: Job) -> Any:
    tokens.pop(0)
    given = []
    while tokens[0] != ")":
        given.append(_either(tokens, contexts, job))
        if tokens[0] == ",":
            tokens.pop(0)
    tokens.pop(0)
    if name == "format":
        return str(given[0]).format(*map(_shown, given[1:]))
    return {"success": not job.failed, "failure": job.failed, "always": True, "cancelled": False}[name]


def _shown(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def shims(folder: Path, grade: Path) -> str:
    """A PATH on which `grade` is ours, and `pip` notes in `pip.log` beside itself what it was to install."""
    folder.mkdir()
    (folder / "pip").write_text(f'#!/bin/sh\necho "$@" >> {folder}/pip.log\n')
    (folder / "pip").chmod(0o755)
    (folder / "grade").symlink_to(grade)
    return f"{folder}:{os.defpath}:/usr/local/bin"
