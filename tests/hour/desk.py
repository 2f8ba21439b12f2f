"""The clone that a learner works in, and its files as an editor saves them: filled in gap by gap, slips and all."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from grader.stub import make_stub, unmarked

_BEGIN = re.compile(r"^\s*# BEGIN SOLUTION: ", re.MULTILINE)


@dataclass(frozen=True)
class Desk:
    """A home with nothing in it, in which the course is going to be `gradkata`."""

    home: Path
    origin: Path

    @property
    def course(self) -> Path:
        return self.home / "gradkata"

    @property
    def _installed(self) -> Path:
        return self.home / "installed"

    def clear(self) -> None:
        """Take away what an hour before this one has left, but for what was installed."""
        venv = self.course / ".venv"
        if venv.is_dir() and not self._installed.exists():
            venv.rename(self._installed)
        if self.course.exists():
            shutil.rmtree(self.course)

    def reuse(self) -> None:
        """Put what was installed before where `make venv` looks for it. Nothing where there is none."""
        if self._installed.is_dir():
            self._installed.rename(self.course / ".venv")

    def environment(self, language: str) -> dict[str, str]:
        """What a shell starts with on a machine that speaks this language."""
        python = Path(sys.executable).resolve().parent
        kept = {name: os.environ[name] for name in ("PIP_CONFIG_FILE", "SSL_CERT_FILE") if name in os.environ}
        kept |= {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
        return {
            **kept,
            "HOME": str(self.home),
            "LANG": {"en": "en_US.UTF-8", "zh": "zh_CN.UTF-8"}[language],
            "LC_CTYPE": "C.UTF-8",
            "PATH": f"{python}{os.pathsep}{os.environ['PATH']}",
            "PIP_QUIET": "3",
            "PS1": "$ ",
            "TERM": "screen-256color",
            "VIRTUAL_ENV_DISABLE_PROMPT": "1",
        }

    def save(self, kata: str, gaps: int, mistake: str = "", edit: tuple[str, str] = ("", "")) -> None:
        """Save the file of a kata with so many gaps filled in, with a known mistake or an edit in what was filled in."""
        reference = self.course / "reference" / kata
        slug = kata.partition("_")[2]
        source = (reference / f"{slug}.py").read_text(encoding="utf-8")
        if mistake:
            edit = _known(reference, mistake)
        stub = self.course / "katas" / kata / f"{slug}.py"
        beside = stub.with_name(f".{slug}.py.new")
        beside.write_text(filled(source, gaps, edit), encoding="utf-8")
        beside.replace(stub)


def filled(source: str, gaps: int, edit: tuple[str, str] = ("", "")) -> str:
    """A reference with its first gaps as they are, but for an edit, and the others cut out as in the stub."""
    old, new = edit
    if old and source.count(old) != 1:
        raise ValueError(f"{old!r} stands there {source.count(old)} times")
    source = source.replace(old, new) if old else source
    begins = [found.start() for found in _BEGIN.finditer(source)]
    if gaps >= len(begins):
        return unmarked(source)
    done, left = source[: begins[gaps]], source[begins[gaps] :]
    return make_stub(unmarked(done) + left)


def _known(reference: Path, id: str) -> tuple[str, str]:
    """A mistake of a kata's list, as an edit."""
    listed = tomllib.loads((reference / "mistakes.toml").read_text(encoding="utf-8"))["mistake"]
    found = next(each for each in listed if each["id"] == id)
    return found["find"], found["replace"]
