"""What several test files lean on: the toy course, and one warm ladder for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from grader.course import Course, find
from grader.scorecard import KataResult
from grader.session import Session
from grader.store import Store

TOY = Path(__file__).parent / "toy"


@pytest.fixture(scope="session")
def toy() -> Course:
    """A course of two small katas, one for each kind of worker."""
    return find(TOY, TOY)


@pytest.fixture(scope="session")
def warm_session(toy: Course, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """A session on the toy course, whose ladder stands for the whole test run."""
    session = Session(toy, Store(tmp_path_factory.mktemp("store"), lambda text: None), jobs=2)
    yield session
    session.close()


@pytest.fixture
def grade_source(warm_session: Session, tmp_path: Path) -> Callable[..., KataResult]:
    """Grade one source text on one toy kata."""

    def grade(source: str | bytes, kata: str = "scale") -> KataResult:
        (chosen,) = warm_session.course.select([kata])
        content = source.encode() if isinstance(source, str) else source
        (tmp_path / chosen.stub.name).write_bytes(content)
        (result,) = warm_session.grade([chosen], tmp_path, fresh=True).katas
        return result

    return grade
