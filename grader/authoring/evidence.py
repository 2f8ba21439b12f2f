"""The evidence on one kata: which trials it takes, and what they showed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from grader.authoring.case import Case, Role
from grader.authoring.outcome import Outcome, Ran, Trial
from grader.authoring.subject import Subject


@dataclass
class Evidence:
    """Outcomes by trial, for one kata and a number of seeds."""

    subject: Subject
    seeds: int
    found: dict[Trial, Outcome] = field(default_factory=dict)

    def base(self) -> Iterator[Trial]:
        """The trials that are always needed.

        Right solutions: all tests on every seed, the last of them on 2 threads. The reference once more on seed 0, and once as plain
        pytest runs it. Variants and mistakes as plain pytest runs them, and mistakes before a judge, without the convergence tests,
        which prove nothing. The zoo: all tests.
        """
        quick = self.quick
        for case in self.subject.cases:
            if case.right:
                for seed in range(self.seeds):
                    yield Trial(case, seed, threads=2 if seed and seed == self.seeds - 1 else 1)
                if self.seeds == 1:
                    yield Trial(case, threads=2)
            if case.role is Role.REFERENCE:
                yield Trial(case, again=1)
                yield Trial(case, local=True)
            elif case.role is Role.ZOO:
                yield Trial(case)
            else:
                yield Trial(case, local=True, only=quick)
            if case.role is Role.MISTAKE:
                yield Trial(case, only=quick)

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
        """Right solutions before a judge, each seed once."""
        for trial, outcome in self.found.items():
            if trial.case.right and not trial.local and not trial.again:
                yield trial, outcome

    def judged(self, case: Case) -> dict[str, Ran]:
        """The tests of a case before a judge on seed 0 and one thread."""
        return self._tests(case, local=False)

    def plain(self, case: Case) -> dict[str, Ran]:
        """The tests of a case as plain pytest runs them."""
        return self._tests(case, local=True)

    def caught_by(self, mistake: Case) -> tuple[str, ...]:
        """The tests that fail on it, in the suite's order."""
        ran = self.judged(mistake)
        return tuple(test.name for test in self.subject.tests if test.name in ran and not ran[test.name].passed)

    @property
    def catching(self) -> frozenset[str]:
        """The tests that caught a mistake."""
        return frozenset(name for case in self.subject.of(Role.MISTAKE) for name in self.caught_by(case))

    @property
    def idle(self) -> list[str]:
        """The convergence tests that have caught no mistake yet."""
        return [name for name in self.slow if name not in self.catching]

    def _tests(self, case: Case, *, local: bool) -> dict[str, Ran]:
        trials = (Trial(case, local=local, only=only) for only in ((), self.quick, self.slow))
        outcomes = (self.found[trial] for trial in dict.fromkeys(trials) if trial in self.found)
        return {ran.name: ran for outcome in outcomes for ran in outcome.tests}
