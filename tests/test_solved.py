"""What passed before: kept through runs, machines and new names, and never forgotten."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from msgspec.structs import replace

from grader import solved
from grader.errors import UsageFault
from grader.kata import Kata
from grader.scorecard import Verdict

from .test_reports import golden

TOY = Path(__file__).with_name("toy")
GRADE = Path(sys.executable).parent / "grade"


def katas(*aliases: str) -> list[Kata]:
    names = {"04_lstm": aliases}
    ids = ["01_mlp", "04_lstm", "07_vae", "20_gpt2"]
    return [cast(Kata, SimpleNamespace(id=id, aliases=names.get(id, ()))) for id in ids]


def test_what_passes_is_added_and_nothing_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "solved.json"
    assert solved.read(path) == solved.Solved()
    first = solved.Solved().and_now(golden("all-pass"), katas())
    assert set(first.katas) == {"01_mlp", "04_lstm", "07_vae", "20_gpt2"}
    assert first.and_now(golden("untouched"), katas()) == first
    path.write_text(first.json())
    assert solved.read(path) == first and first.json().count("\n") == 1


def test_a_kata_is_known_by_a_former_name_since_when_it_first_passed() -> None:
    card = golden("all-pass")
    before = solved.Solved(katas={"04_lstm_cell": solved.Pass("2025-01-01T00:00:00+00:00", "a")})
    now = before.and_now(card, katas("04_lstm_cell"))
    assert now.katas["04_lstm"].since == "2025-01-01T00:00:00+00:00"
    assert now.katas["04_lstm"].sha256 == card.katas[1].sha256 and "04_lstm_cell" in now.katas


def test_worse_is_what_was_judged_and_does_not_pass() -> None:
    card = golden("all-pass")
    ends = [Verdict.PASS, Verdict.FAIL, Verdict.NOT_RUN, Verdict.INTERNAL]
    found = [replace(kata, verdict=end, sha256="same") for kata, end in zip(card.katas, ends, strict=True)]
    card = replace(card, katas=tuple(found))
    assert solved.lost(card, dict.fromkeys(["01_mlp", "04_lstm", "07_vae", "20_gpt2"], "same")) == {"04_lstm": True}
    assert solved.lost(card, {"04_lstm": "another"}) == {"04_lstm": False}
    assert solved.lost(card, {}) == {}


@pytest.mark.parametrize("content", [b"", b"[]", b'{"katas": {"a": 1}}', b'{"format_version": 2}', b"\xff"])
def test_a_file_that_says_something_else_is_named_and_never_taken_for_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "solved.json"
    path.write_bytes(content)
    with pytest.raises(UsageFault, match=r"solved\.json does not say what passed before"):
        solved.read(path)


@pytest.fixture
def course(tmp_path: Path) -> Path:
    shutil.copytree(TOY, tmp_path / "course", ignore=shutil.ignore_patterns("__pycache__", ".grade"))
    return tmp_path / "course"


def grade(course: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [GRADE, *words]
    return subprocess.run(
        command, cwd=course, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


def test_the_same_file_that_no_longer_passes_is_told_from_one_that_got_worse(course: Path) -> None:
    memory, stub = course / "solved.json", course / "katas/01_scale/scale.py"
    stub.write_text("x = 1\n")
    words = ["scale", "--fail-on", "course", "--solved", str(memory)]
    for sha256, why in ((hashlib.sha256(stub.read_bytes()).hexdigest(), "your file is the same"), ("other", "now\n")):
        known = solved.Solved(katas={"01_scale": solved.Pass("2026-01-01T00:00:00+00:00", sha256)})
        memory.write_text(known.json())
        done = grade(course, *words)
        assert done.returncode == 1 and "01_scale passed before" in done.stderr and why in done.stderr
        assert memory.read_text() == known.json()


def test_who_knows_of_no_earlier_run_asks_for_nothing_and_another_language_says_it_too(course: Path) -> None:
    memory = course / "solved.json"
    (course / "katas/01_scale/scale.py").write_text("x = 1\n")
    words = ["scale", "--fail-on", "worse", "--solved", str(memory)]
    assert grade(course, *words).returncode == 0
    memory.write_text('{"katas": {"01_scale": {"since": "2026-01-01T00:00:00+00:00", "sha256": "a"}}}')
    done = grade(course, *words, GRADE_LANG="zh")
    assert done.returncode == 1 and "01_scale" in done.stderr.splitlines()[-1] and "passed" not in done.stderr
    assert "01_scale" in memory.read_text()
