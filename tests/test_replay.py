"""A bug is named on any seed where the references are at hand: their mistakes are judged on that seed."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from grader.authoring.proving.case import Role
from grader.authoring.proving.subject import Subject
from grader.cli import main
from grader.course import Course

from .workshop import ID, SHORT, scaffold


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """A kata with fingerprints, and in `handed/` a learner's file with one of its mistakes."""
    made = scaffold(tmp_path_factory.mktemp("course"))
    with pytest.raises(SystemExit) as ended:
        main(["check", "--record", "--seeds", "2", "-j", "2", "--course", str(made.root)])
    assert ended.value.code == 0
    return made


def handed_in(course: Course, folder: Path, source: str) -> Path:
    file = folder / ID / Path(SHORT["stub"]).name
    file.parent.mkdir(parents=True)
    file.write_text(source, encoding="utf-8")
    return folder


def mistake(course: Course, name: str) -> str:
    cases = {case.name: case for case in Subject(course, course.katas[0]).of(Role.MISTAKE)}
    return cases[name].source.decode()


def named(course: Course, folder: Path, *words: str) -> set[str]:
    """What the failing tests say that the bug is."""
    report = folder / "card.json"
    with pytest.raises(SystemExit) as ended:
        main(["run", "--course", str(course.root), "--from", str(folder), "--report", f"json={report}", *words])
    assert ended.value.code == 1
    (kata,) = json.loads(report.read_text(encoding="utf-8"))["katas"]
    return {test["cause"]["diagnosis"] for test in kata["tests"] if (test["cause"] or {}).get("diagnosis")}


def says(course: Course, name: str) -> str:
    return next(each.says for each in Subject(course, course.katas[0]).mistakes.mistakes if each.id == name)


def rich_mistake(course: Course) -> str:
    """One that the run on the usual seed names."""
    prints = json.loads((course.root / "reference" / ID / "fingerprints.json").read_text(encoding="utf-8"))
    return next(
        each["id"]
        for each in prints["mistakes"]
        if any(one["said"]["code"] == "value.off" for one in each["tests"].values())
    )


@pytest.mark.parametrize("seed", ["0", "7", "secret"])
def test_a_known_mistake_is_named(course: Course, tmp_path: Path, seed: str) -> None:
    name = rich_mistake(course)
    folder = handed_in(course, tmp_path, mistake(course, name))
    assert says(course, name) in named(course, folder, "--seed", seed)


def test_another_bug_is_not_named(course: Course, tmp_path: Path) -> None:
    reference = (course.root / SHORT["reference"]).read_text(encoding="utf-8")
    wrong = reference.replace("return ", "return 1.0371 * ", 1)
    assert wrong != reference
    assert named(course, handed_in(course, tmp_path, wrong), "--seed", "7") == set()


def test_without_the_reference_nothing_is_named_on_another_seed(course: Course, tmp_path: Path) -> None:
    folder = handed_in(course, tmp_path, mistake(course, rich_mistake(course)))
    reference = course.root / SHORT["reference"]
    aside = reference.rename(reference.with_suffix(".aside"))
    try:
        assert named(course, folder, "--seed", "7") == set()
    finally:
        aside.rename(reference)


def test_nothing_that_a_secret_seed_gave_is_stored(course: Course, tmp_path: Path) -> None:
    def kept() -> list[tuple[int]]:
        with sqlite3.connect(course.root / ".grade" / "store.sqlite") as store:
            return [store.execute(f"SELECT count(*) FROM {table}").fetchone() for table in ("results", "checks")]

    folder, before = handed_in(course, tmp_path, mistake(course, rich_mistake(course))), kept()
    named(course, folder, "--seed", "secret")
    assert kept() == before
