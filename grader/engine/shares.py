"""The tests of one kata, once they are known, for several judges: which judge gets which of them, and what comes first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from grader.engine.judgement import Judgement
from grader.engine.task import Task
from grader.judge.job import Named
from grader.scorecard import KataResult, Verdict
from grader.store import Store

_NOTE = "suite"  # under which a store keeps what is known of one


@dataclass(frozen=True)
class Known:
    """What was seen of a suite when it was judged the last time.

    course: the digest of all that its verdicts depend on beside the file; seconds: of its tests, by their names
    at_hand: the test that the learner is at, which is the first that did not pass; "" where all do
    tests: in the suite's order
    """

    course: str
    seconds: Mapping[str, float]
    at_hand: str
    tests: tuple[Named, ...] = ()


class Memory:
    """The suites that were seen, in this session and, with a store, in those before it."""

    def __init__(self, store: Store | None = None) -> None:
        self._store = store
        self._known: dict[str, Known] = {}  # by kata

    def learn(self, course: str, result: KataResult) -> None:
        """Keep in mind which tests a kata has, where all of them ran on this state of the course."""
        if result.verdict is not Verdict.INTERNAL and result.tests:
            at_hand = next((test.name for test in result.tests if test.verdict is not Verdict.PASS), "")
            tests = tuple(Named(test.name, test.kind, test.title, test.hidden) for test in result.tests)
            known = Known(course, {test.name: test.seconds for test in result.tests}, at_hand, tests)
            self._known[result.id] = known
            if self._store is not None:
                self._store.put_note(result.id, _NOTE, msgspec.json.encode(known).decode())

    def judgement(self, task: Task, course: str, judges: int) -> Judgement:
        """Of a task that is alone: in as many parts as there are judges, if its suite was seen in this state of the course."""
        known = self._known.get(task.job.kata) or self._noted(task.job.kata)
        if known is None or known.course != course or len(known.tests) != len(known.seconds):
            return Judgement([task])
        return Judgement(shared(task, known, judges), known.tests)

    def _noted(self, kata: str) -> Known | None:
        try:
            return msgspec.json.decode(self._store.note(kata, _NOTE), type=Known) if self._store is not None else None
        except msgspec.MsgspecError:
            return None


def shared(task: Task, known: Known, judges: int) -> tuple[Task, ...]:
    """The task in at most so many parts that take about as long as each other; the first begins with the test at hand."""
    parts: list[list[str]] = [[] for _ in range(max(1, min(judges, len(known.seconds))))]
    loads = [0.0] * len(parts)
    for name in sorted(known.seconds, key=lambda name: (name != known.at_hand, -known.seconds[name])):
        least = min(range(len(parts)), key=lambda part: (loads[part], len(parts[part])))
        parts[least].append(name)
        loads[least] += known.seconds[name]
    order = {name: place for place, name in enumerate(known.seconds)}
    for part in parts:
        part.sort(key=lambda name: (name != known.at_hand, order[name]))
    return tuple(Task(task.of, replace(task.job, only=tuple(part)), len(part)) for part in parts)
