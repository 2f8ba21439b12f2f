"""A throwaway copy of the project, with an environment in which every process takes the grader from it: nothing else is touched."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

STARTUP = """from pathlib import Path

from tests.mutants.lines import Lines

Lines(Path({package!r}), Path({marks!r})).watch()
"""


class Copy:
    """The copy, and the process that runs tests in it. Both are gone when the `with` block ends, however it ends."""

    def __init__(self, project: Path, patience: float = 10) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="mutants-"))
        self.root = self._folder / "project"
        self._marks = self._folder / "marks"
        self._log = self._folder / "log"
        self._patience = patience
        self.runner: subprocess.Popen[str] | None = None
        self._written = 0
        try:
            shutil.copytree(project, self.root, ignore=shutil.ignore_patterns(".*", "__pycache__", "*.egg-info"))
            self._startup = self._environment() / "sitecustomize.py"
        except BaseException:
            shutil.rmtree(self._folder)
            raise

    def __enter__(self) -> Copy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _environment(self) -> Path:
        """A virtual environment that has the packages of this one, and the copy before them."""
        environment = self._folder / ".venv"
        (environment / "bin").mkdir(parents=True)
        own = Path(sys.prefix)
        shutil.copy(own / "pyvenv.cfg", environment)
        for name in ("python", "python3"):
            (environment / "bin" / name).symlink_to(Path(sys.executable).resolve())
        grade = environment / "bin" / "grade"
        grade.write_text(f"#!{environment}/bin/python\nfrom grader.cli import main\n\nmain()\n", encoding="utf-8")
        grade.chmod(0o755)
        packages = Path(sysconfig.get_path("purelib"))
        mine = environment / packages.relative_to(own)
        mine.mkdir(parents=True)
        (mine / "copy.pth").write_text(f"{self.root}\n{packages}\n", encoding="utf-8")
        return mine

    def write(self, name: str, text: str) -> None:
        """Change a file, so that no process takes what it had compiled for the file itself."""
        path = self.root / name
        path.write_text(text, encoding="utf-8")
        self._written += 1
        os.utime(path, (self._written, self._written))

    def measure(self, file: str) -> dict[str, Any]:
        """Run one test file, and see which lines each of its tests reaches: an answer of the runner."""
        startup = STARTUP.format(package=str(self.root / "grader"), marks=str(self._marks))
        self._startup.write_text(startup, encoding="utf-8")
        try:
            self.open([file], str(self._marks))
            return self.run()
        finally:
            self._end()
            self._startup.unlink()
            self._marks.unlink(missing_ok=True)

    def open(self, files: Sequence[str], marks: str = "") -> None:
        """From now on run tests of these files."""
        self._end()
        command = [str(self._folder / ".venv/bin/python"), "-m", "tests.mutants.runner", marks, str(self._log), *files]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        # In a session of its own: an interrupt of the keyboard is for the tool, which then ends it.
        self.runner = subprocess.Popen(command, cwd=self.root, **pipes, text=True, start_new_session=True)
        self._answer()  # what is written from now on does not change what it has collected

    def run(
        self, tests: Mapping[str, float] | None = None, mutant: tuple[str, str, str] | None = None
    ) -> dict[str, Any]:
        """Run these tests, which usually take so many seconds, or all; with a mutant only up to the first that fails.

        `mutant` is a module by its dotted name, its source, and the changed source, which is written already.
        """
        limit = 1800 if tests is None else 60 + 10 * sum(tests.values())
        request = {
            "tests": None if tests is None else list(tests),
            "seconds": tests or {},
            "mutant": mutant,
            "patience": self._patience,
            "limit": limit,
            "first": mutant is not None,
        }
        assert self.runner is not None and self.runner.stdin is not None
        self.runner.stdin.write(json.dumps(request) + "\n")
        self.runner.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.runner is not None and self.runner.stdout is not None
        answer = self.runner.stdout.readline()
        if not answer:
            raise SystemExit(f"the tests cannot be collected:\n{self.log()}")
        return json.loads(answer)  # type: ignore[no-any-return]

    def log(self) -> str:
        """What has been printed."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def _end(self) -> None:
        if self.runner is not None:
            self.runner.communicate()
            self.runner = None
