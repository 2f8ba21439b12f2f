"""The fold: from the events of one submission on one kata to what was found, however many judges shared its tests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from msgspec.structs import replace

from grader.engine.events import Again, Ended, Event, Heard
from grader.engine.task import Task
from grader.judge.job import Began, Collected, Done, Fault, Held, Judged, Named
from grader.kata import Kata
from grader.messages import Message, text
from grader.scorecard import KataResult, TestResult, Verdict, grade_kata, reject_kata


@dataclass
class _Part:
    """What one judge said."""

    collected: tuple[Named, ...] = ()
    judged: dict[str, Judged] = field(default_factory=dict)
    faults: list[Message] = field(default_factory=list)
    begun: bool = False
    done: bool = False
    seconds: float = 0.0


class Judgement:
    """What is known of one submission on one kata. Only one that is `done` and without faults counts."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._parts = {task: _Part() for task in tasks}

    def take(self, event: Event) -> None:
        """Add what an event says. To be called with the events of its own tasks, in their order."""
        part = self._parts[event.task]
        match event:
            case Again():
                self._parts[event.task] = _Part()
            case Ended(_, seconds, lost):
                part.seconds = seconds
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
            case Heard(_, Done(tests)):
                part.done = tests == len(part.judged)

    @property
    def tests(self) -> list[TestResult]:
        """The results, in the order of the suite."""
        found = {name: judged.result for part in self._parts.values() for name, judged in part.judged.items()}
        order = dict.fromkeys([*(test.name for test in self.collected), *found])
        return [found[name] for name in order if name in found]

    @property
    def collected(self) -> list[Named]:
        """The tests that there are, as far as judges have said."""
        return list({test.name: test for part in self._parts.values() for test in part.collected}.values())

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
    def done(self) -> bool:
        """Whether every judge came to its end."""
        return all(part.done for part in self._parts.values())

    @property
    def seconds(self) -> float:
        return sum(part.seconds for part in self._parts.values())

    def result(self, kata: Kata, *, stub: str, readme: str, sha256: str) -> KataResult:
        """What it comes to: nothing counts if the suite or the grader was at fault."""
        faults = self.faults or ([] if self.done else [text("the judge did not come to its end")])
        if faults:
            return reject_kata(kata, Verdict.INTERNAL, faults, stub=stub, readme=readme, sha256=sha256)
        seconds = round(self.seconds, 3)
        return grade_kata(kata, self.tests, seconds=seconds, stub=stub, readme=readme, sha256=sha256)
