"""Judging as if on another machine: what its libraries are told arrives, and a difference is told test by test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from grader.authoring import fingerprints
from grader.authoring.bench import Bench
from grader.authoring.evidence import Evidence
from grader.authoring.subject import Subject
from grader.course import find
from grader.store import Store

from .bench.arithmetic import Said, Setting, differences, judged, of_reference, settings
from .workshop import ID, SHORT, judge, scaffold

OLD = Setting((("OPENBLAS_CORETYPE", "Prescott"),), threads=2)
MOODY = """

import os

_mean = loss


def loss(x, y, weight, bias):
    old = (os.environ.get("OPENBLAS_CORETYPE"), os.environ["OPENBLAS_NUM_THREADS"]) == ("Prescott", "2")
    return _mean(x, y, weight, bias) * (len(y) if old else 1)
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Said, Said]]:
    """A new kata as this machine judges it, and as an older one does, with one store; a variant is right on one alone."""
    root, kept = tmp_path_factory.mktemp("course"), tmp_path_factory.mktemp("store")
    course = scaffold(root)
    reference = (root / SHORT["reference"]).read_text(encoding="utf-8")
    (root / f"reference/{ID}/variants/moody.py").write_text(reference + MOODY, encoding="utf-8")
    found: list[Said] = []
    for setting in (Setting(), OLD):
        with closing(Store(kept, print)) as store, closing(Bench(store, environment=setting.variables)) as bench:
            if not found:
                subject = Subject(course, course.katas[0])
                trials = [trial for trial in Evidence(subject, 1).base(False) if not trial.case.right]
                assert fingerprints.write(judge(bench, subject, trials)) is not None
            course = find(root, root)
            found.append(judged(Subject(course, course.katas[0]), setting, bench))
    yield found[0], found[1]


def test_every_mistake_is_named_and_a_right_solution_passes(said: tuple[Said, Said]) -> None:
    usual, _ = said
    assert usual["sum-for-a-mean", "test_outputs_and_loss"] == "fail (sum-for-a-mean)"
    assert usual["variant moody", "test_outputs_and_loss"] == "pass"
    assert list(of_reference(usual)) == []


def test_what_differs_on_another_machine_is_told_and_nothing_else(said: tuple[Said, Said]) -> None:
    usual, old = said
    told = list(differences(usual, old))
    assert told and all(line.startswith("variant moody, ") for line in told)
    assert "variant moody, test_outputs_and_loss: fail (sum-for-a-mean); as it is: pass" in told
    assert any(line.startswith("variant moody, test_outputs_and_loss: fail") for line in of_reference(old))


def test_the_first_setting_is_the_machine_itself_and_no_two_are_the_same() -> None:
    found = settings()
    assert next(iter(found.values())) == Setting()
    assert len(set(found.values())) == len(found) > 2
    assert {setting.threads for setting in found.values()} == {1, 2}
