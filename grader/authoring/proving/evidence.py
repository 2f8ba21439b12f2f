"""The evidence on one kata: which trials it takes, and what they showed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from grader.authoring.proving.case import Case, Role
from grader.authoring.proving.outcome import Outcome, Ran, Trial
from grader.authoring.proving.proof import PARTS, Depth
from grader.authoring.proving.subject import Subject


@dataclass
class Evidence:
    """Outcomes by trial, for one kata and a number of seeds; `pace` is how much slower than meant the machine was.

    week: where a part is proved, the number of the week, which chooses the mistakes that are tried; seed: on which mistakes
    and zoo were judged.
    """

    subject: Subject
    seeds: int
    found: dict[Trial, Outcome] = field(default_factory=dict)
    pace: float = 1.0
    depth: Depth = Depth.WHOLE
    week: int = 0
    seed: int | str = 0

    def base(self, full: bool, again: bool = False) -> Iterator[Trial]:
        """The trials that are always needed; with `full` nothing is left to plain pytest that a judge can say.

        With `again` the mistakes in another style too, which only the measure of naming asks for.

        A judge sees the reference twice on seed 0, and every right solution once on one thread and on 2 threads. On the other
        seeds, and on all tests but convergence for the mistakes and the zoo, plain pytest is as good and takes half the time:
        a judge then sees mistakes on the test that they name, and ablations on the convergence tests.
        """
        if self.depth is not Depth.WHOLE:
            yield from self._part() if self.depth is Depth.PART else ()
            return
        quick = self.quick
        for case in self.subject.cases:
            if case.role is Role.AGAIN and not again:
                continue
            if case.right:
                yield Trial(case)
                yield Trial(case, seed=self.seeds - 1, threads=2)
                yield from (Trial(case, seed, local=not full) for seed in range(1, self.seeds - 1))
            if case.role is Role.REFERENCE:
                yield Trial(case, again=1)
                yield Trial(case, local=True)
            elif case.role is Role.ZOO:
                yield Trial(case, local=not full)
            else:
                yield Trial(case, local=True, only=quick)
            if case.role is Role.MISTAKE:
                named = case.caught_by in self.subject.by_name and not full
                yield Trial(case, only=(case.caught_by,) if named else quick)
                if case.ablation and self.slow:
                    yield self.convergence(case)

    def _part(self) -> Iterator[Trial]:
        """Every right solution once, and a part of the mistakes on the tests that they name."""
        mistakes = self.subject.of(Role.MISTAKE)
        yield from (Trial(case) for case in self.subject.cases if case.right)
        for case in mistakes[(self.week + self.week // PARTS) % PARTS :: PARTS]:
            yield Trial(case, only=(case.caught_by,) if case.caught_by in self.subject.by_name else ())

    def doubtful(self) -> Iterator[Trial]:
        """All tests before a judge, on the mistakes that pass the test which they name: is there one that sees them?"""
        for case in self.subject.of(Role.MISTAKE):
            named = self.found.get(Trial(case, only=(case.caught_by,)))
            if named and not named.failed:
                wanted = (Trial(case, only=self.quick), self.convergence(case) if self.slow else Trial(case))
                yield from (trial for trial in wanted if trial not in self.found)

    def convergence(self, case: Case) -> Trial:
        """A mistake before the convergence tests alone."""
        return Trial(case, only=self.slow)

    @property
    def slow(self) -> tuple[str, ...]:
        """The convergence tests, where there are others too."""
        names = tuple(test.name for test in self.subject.tests if test.kind == "convergence")
        return names if len(names) < len(self.subject.tests) else ()

    @property
    def quick(self) -> tuple[str, ...]:
        """All other tests; () where these are all there are."""
        slow = self.slow
        return tuple(test.name for test in self.subject.tests if test.name not in slow) if slow else ()

    # What they showed

    def right(self) -> Iterator[tuple[Trial, Outcome]]:
        """Right solutions, each seed once."""
        for trial, outcome in self.found.items():
            if trial.case.right and not trial.again and not (trial.local and trial.seed == 0):
                yield trial, outcome

    def judged(self, case: Case) -> dict[str, Ran]:
        """The tests of a case before a judge on seed 0 and one thread."""
        return self._tests(case, local=False)

    def plain(self, case: Case) -> dict[str, Ran]:
        """The tests of a case as plain pytest runs them on seed 0."""
        return self._tests(case, local=True)

    def ran(self, case: Case) -> dict[str, Ran]:
        """The tests of a case on seed 0: before a judge where there was one."""
        return self.plain(case) | self.judged(case)

    def caught_by(self, mistake: Case) -> tuple[str, ...]:
        """The tests that fail on it, in the suite's order."""
        ran = self.ran(mistake)
        return tuple(test.name for test in self.subject.tests if test.name in ran and ran[test.name].failed)

    @property
    def catching(self) -> frozenset[str]:
        """The tests that caught a mistake."""
        return frozenset(name for case in self.subject.of(Role.MISTAKE) for name in self.caught_by(case))

    @property
    def idle(self) -> list[str]:
        """The convergence tests that have caught no mistake yet."""
        return [name for name in self.slow if name not in self.catching]

    def _tests(self, case: Case, *, local: bool) -> dict[str, Ran]:
        named = (case.caught_by,) if case.caught_by else ()
        trials = (Trial(case, self.seed, local=local, only=only) for only in (named, self.slow, self.quick, ()))
        outcomes = (self.found[trial] for trial in dict.fromkeys(trials) if trial in self.found)
        return {ran.name: ran for outcome in outcomes for ran in outcome.tests}
