"""For GitHub's runners: the job's summary in Markdown, and annotations at the learner's own lines.

The runner drops a summary of more than 1 MiB as a whole, and shows ten annotations of a step, so both are kept below that.
https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

from grader.messages.language import Language
from grader.reports import markdown
from grader.scorecard import KataResult, Scorecard, TestResult, Verdict

MOST_BYTES = 1_000_000
MOST = 10
_CALM = (Verdict.PASS, Verdict.TODO, Verdict.NOT_RUN)


def render(card: Scorecard, *, language: Language | None = None) -> str:
    """The summary."""
    return markdown.render(card, language=language, most=MOST_BYTES)


def commands(card: Scorecard) -> str:
    """One command a line, for standard output: the first failing line of each kata, then others, ten at the most."""
    found = [(kata, test) for kata in card.katas for test in kata.tests if test.verdict not in _CALM]
    firsts = [
        next(pair for pair in found if pair[0] is kata) for kata in card.katas if any(k is kata for k, _ in found)
    ]
    chosen = dict.fromkeys([*((k.id, t.name) for k, t in firsts), *((k.id, t.name) for k, t in found)])
    by_name = {(kata.id, test.name): (kata, test) for kata, test in found}
    return "".join(_command(*by_name[name]) for name in list(chosen)[:MOST])


def _command(kata: KataResult, test: TestResult) -> str:
    properties = {"file": kata.stub, "title": f"{kata.id}: {test.title}"}
    if test.line:
        properties["line"] = str(test.line.number)
    bug = test.cause.diagnosis if test.cause else ""
    said = "\n".join(part for part in (test.message, bug) if part)
    told = ",".join(f"{name}={_escaped(value, True)}" for name, value in properties.items() if value)
    return f"::error {told}::{_escaped(said)}\n"


def _escaped(text: str, in_property: bool = False) -> str:
    """As the runner reads it back."""
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if in_property else text
