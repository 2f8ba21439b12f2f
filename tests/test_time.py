"""Time on the toy course: what is ended, by which clock, what the rest of a kata may take, and what is never condemned."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from grader.authoring.proving.case import Case, Role
from grader.authoring.proving.outcome import Trial
from grader.authoring.proving.subject import Subject
from grader.course import Course
from grader.scorecard import KataResult, TestResult, Verdict
from grader.session import Session
from grader.store import Store, storable

from .workshop import new_bench

LIMIT = 0.5
WALL = r"after 1\.5 s on the wall clock"
ENDED = (
    rf"after 0\.5 s of processor time|{WALL}"  # a machine that leaves it less than a third of a processor ends it so
)
Grade = Callable[..., KataResult]


@pytest.fixture
def grade(warm_session: Session, tmp_path: Path) -> Grade:
    """Grade one source text on one toy kata, whose limit is half a second."""

    def graded(source: str, kata: str = "scale", session: Session = warm_session) -> KataResult:
        (chosen,) = session.course.select([kata])
        (tmp_path / chosen.stub.name).write_text(source, encoding="utf-8")
        (result,) = session.grade([replace(chosen, seconds=LIMIT)], tmp_path, fresh=True).katas
        return result

    return graded


def right(course: Course, kata: str) -> str:
    return course.reference(course.select([kata])[0]).read_text(encoding="utf-8")


def scale(course: Course, *lines: str) -> str:
    """A right solution that does this first in every call of `scale`."""
    body = "    # BEGIN SOLUTION: one multiplication\n"
    text = right(course, "scale")
    assert text.count(body) == 1
    return text.replace(body, "".join(f"    {line}\n" for line in lines) + body)


def timed_out(result: KataResult) -> TestResult:
    """The one test that ran out of time, of all that the manifest announces."""
    (found,) = [test for test in result.tests if test.verdict is Verdict.TIMEOUT]
    assert result.verdict is Verdict.TIMEOUT and len(result.tests) == sum(k.total for k in result.by_kind.values())
    assert {test.verdict for test in result.tests} <= {Verdict.TIMEOUT, Verdict.NOT_RUN, Verdict.PASS}
    return found


PLACES = {
    "the first function": ("predict", "    return x @ w + b"),
    "what every model needs": ("__init__", "        super().__init__()"),
    "the forward pass": ("forward", "        return predict"),
    "the training loop": ("fit", "    optimiser = "),
}


def looping(course: Course, place: str) -> str:
    """02_line, endless in one place."""
    _, line = PLACES[place]
    text = right(course, "line")
    assert text.count(line) == 1, line
    return text.replace(line, f"{line[: len(line) - len(line.lstrip())]}while True: pass\n{line}")


@pytest.mark.parametrize("place", PLACES)
def test_wherever_it_loops_one_test_has_its_time_and_the_others_share_half_of_that(
    grade: Grade, toy: Course, place: str
) -> None:
    result = grade(looping(toy, place), "line")
    assert re.search(rf"\({PLACES[place][0]}\) ({ENDED})$", timed_out(result).message)
    for test in result.tests:
        if test.verdict is Verdict.NOT_RUN:
            assert (
                "when the kata's time was up: after a test that runs out of time all others share 0.25 s"
                in test.message
            )
            assert test.points == 0.0 and test.max > 0


def test_what_follows_a_timeout_and_takes_no_time_is_judged(grade: Grade, toy: Course) -> None:
    result = grade(scale(toy, "while x.shape == (2, 3): pass"))
    assert result.tests[0].verdict is Verdict.TIMEOUT
    assert Counter(test.verdict for test in result.tests)[Verdict.PASS] > 0


def test_of_tests_that_all_loop_the_others_are_not_run_which_nothing_keeps(grade: Grade, toy: Course) -> None:
    result = grade(scale(toy, "while True: pass"))
    assert [test.verdict for test in result.tests if test.name != "test_halves"] == [
        Verdict.TIMEOUT, Verdict.NOT_RUN, Verdict.NOT_RUN,
    ]  # fmt: skip
    *_, last = result.tests
    assert last.message.startswith("not begun when the kata's time was up")
    assert not storable(result)


def test_an_import_that_never_ends_is_tried_once(grade: Grade) -> None:
    result = grade("while True:\n    pass\n")
    assert {test.verdict for test in result.tests} == {Verdict.TIMEOUT}
    message = rf"scale\.py was being imported: still in scale\.py:[12] \(<module>\) ({ENDED})"
    assert all(re.fullmatch(message, test.message) for test in result.tests), result.tests[0].message


def test_import_and_calls_of_one_test_count_together(grade: Grade, toy: Course) -> None:
    burn = "import time\nuntil = time.process_time() + {}\nwhile time.process_time() < until: pass\n"
    assert grade(burn.format(0.2) + right(toy, "scale")).verdict is Verdict.PASS
    call = "time.sleep(0); until = time.process_time() + 0.12\n    while time.process_time() < until: pass"
    result = grade(burn.format(0.2) + scale(toy, call))
    assert {test.name: test.verdict for test in result.tests}["test_shape"] is Verdict.PASS
    assert timed_out(result).name == "test_values"  # which calls it three times


SLOW = "import time; until = time.process_time() + {} if x.shape == (2, 3) else 0"
BURNS = "while time.process_time() < until: pass"


def test_an_honest_test_may_wait_longer_than_its_limit(grade: Grade, toy: Course) -> None:
    """As on a machine that lets it wait: 40 % of the limit in processor time, and more than the limit on the wall."""
    result = grade(scale(toy, SLOW.format(0.4 * LIMIT), BURNS, f"time.sleep({0.8 * LIMIT} if until else 0)"))
    assert result.verdict is Verdict.PASS, result.tests[0].message
    assert result.tests[0].seconds > LIMIT


@pytest.fixture
def busy() -> Iterator[None]:
    """A machine each of whose processors has other work already."""
    spin = (
        "import os, sys\nos.sched_setaffinity(0, {int(sys.argv[1])})\nprint(flush=True)\nwhile os.getppid() > 1: pass"
    )
    command = [sys.executable, "-c", spin]
    others = [
        subprocess.Popen([*command, str(processor)], stdout=subprocess.PIPE) for processor in os.sched_getaffinity(0)
    ]
    try:
        for other in others:
            assert other.stdout
            other.stdout.readline()
        yield
    finally:
        for other in others:
            other.kill()
            other.communicate()


@pytest.mark.usefixtures("busy")
def test_a_busy_machine_condemns_nobody(grade: Grade, toy: Course) -> None:
    """Beside others on every processor, with 60 % of the limit in processor time."""
    result = grade(scale(toy, SLOW.format(0.6 * LIMIT), BURNS))
    assert result.verdict is Verdict.PASS, result.tests[0].message


@pytest.mark.parametrize(("body", "after"), [("while True: pass", ENDED), ("import time; time.sleep(99)", WALL)])
def test_a_worker_that_is_a_process_of_its_own_has_the_same_clocks(
    grade: Grade, toy: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, after: str
) -> None:
    monkeypatch.setenv("GRADKATA_START", "fresh")
    session = Session(toy, Store(tmp_path / "store", lambda text: None))
    try:
        assert re.search(rf"({after})$", timed_out(grade(scale(toy, body), session=session)).message)
    finally:
        session.close()


@pytest.mark.parametrize(
    "body",
    [
        "while True: pass",
        "import time; time.sleep(99)",
        "\n    try:\n        while True: pass\n    except Exception: return x",  # what ends it is none that a learner catches so
    ],
)
def test_an_authors_own_trial_has_the_clock_of_a_judge(toy: Course, tmp_path: Path, body: str) -> None:
    """Mutants and mistakes that never end, imported beside the suite: one test has its time, and blames none that is not run."""
    bench, subject = new_bench(tmp_path), Subject(toy, toy.select(["scale"])[0])
    source = scale(toy, body).encode()
    try:
        (found,) = bench.run(
            [(subject, Trial(Case(Role.MUTANT, "endless", source, "scale.py"), local=True, seconds=LIMIT))]
        )
    finally:
        bench.close()
    by_name = {ran.name: ran for ran in found.tests}
    assert re.fullmatch(rf"still running ({ENDED})", by_name["test_shape"].message)
    assert by_name["test_values"].verdict is Verdict.NOT_RUN and len(by_name) == 4
    assert found.failed == {"test_shape"} and found.faults == ()
