"""Naming bugs on any seed: where the reference is at hand, its mistakes are judged on the seed of the run.

The fingerprints on record are of the usual seed, and numbers of another one are others. A release has no reference, and so
no names on another seed either.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field

from msgspec.structs import replace

from grader import diagnosis
from grader.authoring.proving import fingerprints
from grader.authoring.proving.bench import Bench
from grader.authoring.proving.case import Case, Role
from grader.authoring.proving.evidence import Evidence
from grader.authoring.proving.outcome import Trial
from grader.authoring.proving.subject import Subject
from grader.course import Course
from grader.diagnosis import Fingerprints
from grader.engine.keeper import Keeper
from grader.kata import Kata
from grader.scorecard import KataResult, Scorecard, Verdict
from grader.store import Store


@dataclass
class Replay:
    """The mistakes of one course on one seed, each judged when it is first asked for; nothing of it is stored.

    seed: a number, or the digits of a secret one; keeper: whose ladder is used, and stays.
    """

    course: Course
    store: Store
    keeper: Keeper
    seed: int | str
    jobs: int = 1
    _evidence: dict[str, Evidence] = field(default_factory=dict)

    def diagnosed(self, card: Scorecard) -> Scorecard:
        """The card, in which every failure that is the trace of a mistake on this seed says so."""
        by_id = {kata.id: kata for kata in self.course.katas}
        return replace(card, katas=tuple(self.named(by_id[result.id], result) for result in card.katas))

    def named(self, kata: Kata, result: KataResult) -> KataResult:
        """One result likewise."""
        failed = {test.name for test in result.tests if test.verdict is Verdict.FAIL}
        return diagnosis.diagnosed(result, self.prints(kata, failed)) if failed else result

    def prints(self, kata: Kata, failed: Set[str]) -> Fingerprints:
        """Fingerprints of the mistakes that are on record as failing one of these tests."""
        on_record = diagnosis.load(self.course, kata)
        wanted = {mistake.id for mistake in on_record.mistakes if mistake.tests.keys() & failed}
        evidence = self._evidence.setdefault(kata.id, Evidence(Subject(self.course, kata), 1, seed=self.seed))
        cases = [case for case in evidence.subject.of(Role.MISTAKE) if case.name in wanted]
        self._judge(evidence, [*cases, *evidence.subject.of(Role.ZOO)] if cases else [])
        return fingerprints.of(evidence, cases)

    def _judge(self, evidence: Evidence, cases: list[Case]) -> None:
        """Have those judged that were not yet, as plain pytest runs them: there is nothing to lock in."""
        trials = [Trial(case, self.seed, local=True, only=evidence.quick) for case in cases]
        left = [(evidence.subject, trial) for trial in trials if trial not in evidence.found]
        bench = Bench(self.store, self.jobs, lent=self.keeper)
        for (_, trial), outcome in zip(left, bench.run(left, keep=False), strict=True):
            evidence.found[trial] = outcome
