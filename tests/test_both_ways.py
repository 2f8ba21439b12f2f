"""What stands between suite and learner changes nothing: `grade` and plain pytest agree, test by test (`make ways`: on all katas)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from grader.course import Course

from .ways import HABITS, Solution, disagreements, solutions, with_habit


@pytest.mark.parametrize("slug", ["scale", "line"])
def test_both_ways_agree_on_right_and_wrong_files_and_on_honest_habits(toy: Course, slug: str) -> None:
    (kata,) = toy.select([slug])
    asked = list(solutions(toy, kata))
    assert {"reference", *(f"habit {name}" for name in HABITS)} <= {each.name for each in asked}
    assert disagreements(toy, asked) == []


def test_a_disagreement_is_seen(toy: Course) -> None:
    """What a file keeps beside itself is there under plain pytest alone: the one kind of difference that is meant."""
    (kata,) = toy.select(["scale"])
    right = toy.reference(kata).read_text()
    differs = with_habit(right, "open(__file__).close()")
    (found, *_) = disagreements(toy, [Solution(kata, "reads itself", differs)])
    assert "reads itself, test_" in found and "error in grade, pass in plain pytest" in found


def test_the_tool_itself_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("ways.py")), "no_such_kata"], capture_output=True, text=True
    )
    assert done.returncode and "no_such_kata" in done.stderr
