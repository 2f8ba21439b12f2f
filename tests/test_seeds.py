"""Secret seeds: drawn long, shown nowhere, neither kept in the store nor taken from it, and the same again from a file."""

from __future__ import annotations

import json
import shutil
import stat
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from grader import seeds
from grader.course import Course, find
from grader.errors import UsageFault
from grader.scorecard import Scorecard
from grader.seeds import Secret
from grader.session import Session
from grader.store import Store

from .conftest import TOY
from .test_cli import card, grade

WRONG = "import numpy as np\n\ndef scale(x, factor):\n    return x + factor\n"


@pytest.fixture
def course(tmp_path: Path) -> Path:
    root = tmp_path / "course"
    shutil.copytree(TOY, root, ignore=shutil.ignore_patterns("__pycache__", ".grade"))
    (root / "katas/01_scale/scale.py").write_text(WRONG)
    return root


def said(found: dict[str, Any]) -> list[str]:
    """The numbers that the tests found, which depend on their inputs."""
    return [str(test["cause"]) for test in found["katas"][0]["tests"]]


def test_a_secret_seed_is_shown_nowhere_and_is_another_each_time(course: Path) -> None:
    runs = [card(course, "1", "--seed", "secret")[1] for _ in range(2)]
    assert [run["seed"] for run in runs] == [None, None]
    assert all(len(run["seed_sha256"]) == 64 for run in runs) and runs[0]["seed_sha256"] != runs[1]["seed_sha256"]
    assert said(runs[0]) != said(runs[1])
    shown = grade(course, "1", "--seed", "secret").stdout
    assert "secret seed (its SHA-256" in shown and "seed 0" not in shown


def test_a_kept_seed_gives_the_same_again_and_is_its_owners(course: Path) -> None:
    first = card(course, "1", "--seed", "@kept")[1]
    digits = (course / "kept").read_text().strip()
    again = card(course, "1", "--seed", "@kept")[1]
    assert (
        said(first) == said(again)
        and first["seed_sha256"] == again["seed_sha256"] == sha256(digits.encode()).hexdigest()
    )
    assert stat.S_IMODE((course / "kept").stat().st_mode) == 0o600 and len(digits) == 64
    assert digits not in json.dumps([first, again]) + grade(course, "1", "--seed", "@kept").stdout
    assert [run["katas"][0]["from_store"] for run in (first, again)] == [False, False]


def test_no_result_of_a_secret_seed_is_in_the_store(course: Path) -> None:
    card(course, "1", "--seed", "@kept")
    digits = (course / "kept").read_bytes().strip()
    assert digits not in (course / ".grade/store.sqlite").read_bytes()
    store = Store(course, print)
    assert store._rows("SELECT count(*) FROM results") == [(0,)] and len(store.attempts("01_scale")) == 1
    store.close()


def test_a_seed_is_drawn_once_into_its_file(tmp_path: Path) -> None:
    path = tmp_path / "seed"
    new, is_new = seeds.kept_in(path)
    assert is_new and path.read_text(encoding="ascii") == new.digits + "\n" and len(bytes.fromhex(new.digits)) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert seeds.kept_in(path) == (new, False) and seeds.kept_in(tmp_path / "other")[0] != new
    assert new.sha256 == sha256(new.digits.encode()).hexdigest()
    path.write_text(new.digits, encoding="ascii")
    assert seeds.kept_in(path) == (new, False), "with or without the end of its line"
    with pytest.raises(AttributeError):
        new.digits = ""  # type: ignore[misc]


@pytest.mark.parametrize("place", ["nowhere/seed", "."])
def test_a_file_that_cannot_be_made_is_told(tmp_path: Path, place: str) -> None:
    with pytest.raises(UsageFault, match="cannot keep a seed"):
        seeds.kept_in(tmp_path / place)


@pytest.mark.parametrize("content", ["0" * 64 + "\nx", "", "7", "0" * 63, "0" * 65, "Z" * 64, "\u00e9" * 64])
def test_a_seed_of_ones_own_choosing_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "seed"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UsageFault, match="seed"):
        seeds.kept_in(path)
    assert path.read_text(encoding="utf-8") == content


@pytest.mark.parametrize("seed", ["-1", "x", "@", "1" * 19, "\u0661"])
def test_what_is_no_seed_is_a_usage_fault(course: Path, seed: str) -> None:
    done = grade(course, "1", "--seed", seed)
    assert done.returncode == 2 and "Traceback" not in done.stderr


def test_a_secret_does_not_print_itself() -> None:
    secret = seeds.draw()
    assert secret.digits not in repr(secret) and secret.digits not in str(secret)


def test_a_test_on_a_recorded_reference_says_so(toy: Course, tmp_path: Path) -> None:
    """A course without the reference, whose suite asks for it, beside what was recorded of it."""
    root = tmp_path / "released"
    shutil.copytree(TOY / "katas", root / "katas", ignore=shutil.ignore_patterns("__pycache__"))
    suite = root / "katas/01_scale/test_scale.py"
    suite.write_text(
        suite.read_text().replace("def test_shape(solution, rng)", "def test_shape(solution, rng, reference)")
    )
    from grader.judge import recorded

    (root / "katas/01_scale" / recorded.FILE).write_bytes(recorded.packed([]))
    released = find(root, root)
    session = Session(released, Store(tmp_path, print), seed=Secret("0" * 64))
    found: Scorecard = session.grade(released.select(["scale"]), TOY / "reference")
    session.close()
    assert [test.recorded for test in found.katas[0].tests] == [True, False, False, False]
    from grader.reports import terminal

    assert "1 test uses the recorded reference, and its seed in place of the run's" in terminal.render(found)
