"""What the shell completes, by bash itself, and what every verb says of itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from grader.cli import speech
from grader.cli.commands import grade

TOY = Path(__file__).parent / "toy"
GRADE = Path(sys.executable).with_name("grade")


@pytest.fixture
def course(tmp_path: Path) -> Path:
    root = tmp_path / "course"
    shutil.copytree(TOY, root, ignore=shutil.ignore_patterns("__pycache__", ".grade"))
    return root


def told(course: Path, shell: str, words: str, **environment: str) -> str:
    """What the command says where a shell asks it."""
    place = str(len(words.split(" ")) - 1)
    current = words.rpartition(" ")[2]
    done = subprocess.run(
        [GRADE], cwd=course, text=True, capture_output=True, check=False,
        env={**os.environ, "_GRADE_COMPLETE": f"{shell}_complete", "COMP_WORDS": words,
             "COMP_CWORD": current if shell == "fish" else place, **environment},
    )  # fmt: skip
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout


def test_bash_completes_commands_and_katas(course: Path) -> None:
    script = """
        eval "$(_GRADE_COMPLETE=bash_source grade)"
        for words in "grade h" "grade hint sc" "grade 0" "grade run li" "grade debug li" "grade --vers" "grade hint --ag"; do
            COMP_WORDS=($words) COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
            words=(); COMPREPLY=()
            _grade_completion grade
            echo "${COMPREPLY[@]}"
        done
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", script], cwd=course, text=True, capture_output=True, check=True,
        env={**os.environ, "PATH": f"{GRADE.parent}{os.pathsep}{os.environ['PATH']}"},
    )  # fmt: skip
    assert done.stdout.splitlines() == [
        "hint history", "scale", "01_scale 02_line", "line", "line", "--version", "--again",
    ]  # fmt: skip
    assert not done.stderr


def test_zsh_and_fish_are_told_what_each_kata_is(course: Path) -> None:
    assert told(course, "zsh", "grade hint l").splitlines() == ["plain", "line", "Line"]
    assert told(course, "fish", "grade hint l").splitlines() == ["plain,line\tLine"]
    assert "直线" in told(course, "zsh", "grade hint l", GRADE_LANG="zh")


def test_values_of_options_are_completed(course: Path) -> None:
    def values(words: str) -> list[str]:
        return told(course, "zsh", words).splitlines()[1::3]

    assert values("grade list --lang ") == values("grade --lang ") == ["en", "zh"]
    assert values("grade hint scale --lang z") == ["zh"]
    assert values("grade scale --report j") == ["json", "junit"] and "html" in values("grade run --report ")
    assert values("grade list --track f") == values("grade release out --track f") == ["foundations"]
    assert values("grade new curve --track f") == ["foundations"]


def test_no_course_and_a_broken_one_are_no_noise(course: Path, tmp_path: Path) -> None:
    assert told(tmp_path, "zsh", "grade hint l").strip() == ""
    assert told(tmp_path, "zsh", "grade list --track ").strip() == ""
    (course / "katas/02_line/kata.toml").write_text("nothing\n")
    assert told(course, "zsh", "grade hint ").splitlines()[1::3] == ["scale", "01_scale"]


@pytest.mark.parametrize("name", grade.list_commands(click.Context(grade)))
def test_every_verb_has_an_example(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    command = grade.get_command(click.Context(grade), name)
    assert command is not None
    assert f"\nExample: grade {'' if name == 'run' else name}" in (command.help or "")
    monkeypatch.setattr(speech, "_chosen", speech.Language("zh"))
    assert "\n例如：" in (command.help or "")
