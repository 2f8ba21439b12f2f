"""The numbers behind the rules: the room between right and wrong, the margins of convergence, the time."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from grader.authoring.proving.case import Case, Role
from grader.authoring.proving.evidence import Evidence
from grader.authoring.proving.outcome import Ran
from grader.scorecard import Verdict

RIGHT_RATIO = 0.1  # the largest error / tolerance that a right solution may have
WRONG_RATIO = 10.0  # the smallest that a mistake may have in the comparison which catches it
MARGIN = 6.0  # standard deviations over the seeds
LEAST_SEEDS = 3  # for a standard deviation
BUDGET_SECONDS = 3.0  # for all tests on the reference, on one quiet core
ALLOWANCE = 2.0  # how much longer the best runs may take before the time is called a fault
LIMIT_RATIO = 20.0  # the limit of one test, of what the slowest test takes the reference: right is right, also by loops
LIMIT_MOST = 60.0  # beyond it an endless loop costs its learner more than the slowest honest solution needs
LEAST_LIMIT = 2.0  # seconds
NEVER_LONG = 15.0  # seconds: where a reference takes next to nothing, loops in Python may take a hundred times that


@dataclass(frozen=True)
class Ratio:
    """Error / tolerance of one comparison; infinite where something else than a number was wrong."""

    value: float
    test: str
    case: Case
    comparison: str = ""
    seed: int | str = 0


@dataclass(frozen=True)
class Margin:
    """How far the worst seed is beyond a bar, in standard deviations over the seeds; infinite where all seeds agree."""

    deviations: float
    worst: float
    test: str
    case: Case
    comparison: str


def right_ratios(evidence: Evidence) -> dict[str, Ratio]:
    """Per test the comparison in which a right solution that passed came nearest to failing."""
    found: dict[str, Ratio] = {}
    for trial, outcome in evidence.right():
        for ran in filter(_passed, outcome.tests):
            for seen in ran.comparisons:
                if seen.tolerance and (ran.name not in found or seen.ratio > found[ran.name].value):
                    found[ran.name] = Ratio(seen.ratio, ran.name, trial.case, seen.name, trial.seed)
    return found


def wrong_ratios(evidence: Evidence) -> list[Ratio]:
    """Per mistake that the test it names has caught: by how much."""
    found = []
    for case in evidence.subject.of(Role.MISTAKE):
        ran = evidence.judged(case).get(case.caught_by)
        if ran is None or not ran.failed:
            continue
        failing = [seen for seen in ran.comparisons if seen.ratio > 1 and seen.tolerance]
        worst = max(failing, key=lambda seen: seen.ratio, default=None)
        if worst is None or ran.verdict is not Verdict.FAIL:
            found.append(Ratio(math.inf, ran.name, case))
        else:
            found.append(Ratio(worst.ratio, ran.name, case, worst.name))
    return found


def mildest(ratios: Iterable[Ratio]) -> dict[str, Ratio]:
    """Per test the smallest of the ratios."""
    found: dict[str, Ratio] = {}
    for ratio in ratios:
        if ratio.test not in found or ratio.value < found[ratio.test].value:
            found[ratio.test] = ratio
    return found


def margins(evidence: Evidence) -> list[Margin]:
    """Every bar, for every right solution, on the seeds on which it passed; none where these are too few."""
    seen: dict[tuple[Case, str, str], list[float]] = defaultdict(list)
    for trial, outcome in evidence.right():
        for ran in filter(_passed, outcome.tests):
            for comparison in ran.comparisons:
                if comparison.margin is not None:
                    seen[trial.case, ran.name, comparison.name].append(comparison.margin)
    return [
        Margin(_deviations(values), min(values), test, case, name)
        for (case, test, name), values in seen.items()
        if len(values) >= LEAST_SEEDS
    ]


def _passed(ran: Ran) -> bool:
    return ran.passed


def _deviations(values: list[float]) -> float:
    spread = statistics.stdev(values)
    return min(values) / spread if spread else math.copysign(math.inf, min(values))


def shortfalls(evidence: Evidence) -> dict[tuple[str, Case], tuple[str, float]]:
    """By convergence test and ablation: the bar that it misses, and by how much, in the bar's own unit."""
    found = {}
    for case in evidence.subject.of(Role.MISTAKE):
        for ran in evidence.judged(case).values() if case.ablation else ():
            for seen in ran.comparisons:
                if seen.margin is not None and seen.margin < 0:
                    found[ran.name, case] = seen.name, -seen.margin
    return found


def bars(evidence: Evidence) -> dict[str, float]:
    """Per convergence test where its bar stands, from the ablation that comes nearest (0) to the worst right run (1)."""
    right: dict[tuple[str, str], float] = {}
    for margin in margins(evidence):
        key = margin.test, margin.comparison
        right[key] = min(margin.worst, right.get(key, math.inf))
    found: dict[str, float] = {}
    for (test, _), (name, short) in shortfalls(evidence).items():
        room = right.get((test, name), 0.0)
        if room > 0:
            found[test] = min(short / (short + room), found.get(test, 1.0))
    return found


def seconds(evidence: Evidence) -> dict[str, float]:
    """Per test the best time of the reference before a judge, on one thread."""
    best: dict[str, float] = {}
    for trial, outcome in evidence.found.items():
        if trial.case.role is Role.REFERENCE and not trial.local and trial.threads == 1:
            for ran in outcome.tests:
                best[ran.name] = min(best.get(ran.name, math.inf), ran.seconds)
    return best


def short_limit(evidence: Evidence) -> bool:
    """Whether a right solution that is slower than the reference, on a slow machine, has too little time in some test."""
    slowest = max(seconds(evidence).values(), default=0.0)
    return evidence.subject.kata.seconds < LIMIT_RATIO * slowest / (ALLOWANCE * evidence.pace)


def long_limit(evidence: Evidence) -> bool:
    """Whether the limit of one test is out of proportion to what any of them takes."""
    most = LIMIT_MOST * max(seconds(evidence).values(), default=math.inf)
    return evidence.subject.kata.seconds > max(NEVER_LONG, most)


def over_budget(evidence: Evidence) -> bool:
    return sum(seconds(evidence).values()) > BUDGET_SECONDS * ALLOWANCE * evidence.pace
