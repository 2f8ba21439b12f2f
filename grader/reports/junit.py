"""The scorecard as JUnit XML in pytest's form: a suite per kata, a case per test.

What is still to do, and what was not run, is skipped: neither is wrong. Our own faults are errors, and all else that is
not a pass is a failure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from grader.messages.language import Language
from grader.reports.layout import escaped
from grader.reports.table import row_lines
from grader.reports.table import word as words
from grader.scorecard import KataResult, Scorecard, TestResult, Verdict

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


def render(card: Scorecard, *, language: Language | None = None) -> str:
    """An XML document; a kata whose tests do not tell its verdict has a case of its own that does."""
    from xml.etree.ElementTree import Element, indent, tostring

    language = language or Language()
    root = Element("testsuites", name=card.course)
    for kata in card.katas:
        root.append(_suite(kata.id, _tests(kata), kata.seconds, card.started, language, kata))
    for id in card.unbegun:
        stopped = _test(id, language.text("not judged: the run was stopped"), Verdict.INTERNAL)
        root.append(_suite(id, [stopped], 0.0, card.started, language))
    indent(root)
    text = f'<?xml version="1.0" encoding="utf-8"?>\n{tostring(root, encoding="unicode")}\n'
    return escaped(text, lambda character: f"&#{ord(character)};")


def _tests(kata: KataResult) -> Sequence[TestResult]:
    if len(kata.chosen) < len(kata.tests):
        return kata.chosen
    bad = {test.verdict for test in kata.tests} - {Verdict.PASS, Verdict.NOT_RUN}
    told = kata.verdict in bad if kata.verdict is Verdict.INTERNAL else bad or kata.verdict is Verdict.PASS
    verdict = Verdict.INTERNAL if kata.verdict is Verdict.NOT_RUN else kata.verdict
    return kata.tests if told else (*kata.tests, _test(kata.id, kata.message, verdict))


def _test(id: str, message: str, verdict: Verdict) -> TestResult:
    return TestResult(name=id, kind="", title="", verdict=verdict, message=message)


def _suite(
    id: str,
    tests: Sequence[TestResult],
    seconds: float,
    started: str,
    language: Language,
    kata: KataResult | None = None,
) -> Element:
    from xml.etree.ElementTree import Element, SubElement

    tags = [_tag(test.verdict) for test in tests]
    counts = {
        "errors": tags.count("error"),
        "failures": tags.count("failure"),
        "skipped": tags.count("skipped"),
        "tests": len(tests),
    }
    attributes = {"name": id, "time": f"{seconds:.3f}", "timestamp": started}
    suite = Element("testsuite", attributes | {name: str(count) for name, count in counts.items()})
    if kata:
        properties = SubElement(suite, "properties")
        for name, points in (("points", kata.points), ("max", kata.max)):
            SubElement(properties, "property", name=name, value=f"{points:.12g}")
    suite.extend(_case(id, test, kata.stub if kata else "", language) for test in tests)
    return suite


def _tag(verdict: Verdict) -> str:
    """What stands in the case of a test that ended so; nothing where it passed."""
    tags = {Verdict.PASS: "", Verdict.INTERNAL: "error", Verdict.NOT_RUN: "skipped", Verdict.TODO: "skipped"}
    return tags.get(verdict, "failure")


def _case(id: str, test: TestResult, stub: str, language: Language) -> Element:
    from xml.etree.ElementTree import Element, SubElement

    name = f"katas.{id}.test_{id.partition('_')[2]}"
    case = Element("testcase", classname=name, name=test.name, time=f"{test.seconds:.3f}")
    if tag := _tag(test.verdict):
        word = test.verdict.value if test.verdict is Verdict.INTERNAL else words(test.verdict, language)
        message = language.text("{verdict}: {said}", verdict=word, said=test.message) if test.message else word
        SubElement(case, tag, type=test.verdict.value, message=message).text = "\n".join(_lines(test, stub, language))
    if test.output:
        SubElement(case, "system-out").text = test.output
    return case


def _lines(test: TestResult, stub: str, language: Language) -> list[str]:
    lines = [test.title, test.message]
    lines += row_lines(test.cause, language)
    if test.line and stub:
        lines.append(f"{stub}:{test.line.number}: {test.line.source.strip()}")
    return [line for line in lines if line]
