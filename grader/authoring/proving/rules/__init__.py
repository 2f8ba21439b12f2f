"""The rules of `grade check`, one function each: what they are given goes in, everything that is wrong comes out.

A new rule is a function here in one of the files, and its name in one of the first two lists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from grader.authoring.proving import fingerprints, strength
from grader.authoring.proving.evidence import Evidence
from grader.authoring.proving.finding import Finding
from grader.authoring.proving.proof import Depth
from grader.authoring.proving.rules import files, numbers, texts, verdicts
from grader.authoring.proving.subject import Subject

ON_FILES: tuple[Callable[[Subject], Iterator[Finding]], ...] = (
    files.suite,
    files.pages,
    files.stub,
    files.mistakes,
    files.stray,
    texts.translated,
)
ON_EVIDENCE: tuple[Callable[[Evidence], Iterator[Finding]], ...] = (
    verdicts.runs,
    verdicts.right,
    verdicts.deterministic,
    verdicts.plain,
    verdicts.zoo,
    verdicts.caught,
    verdicts.useful,
    verdicts.ablation,
    numbers.separation,
    numbers.margins,
    numbers.budget,
    numbers.limit,
    strength.weaker,
    fingerprints.stale,
    texts.worded,
)
ON_A_PART = (verdicts.runs, verdicts.right, verdicts.caught, strength.weaker)  # rules that need not see all of a kata


def broken(evidence: Evidence) -> list[Finding]:
    """Everything that any rule finds wrong with one kata, each once."""
    found = [finding for rule in ON_FILES for finding in rule(evidence.subject)]
    rules = ON_EVIDENCE if evidence.depth is Depth.WHOLE else ON_A_PART
    found += [finding for rule in rules for finding in rule(evidence)]
    return list(dict.fromkeys(found))
