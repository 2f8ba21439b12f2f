"""The scorecard as JUnit XML in pytest's form: a suite per kata, a case per test.

What is not a pass is a failure, also what is still to do or was not run: "skipped" reads as a pass elsewhere. Our own
faults are errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from grader.reports.layout import escaped
from grader.reports.table import amount
from grader.scorecard import KataResult, Scorecard, TestResult, Verdict

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


def render(card: Scorecard) -> str:
    """An XML document; a kata whose tests do not tell its verdict has a case of its own that does."""
    from xml.etree.ElementTree import Element, indent, tostring

    root = Element("testsuites", name=card.course)
    for kata in card.katas:
        root.append(_suite(kata.id, _tests(kata), kata.seconds, card.started, kata))
    for id in [id for id in card.unfinished if id not in {kata.id for kata in card.katas}]:
        stopped = _test(id, "not judged: the run was stopped", Verdict.INTERNAL)
        root.append(_suite(id, [stopped], 0.0, card.started))
    indent(root)
    text = f'<?xml version="1.0" encoding="utf-8"?>\n{tostring(root, encoding="unicode")}\n'
    return escaped(text, lambda character: f"&#{ord(character)};")


def _tests(kata: KataResult) -> Sequence[TestResult]:
    bad = {test.verdict for test in kata.tests} - {Verdict.PASS}
    told = kata.verdict in bad if kata.verdict is Verdict.INTERNAL else bad or kata.verdict is Verdict.PASS
    return kata.tests if told else (*kata.tests, _test(kata.id, kata.message, kata.verdict))


def _test(id: str, message: str, verdict: Verdict) -> TestResult:
    return TestResult(name=id, kind="", title="", verdict=verdict, message=message)


def _suite(
    id: str, tests: Sequence[TestResult], seconds: float, started: str, kata: KataResult | None = None
) -> Element:
    from xml.etree.ElementTree import Element, SubElement

    passed = sum(test.verdict is Verdict.PASS for test in tests)
    errors = sum(test.verdict is Verdict.INTERNAL for test in tests)
    counts = {"errors": errors, "failures": len(tests) - passed - errors, "skipped": 0, "tests": len(tests)}
    attributes = {"name": id, "time": f"{seconds:.3f}", "timestamp": started}
    suite = Element("testsuite", attributes | {name: str(count) for name, count in counts.items()})
    if kata:
        properties = SubElement(suite, "properties")
        for name, points in (("points", kata.points), ("max", kata.max)):
            SubElement(properties, "property", name=name, value=amount(points))
    suite.extend(_case(id, test, kata.stub if kata else "") for test in tests)
    return suite


def _case(id: str, test: TestResult, stub: str) -> Element:
    from xml.etree.ElementTree import Element, SubElement

    name = f"katas.{id}.test_{id.partition('_')[2]}"
    case = Element("testcase", classname=name, name=test.name, time=f"{test.seconds:.3f}")
    if test.verdict is not Verdict.PASS:
        tag = "error" if test.verdict is Verdict.INTERNAL else "failure"
        word = "to do" if test.verdict is Verdict.TODO else test.verdict.value
        message = ": ".join(part for part in (word, test.message) if part)
        SubElement(case, tag, type=test.verdict.value, message=message).text = "\n".join(_lines(test, stub))
    if test.output:
        SubElement(case, "system-out").text = test.output
    return case


def _lines(test: TestResult, stub: str) -> list[str]:
    lines = [test.title, test.message]
    lines += [f"{label}: {text}" for label, text in test.cause.rows()] if test.cause else []
    if test.line and stub:
        lines.append(f"{stub}:{test.line.number}: {test.line.source.strip()}")
    return [line for line in lines if line]
