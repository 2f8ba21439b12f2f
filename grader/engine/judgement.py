"""The fold: from the events of one submission on one kata to what was found, however many judges shared its tests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from msgspec.structs import replace

from grader.engine.events import Again, Ended, Event, Heard
from grader.engine.task import Task
from grader.judge.job import Began, Collected, Done, Fault, Held, Judged, Named, Noticed
from grader.kata import Kata
from grader.messages import Message, message, text
from grader.scorecard import KataResult, TestResult, Verdict, grade_kata, reject_kata


@dataclass
class _Part:
    """What one judge said."""

    collected: tuple[Named, ...] = ()
    judged: dict[str, Judged] = field(default_factory=dict)
    faults: list[Message] = field(default_factory=list)
    notices: list[Message] = field(default_factory=list)
    begun: bool = False
    done: bool = False
    ended: bool = False
    seconds: float = 0.0


class Judgement:
    """What is known of one submission on one kata. Only one that is `done` and without faults counts.

    known: the tests as the suite has them, where that is known before, and its judges are not given them in that order
    """

    def __init__(self, tasks: Iterable[Task], known: Iterable[Named] = ()) -> None:
        self._parts = {task: _Part() for task in tasks}
        self._known = {test.name: test for test in known}

    def take(self, event: Event) -> None:
        """Add what an event says. To be called with the events of its own tasks, in their order."""
        part = self._parts[event.task]
        match event:
            case Again():
                self._parts[event.task] = _Part()
            case Ended(_, seconds, lost):
                part.ended, part.seconds = True, seconds
                if lost:
                    part.faults.append(lost)
            case Heard(_, Collected(tests)):
                part.collected = tests
            case Heard(_, Began()):
                part.begun = True
            case Heard(_, Judged(result) as judged):
                part.judged[result.name] = judged
            case Heard(_, Held(name, peak)) if name in part.judged:
                judged = part.judged[name]
                part.judged[name] = replace(judged, result=replace(judged.result, peak_memory_mb=peak))
            case Heard(_, Fault(said)):
                part.faults.append(said)
            case Heard(_, Noticed(said)) if said not in self.notices:
                part.notices.append(said)
            case Heard(_, Done(tests)):
                part.done = tests == len(part.judged)

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The parts that it is put together from."""
        return tuple(self._parts)

    @property
    def tests(self) -> list[TestResult]:
        """The results, in the order of the suite."""
        found = {name: judged.result for part in self._parts.values() for name, judged in part.judged.items()}
        return self.in_order(found.values())

    def in_order(self, tests: Iterable[TestResult]) -> list[TestResult]:
        """Results of tests, in the order of the suite."""
        places = {test.name: place for place, test in enumerate(self.collected)}
        return sorted(tests, key=lambda test: places.get(test.name, len(places)))

    @property
    def collected(self) -> list[Named]:
        """The tests that there are, as far as judges have said."""
        return list(
            (self._known | {test.name: test for part in self._parts.values() for test in part.collected}).values()
        )

    @property
    def left(self) -> list[Named]:
        """Those of them that nothing was said of."""
        judged = {name for part in self._parts.values() for name in part.judged}
        return [test for test in self.collected if test.name not in judged]

    @property
    def begun(self) -> bool:
        """Whether any test has begun."""
        return any(part.begun for part in self._parts.values())

    @property
    def transcripts(self) -> dict[str, str]:
        """Digests of all that the workers said, by test."""
        return {name: judged.transcript for part in self._parts.values() for name, judged in part.judged.items()}

    @property
    def faults(self) -> list[Message]:
        """The suite's or ours, never the learner's."""
        return [fault for part in self._parts.values() for fault in part.faults]

    @property
    def over(self) -> bool:
        """Whether nothing more will be heard."""
        return all(part.ended for part in self._parts.values())

    @property
    def notices(self) -> list[Message]:
        """What was noticed about the file that no verdict depends on."""
        return [said for part in self._parts.values() for said in part.notices]

    @property
    def done(self) -> bool:
        """Whether every judge came to its end."""
        return all(part.done for part in self._parts.values())

    @property
    def seconds(self) -> float:
        return max((part.seconds for part in self._parts.values()), default=0.0)

    def result(self, kata: Kata, *, stub: str, readme: str, sha256: str, choose: str = "") -> KataResult:
        """What it comes to: nothing counts if the suite or the grader was at fault.

        Tests that were not chosen, or come after the one at which the kata was to be left, were not run.
        """
        faults = self.faults or ([] if self.done else [text("the judge did not come to its end")])
        if faults:
            return reject_kata(kata, Verdict.INTERNAL, faults, stub=stub, readme=readme, sha256=sha256)
        left = [not_run(test, "not_run.unchosen" if choose else "not_run.first") for test in self.left]
        chosen = message("kata.chosen", count=len(self.tests), tests=len(self.collected))
        result = grade_kata(
            kata,
            self.in_order([*self.tests, *left]),
            seconds=round(self.seconds, 3),
            said=(chosen,) if left and choose else (),
            notices=self.notices,
            stub=stub,
            readme=readme,
            sha256=sha256,
        )
        ended = {test.verdict for test in self.tests}
        under_way = left and not choose and Verdict.TODO in ended and ended <= {Verdict.PASS, Verdict.TODO}
        return replace(result, verdict=Verdict.TODO) if under_way else result


def not_run(test: Named, why: str) -> TestResult:
    """The result of a test that was left out; `why` is a code."""
    said = message(why)
    return TestResult(
        name=test.name,
        kind=test.kind,
        title=test.title,
        hidden=test.hidden,
        verdict=Verdict.NOT_RUN,
        message=str(said),
        said=said,
    )
