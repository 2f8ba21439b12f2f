"""The finished katas, through the real ladder: right solutions pass, the stub is to do, and no mistake gets through."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from grader import submission
from grader.authoring.mistakes import read
from grader.course import Course, find
from grader.judge.job import Job
from grader.judge.run import Judgement, run
from grader.kata import Kata
from grader.scorecard import Verdict
from grader.session import Session
from grader.store import Store

ROOT = Path(__file__).resolve().parents[1]
COURSE = find(ROOT, ROOT)
IDS = [kata.id for kata in COURSE.katas]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """A session on the real course, whose ladder stands for all tests of this file."""
    session = Session(COURSE, Store(tmp_path_factory.mktemp("store"), lambda text: None), jobs=2)
    yield session
    session.close()


def judged(session: Session, kata: Kata, sources: dict[str, bytes], only: dict[str, str]) -> dict[str, Judgement]:
    """What the judges say of each source; `only` names the single test to run for a source."""
    base = session.job(kata, submission.read(kata, None, COURSE))
    plan = session.plan([kata], ROOT / "reference")
    jobs: dict[str, Job] = {
        name: replace(base, source=source, only=(only[name],) if name in only else ())
        for name, source in sources.items()
    }
    names = {id(job): name for name, job in jobs.items()}
    found: dict[str, Judgement] = {}

    def keep(judgement: Judgement) -> None:
        found[names[id(judgement.job)]] = judgement

    run([(job, plan, kata.tests) for job in jobs.values()], session.ladder(plan), 2, finished=keep)
    assert all(judgement.done and not judgement.faults for judgement in found.values())
    return found


def kata_of(course: Course, id: str) -> Kata:
    (kata,) = course.select([id])
    return kata


@pytest.mark.parametrize("id", IDS)
def test_right_solutions_pass_and_the_stub_is_to_do(session: Session, id: str) -> None:
    kata = kata_of(COURSE, id)
    variants = sorted((ROOT / "reference" / id / "variants").glob("*.py"))
    assert len(variants) >= 2
    sources = {path.stem: path.read_bytes() for path in (COURSE.reference(kata), *variants)}
    found = judged(session, kata, {**sources, "the stub": kata.stub.read_bytes()}, {})
    stub = found.pop("the stub")
    assert {test.verdict for test in stub.tests} == {Verdict.TODO} and len(stub.tests) == kata.tests
    for name, judgement in found.items():
        wrong = {test.name: test.message for test in judgement.tests if test.verdict is not Verdict.PASS}
        assert not wrong and len(judgement.tests) == kata.tests, (name, wrong)


@pytest.mark.parametrize("id", IDS)
def test_every_mistake_is_caught_by_the_test_that_it_names(session: Session, id: str) -> None:
    kata = kata_of(COURSE, id)
    text = COURSE.reference(kata).read_text(encoding="utf-8")
    file = ROOT / "reference" / id / "mistakes.toml"
    mistakes = read(file.read_text(encoding="utf-8"), file.name, text)
    assert not mistakes.findings and len(mistakes.mistakes) >= 6
    sources = {each.id: each.text.encode() for each in mistakes.mistakes}
    found = judged(session, kata, sources, {each.id: each.caught_by for each in mistakes.mistakes})
    for name, judgement in found.items():
        (test,) = judgement.tests
        assert test.verdict is not Verdict.PASS, f"{name} gets through {test.name}"
        assert test.kind != "convergence" and test.verdict is not Verdict.INTERNAL, (name, test.message)
