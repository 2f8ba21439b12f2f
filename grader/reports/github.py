"""For GitHub's runners: the job's summary in Markdown, annotations at the learner's own lines, and a step's outputs.

The runner drops a summary of more than 1 MiB as a whole, and shows ten annotations of a step, so both are kept below that.
https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain

from grader.messages.language import Language
from grader.reports import markdown
from grader.reports.table import amount
from grader.scorecard import KataResult, Scorecard, TestResult, Verdict

MOST_BYTES = 1_000_000
MOST = 10
_CALM = (Verdict.PASS, Verdict.TODO, Verdict.NOT_RUN)


def render(card: Scorecard, *, language: Language | None = None) -> str:
    """The summary."""
    return markdown.render(card, language=language, most=MOST_BYTES)


def outputs(card: Scorecard) -> str:
    """A step's outputs, `name=value` each: points, max, passed, katas, complete."""
    passed = sum(kata.verdict is Verdict.PASS for kata in card.katas)
    values = {
        "points": amount(card.score.points),
        "max": amount(card.score.max),
        "passed": passed,
        "katas": len(card.katas) + len(card.unbegun),
        "complete": str(card.complete).lower(),
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())


def commands(card: Scorecard, language: Language | None = None) -> str:
    """One command a line, for standard output, ten at the most: that the run was ended early, if it was, then of each
    kata the first thing that went wrong, then what else did. What several tests say of one line is said once."""
    early = [] if card.complete else [_early(card, language or Language())]
    told = [_commands(kata) for kata in card.katas]
    firsts, others = [lines[:1] for lines in told], [lines[1:] for lines in told]
    return "".join(list(chain(early, *firsts, *others))[:MOST])


def _commands(kata: KataResult) -> list[str]:
    wrong: dict[tuple[int, str], TestResult] = {}
    for test in kata.tests:
        if test.verdict not in _CALM:
            wrong.setdefault((test.line.number if test.line else 0, test.message), test)
    if not kata.tests and kata.verdict not in _CALM:
        return [_command({"file": kata.stub, "title": kata.id}, kata.message)]
    return [_of_test(kata, test) for test in wrong.values()]


def _early(card: Scorecard, language: Language) -> str:
    told = language.text("not judged to the end: {katas}", katas=list(card.unfinished))
    return f"::warning title={_escaped(language.text('stopped early'), True)}::{_escaped(told)}\n"


def _of_test(kata: KataResult, test: TestResult) -> str:
    properties = {"file": kata.stub, "title": f"{kata.id}: {test.title}"}
    if test.line:
        properties["line"] = str(test.line.number)
    bug = test.cause.diagnosis if test.cause else ""
    return _command(properties, "\n".join(part for part in (test.message, bug) if part))


def _command(properties: Mapping[str, str], said: str) -> str:
    told = ",".join(f"{name}={_escaped(value, True)}" for name, value in properties.items() if value)
    return f"::error {told}::{_escaped(said)}\n"


def _escaped(text: str, in_property: bool = False) -> str:
    """As the runner reads it back."""
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if in_property else text
