"""`grade check --watch`: what is saved is proved again, on a ladder that stays, and on what lies on disk now."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from grader.authoring import saves
from grader.authoring.making.new import new
from grader.authoring.proving.case import Role
from grader.authoring.proving.outcome import Trial
from grader.authoring.proving.subject import Subject
from grader.course import Course

from .workshop import ID, SHORT, new_bench, scaffold


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return scaffold(tmp_path / "course")


def edit(path: Path, old: str, fresh: str) -> None:
    """Save a file as an editor does: another one in its place."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    beside = path.with_name(f".{path.name}.swp")
    beside.write_text(text.replace(old, fresh, 1), encoding="utf-8")
    beside.replace(path)


def test_what_was_saved_is_told_apart_from_what_was_not(course: Course) -> None:
    before = saves.state(course.root)
    assert SHORT["suite"] in before and SHORT["reference"] in before and "course.toml" in before
    for name in ("strength.toml", "fingerprints.json"):  # which a proof with --record writes itself
        assert not [path for path in before if path.endswith(name)]
    edit(course.root / SHORT["suite"], "rng", "rnd")
    (course.root / SHORT["variant"]).unlink()
    (course.root / "reference" / ID / ".hidden").write_text("x", encoding="utf-8")
    assert saves.awaited(course.root, before) == {SHORT["suite"], SHORT["variant"]}


def test_a_save_concerns_its_kata_and_the_settings_all_of_them() -> None:
    assert saves.ids({"katas/01_a/x.py", "reference/02_b/variants/y.py"}) == {"01_a", "02_b"}
    assert saves.ids({"katas/01_a/x.py", "course.toml"}) is None
    assert saves.ids({"katas/README.md"}) is None


def test_a_warm_bench_judges_what_lies_on_disk_now(course: Course, tmp_path: Path) -> None:
    bench = new_bench(tmp_path)
    try:
        for wrong in (False, True):
            if wrong:
                edit(
                    course.root / SHORT["suite"],
                    '(samples,), dtype=np.float64, name="outputs"',
                    '(samples, 1), dtype=np.float64, name="outputs"',
                )
            bench.anew()
            subject = Subject(course, course.katas[0])
            (case,) = subject.of(Role.REFERENCE)
            (found,) = bench.run([(subject, Trial(case, only=("test_shapes",)))])
            assert (found.failed, bench.judged) == (frozenset(["test_shapes"] * wrong), 1)
    finally:
        bench.close()


@pytest.fixture
def watching(course: Course) -> Iterator[subprocess.Popen[str]]:
    """`grade check --watch` on a course of two katas whose suites are no Python, so that nothing is judged."""
    new(course, "52_other", worker="numpy")
    for name, slug in ((ID, "my_topic"), ("52_other", "other")):
        edit(course.root / f"katas/{name}/test_{slug}.py", '"""The suite', '1 +\n"""The suite')
    environment = os.environ | {"LC_ALL": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
    command = [str(Path(sys.executable).with_name("grade")), "check", "--watch", "--course", str(course.root)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    yield process
    process.kill()
    process.communicate()


def test_a_kata_is_proved_again_when_a_file_of_it_is_saved(course: Course, watching: subprocess.Popen[str]) -> None:
    def round() -> str:
        assert watching.stdout is not None
        lines = []
        for line in watching.stdout:
            lines.append(line)
            if "Ctrl-C ends" in line:
                break
        return "".join(lines)

    first = round()
    assert f"{SHORT['suite']}:1: is not valid Python" in first and "test_other.py:1: is not" in first
    edit(course.root / SHORT["suite"], "1 +\n", "\n\n1 +\n")
    second = round()
    assert f"{SHORT['suite']}:3: is not valid Python" in second and "52_other" not in second
    edit(course.root / "katas/52_other/kata.toml", "number = 52", "number = ")
    assert "katas/52_other/kata.toml: is not valid TOML" in round()  # and goes on
    edit(course.root / "course.toml", "format_version", "# all of it\nformat_version")
    third = round()
    assert f"{SHORT['suite']}:3: is not valid Python" in third and "52_other/kata.toml" in third
    watching.send_signal(signal.SIGINT)
    assert watching.wait() == 130
