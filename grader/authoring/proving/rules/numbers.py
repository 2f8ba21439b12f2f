"""How much room there is: between right and wrong, between a model that learns and its bar, and to the time limit."""

from __future__ import annotations

import math
from collections.abc import Iterator

from grader.authoring.proving import measures
from grader.authoring.proving.case import Role
from grader.authoring.proving.evidence import Evidence
from grader.authoring.proving.finding import Finding


def separation(evidence: Evidence) -> Iterator[Finding]:
    """Right solutions stay below a tenth of every tolerance, mistakes are above ten times the one that catches them."""
    tests = evidence.subject.by_name
    for ratio in measures.right_ratios(evidence).values():
        if ratio.value > measures.RIGHT_RATIO and (test := tests.get(ratio.test)):
            message = (
                f"{test.name} leaves right solutions too little room: {ratio.case} has {ratio.value:.2g} of the tolerance in "
                f"{ratio.comparison!r} with seed {ratio.seed}, more than {measures.RIGHT_RATIO:g}"
            )
            yield Finding("separation", test.file, test.line, message)
    for ratio in measures.wrong_ratios(evidence):
        if ratio.value < measures.WRONG_RATIO:
            message = (
                f"{ratio.case} is caught too narrowly: its error in {ratio.comparison!r} of {ratio.test} is {ratio.value:.2g} "
                f"times the tolerance, less than {measures.WRONG_RATIO:g}"
            )
            yield Finding("separation", ratio.case.file, ratio.case.line, message)


def margins(evidence: Evidence) -> Iterator[Finding]:
    """The worst seed of every right solution is six standard deviations beyond every bar."""
    for margin in measures.margins(evidence):
        if margin.deviations < measures.MARGIN and (test := evidence.subject.by_name.get(margin.test)):
            message = (
                f"{test.name} is near its bar: the worst of {evidence.seeds} seeds of {margin.case} is {margin.worst:.3g} beyond it in "
                f"{margin.comparison!r}, {margin.deviations:.1f} standard deviations, fewer than {measures.MARGIN:g}"
            )
            yield Finding("margins", test.file, test.line, message)


def limit(evidence: Evidence) -> Iterator[Finding]:
    """The limit of one test is about twenty times what the slowest takes the reference, and at least two seconds."""
    short = evidence.subject.kata.seconds < measures.LEAST_LIMIT or measures.short_limit(evidence)
    if not evidence.subject.of(Role.REFERENCE) or not (short or measures.long_limit(evidence)):
        return
    best = measures.seconds(evidence)
    slowest = max(best, key=lambda name: best[name])
    meant = max(measures.LEAST_LIMIT, math.ceil(measures.LIMIT_RATIO * best[slowest] / evidence.pace))
    message = (
        f"limits.seconds is too {'short' if short else 'long'}: {evidence.subject.kata.seconds:g}, and the slowest test, "
        f"{slowest}, takes {best[slowest]:.2f} s with the reference; set it to about {meant:g}, "
        f"{measures.LIMIT_RATIO:g} times that and at least {measures.LEAST_LIMIT:g}"
    )
    yield Finding("limit", evidence.subject.kata.manifest, None, message)


def budget(evidence: Evidence) -> Iterator[Finding]:
    """All tests together take the reference at most three seconds, at its best, with allowances for a slow machine."""
    if not evidence.subject.of(Role.REFERENCE) or not measures.over_budget(evidence):
        return
    best = measures.seconds(evidence)
    slowest = max(best, key=lambda name: best[name])
    test = evidence.subject.by_name.get(slowest, evidence.subject.tests[0])
    message = (
        f"the suite takes {sum(best.values()):.1f} s with the reference, at the best of its runs, more than "
        f"{measures.ALLOWANCE:g} x {measures.BUDGET_SECONDS:g} s, on a machine {evidence.pace:.1f} times slower than meant; "
        f"{slowest} takes {best[slowest]:.1f} s of it"
    )
    yield Finding("time", test.file, test.line, message)
