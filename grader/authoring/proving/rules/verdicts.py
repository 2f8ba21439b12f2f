"""Who must pass and who must fail: the reference and its variants, the mistakes, the zoo."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from grader.authoring.proving import measures
from grader.authoring.proving.case import Case, Role
from grader.authoring.proving.evidence import Evidence
from grader.authoring.proving.finding import Finding
from grader.authoring.proving.outcome import Ran, Trial
from grader.scorecard import Verdict

_BROKEN = (Verdict.ERROR, Verdict.TODO, Verdict.INTERNAL, Verdict.NOT_RUN)  # endings of a mistake that prove nothing


def runs(evidence: Evidence) -> Iterator[Finding]:
    """Every suite comes to its end, and runs the tests that stand in it."""
    subject = evidence.subject
    known = {finding.message for suite in subject.suites for finding in suite.findings}
    said: set[str] = set()
    for trial, outcome in evidence.found.items():
        for fault in outcome.faults:
            if fault not in said and not any(message.startswith(fault.split(" ")[0] + " ") for message in known):
                said.add(fault)
                file, line, said_of = _place(fault, evidence)
                yield Finding("suite", file, line, f"{said_of} (judging {trial.case})")
        if trial.case.role is Role.REFERENCE and not trial.only and not trial.again:
            ran = {test.name for test in outcome.tests}
            for test in subject.tests:
                if not outcome.faults and test.name not in ran and test.name not in said:
                    said.add(test.name)
                    yield Finding("suite", test.file, test.line, f"{test.name} was not run")
            for name in sorted(ran - set(subject.by_name) - said):
                said.add(name)
                yield Finding("suite", subject.suites[0].file, 1, f"{name} was run, and is no function of the suite")


def right(evidence: Evidence) -> Iterator[Finding]:
    """The reference and every variant pass every test, on every seed, on 1 and on 2 threads."""
    failures: dict[tuple[Case, str], list[tuple[Trial, Ran]]] = defaultdict(list)
    for trial, outcome in evidence.right():
        if outcome.tests and not any(ran.passed for ran in outcome.tests) and len(outcome.tests) > 1:
            failures[trial.case, "every test"].append((trial, outcome.tests[0]))
            continue
        for ran in outcome.tests:
            if not ran.passed:
                failures[trial.case, ran.name].append((trial, ran))
    for (case, test), found in failures.items():
        first = found[0][1]
        message = f"{case} fails {test} {_how(found, evidence.seeds)}: {_first_line(first)}"
        yield Finding("right", case.file, first.line or 1, message)


def deterministic(evidence: Evidence) -> Iterator[Finding]:
    """The same seed gives the same again: verdicts, all that the worker said, and every comparison."""
    reference = next(iter(evidence.subject.of(Role.REFERENCE)), None)
    pair = [evidence.found.get(Trial(reference, again=again)) for again in (0, 1)] if reference else []
    if len(pair) < 2 or pair[0] is None or pair[1] is None:
        return
    for test in evidence.subject.tests:
        one, other = pair[0][test.name], pair[1][test.name]
        if one is None or other is None:
            continue
        if (one.verdict, one.transcript, one.comparisons) != (other.verdict, other.transcript, other.comparisons):
            message = (
                f"{test.name} is not deterministic: seed 0, run twice, gave two transcripts; draw from rng or generator"
            )
            yield Finding("deterministic", test.file, test.line, message)


def plain(evidence: Evidence) -> Iterator[Finding]:
    """Plain pytest gives the verdicts of the judge; what is forbidden is forbidden only before the judge."""
    for case in evidence.subject.cases:
        judged, local = evidence.judged(case), evidence.plain(case)
        for test in evidence.subject.tests:
            one, other = judged.get(test.name), local.get(test.name)
            if one is None or other is None or one.verdict is Verdict.FORBIDDEN or _word(one) == _word(other):
                continue
            if Verdict.NOT_RUN in (one.verdict, other.verdict):
                continue  # one of them had no time left for it
            message = f"{test.name} on {case}: {_word(one)} before the judge, {_word(other)} in plain pytest"
            yield Finding("plain", test.file, test.line, f"{message} ({_first_line(other if one.passed else one)})")


def zoo(evidence: Evidence) -> Iterator[Finding]:
    """What solves nothing fails in every test file."""
    for case in evidence.subject.of(Role.ZOO):
        ran = evidence.ran(case)
        for suite in evidence.subject.suites:
            names = [test.name for test in suite.tests]
            if ran and names and all(name in ran and ran[name].passed for name in names):
                yield Finding("zoo", suite.file, 1, f"{case} passes every test of this file")


def caught(evidence: Evidence) -> Iterator[Finding]:
    """Every mistake is caught by the test that it names, and can be told from the reference."""
    subject = evidence.subject
    reference = next(iter(subject.of(Role.REFERENCE)), None)
    truth = evidence.judged(reference) if reference else {}
    for case in subject.of(Role.MISTAKE):
        judged = evidence.judged(case)
        named = judged.get(case.caught_by)
        if named is None:
            continue  # there is no such test, which another rule says
        others = [name for name in evidence.caught_by(case) if name != case.caught_by]
        if named.passed and not others and _same(judged, truth):
            message = f"{case} equals the reference: no test sees a difference in what it does"
        elif named.passed:
            who = f"only {', '.join(others)} fail{'s' * (len(others) == 1)}" if others else "no test fails"
            message = f"{case} passes {case.caught_by}, which is said to catch it; {who} on it"
        elif named.verdict in _BROKEN:
            message = (
                f"{case} ends {case.caught_by} with {named.verdict.value}, which is no proof: {_first_line(named)}"
            )
        else:
            continue
        yield Finding("caught", case.file, case.line, message)


def useful(evidence: Evidence) -> Iterator[Finding]:
    """Every test catches a mistake."""
    if not evidence.subject.of(Role.MISTAKE):
        return
    for test in evidence.subject.tests:
        if test.name not in evidence.catching:
            yield Finding(
                "useful", test.file, test.line, f"{test.name} catches no mistake: name one that it is there for"
            )


def ablation(evidence: Evidence) -> Iterator[Finding]:
    """Every bar of a convergence test is missed by an ablation, and every ablation misses one."""
    short = measures.shortfalls(evidence)
    if not evidence.subject.readable:
        return
    ablations = [case for case in evidence.subject.of(Role.MISTAKE) if case.ablation]
    tests = [test for test in evidence.subject.tests if test.kind == "convergence"]
    for test in tests if evidence.subject.of(Role.MISTAKE) else ():
        if not any((test.name, case) in short for case in ablations):
            message = (
                f"no ablation misses the bar of {test.name}: mark the mistake that takes away what the task needs "
                "with `ablation = true`"
            )
            yield Finding("ablation", test.file, test.line, message)
    for case in ablations:
        if not any((test.name, case) in short for test in tests):
            ran = [judged[test.name] for test in tests if test.name in (judged := evidence.judged(case))]
            how = "; ".join(f"{each.name} {'passes' if each.passed else 'says: ' + _first_line(each)}" for each in ran)
            message = f"{case} is an ablation and misses no bar: {how or 'no test is of convergence'}"
            yield Finding("ablation", case.file, case.line, message)


def _place(fault: str, evidence: Evidence) -> tuple[str, int, str]:
    """The suite and the line that a fault names, and what is left of it; line 1 of the first suite where it names none."""
    suites = evidence.subject.suites
    for suite in suites:
        named = re.search(rf"{re.escape(Path(suite.file).name)}:(\d+): ", fault)
        if named:
            return suite.file, int(named[1]), fault.replace(named[0], "", 1)
    return suites[0].file, 1, fault


def _how(found: list[tuple[Trial, Ran]], seeds: int) -> str:
    on = sorted({trial.seed for trial, _ in found})
    threads = {trial.threads for trial, _ in found}
    words = f"with seed {on[0]}" if len(on) == 1 else f"with {len(on)} of {seeds} seeds ({', '.join(map(str, on[:8]))})"
    return words + (" on 2 threads" if threads == {2} else "")


def _word(ran: Ran) -> str:
    return ran.verdict.value if ran.verdict in (Verdict.PASS, Verdict.TODO) else "fail"


def _first_line(ran: Ran) -> str:
    return ran.message.partition("\n")[0] or ran.verdict.value


def _same(ran: dict[str, Ran], truth: dict[str, Ran]) -> bool:
    return all(name in truth and each.transcript == truth[name].transcript for name, each in ran.items())
