"""The known mistakes on a class's own seed: judged once, kept without a word of any student, and named in the gradebook."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from grader.classroom import again, mistakes
from grader.classroom.exports.statistics import OfClass
from grader.classroom.gradebook import Gradebook
from grader.classroom.hands import Finding, Work
from grader.classroom.journal import Journal
from grader.classroom.late import Policy
from grader.classroom.mistakes import Wrong
from grader.classroom.overrides import Overrides
from grader.classroom.records import Facts
from grader.course import Course, find
from grader.diagnosis import Print
from grader.errors import UsageFault
from grader.kata import Kata
from grader.messages import Message, message, text
from grader.scorecard import KataResult, Verdict
from grader.seeds import Secret

from .pupils import LAYERS, OURS, Class, F, P, kata, result
from .test_cli import TOY

KATA = replace(kata(1), id="01_scale", slug="scale")


def said(got: float) -> Message:
    return message(
        "value.off", name=text("the output"), error=0.25, relative=0.5, allowed=1e-6, got=got, expected=1.0, slip=None
    )


def failing(source: bytes, got: float, verdicts: Sequence[Verdict] = (P, F, F, P)) -> KataResult:
    """What a file comes to whose failing tests found this number."""
    made = result(KATA, mistakes.Wrong(KATA.id, source).job[1], verdicts)
    tests = tuple(replace(test, said=said(got)) if test.verdict is F else test for test in made.tests)
    return replace(made, tests=tests)


class Stub(again.Judging):
    """Says of each source what it comes to, and ends after so many."""

    def __init__(self, results: dict[bytes, KataResult], most: int = 100) -> None:
        super().__init__()
        self.results, self.most = results, most
        self.seeds: set[Secret] = set()

    def judge(
        self, course: Course, katas: Sequence[Kata], seed: Secret, facts: Facts, work: Iterator[Work], at_once: int
    ) -> Iterator[Finding]:
        self.seeds.add(seed)
        for number, each in enumerate(work):
            if number == self.most:
                return
            yield Finding(each.job, self.results[each.source], frozenset(LAYERS))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A class of three: one who made the first mistake, one who made another, one who has all right."""
    made = Class(tmp_path / "class", [KATA])
    for id, source, got in (("s1", b"x", 1.2345), ("s2", b"y", 7.654)):
        made.student(id, {KATA.id: (source, [])})
        made.results.append(failing(source, got))
    made.student("s3", {KATA.id: (b"z", [P, P, P, P])})
    return made.put()


WRONG = [
    Wrong(KATA.id, b"m1", "first", "says one", "说一"),
    Wrong(KATA.id, b"m2", "second", "says two", "说二"),
    Wrong(KATA.id, b"idle"),
]
FOUND = {b"m1": failing(b"m1", 1.2345), b"m2": failing(b"m2", 9.8765), b"idle": failing(b"idle", 0.0, (F, F, F, F))}


def judge(out: Path, judging: again.Judging) -> list[str]:
    return mistakes.judge(out, find(TOY, TOY), WRONG, judging, 1, lambda done, of: None)


def told(out: Path) -> OfClass:
    with closing(Journal.read(out)) as journal:
        book = Gradebook(journal, Policy(), Overrides(), mistakes.load(out, journal.facts()))
        found = OfClass.of(book.facts, book.known)
        for sheet in book:
            found.add(sheet)
    return found


def test_a_bug_is_named_once_its_mistake_was_judged_on_the_seed_of_the_class(out: Path) -> None:
    before = told(out)
    assert (before.worst_bugs(), before.unnamed) == ([], {KATA.id})
    judging = Stub(FOUND)
    assert judge(out, judging) == []
    with closing(Journal.read(out)) as journal:
        assert judging.seeds == {journal.seed()}
        assert mistakes.failing(journal) == {KATA.id}
    after = told(out)
    assert [(bug.says, bug.says_zh, count) for bug, count in after.worst_bugs()] == [("says one", "说一", 1)]
    assert after.unnamed == set()


def test_what_solves_nothing_at_all_fails_like_no_mistake(out: Path) -> None:
    judge(out, Stub(FOUND | {b"idle": failing(b"idle", 1.2345)}))
    assert told(out).worst_bugs() == []


@pytest.mark.parametrize("judging", [Stub(FOUND, most=2), Stub(FOUND | {b"idle": result(KATA, "", [OURS, P, P, P])})])
def test_a_kata_of_which_not_all_was_judged_stays_unknown(out: Path, judging: Stub) -> None:
    assert judge(out, judging) == [KATA.id]
    assert told(out).unnamed == {KATA.id}


def test_numbers_of_convergence_tests_are_no_trace(out: Path) -> None:
    slow = failing(b"m1", 1.2345)
    tests = tuple(replace(test, kind="convergence") for test in slow.tests)
    judge(out, Stub(FOUND | {b"m1": replace(slow, tests=tests)}))
    assert told(out).worst_bugs() == []


def test_what_is_kept_is_worth_nothing_on_another_course_or_seed(out: Path) -> None:
    judge(out, Stub(FOUND))
    with closing(Journal.read(out)) as journal:
        facts = journal.facts()
    assert mistakes.load(out, facts)[KATA.id].mistakes[0].tests == {
        name: Print(said(1.2345)) for name in ("test_1", "test_2")
    }
    assert mistakes.load(out, replace(facts, seed_sha256="another")) == {}
    assert mistakes.load(out, replace(facts, katas=(replace(KATA, digest="another"),))) == {}
    content = (out / mistakes.FILE).read_text()
    assert '"s1"' not in content
    (out / mistakes.FILE).write_text("{")
    assert mistakes.load(out, facts) == {}


def test_a_place_that_cannot_be_written_is_told(out: Path) -> None:
    (out / mistakes.FILE).mkdir()
    with pytest.raises(UsageFault, match=r"cannot write .*mistakes\.json"):
        judge(out, Stub(FOUND))
    assert not list(out.glob(".*tmp"))
