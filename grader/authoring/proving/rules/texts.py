"""Whatever a suite tells its learner has words in every language of the course.

What can be read off the sources is asked of the catalogue beside them, `zh.po` for Chinese: every text is there, with its
fields, and nothing else. And what the judges said of wrong solutions is asked once more, since a text may be made as it
is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from grader.authoring.proving import catalogue
from grader.authoring.proving import suite as suites
from grader.authoring.proving.evidence import Evidence
from grader.authoring.proving.finding import Finding
from grader.authoring.proving.subject import Subject
from grader.authoring.proving.suite import Suite
from grader.authoring.proving.texts import constants, told
from grader.errors import UsageFault
from grader.messages import Message, Value
from grader.messages.english import SAYS
from grader.messages.language import Language, texts_of
from grader.messages.message import Texts


class _Beside(NamedTuple):
    """A suite and the place of its catalogue in a language."""

    suite: Suite
    path: Path
    language: str


def translated(subject: Subject) -> Iterator[Finding]:
    """The catalogues beside the suites have what these tell, and nothing else."""
    for beside in _catalogues(subject):
        file = subject.name(beside.path)
        try:
            found = catalogue.read(beside.path, beside.language)
        except UsageFault as fault:
            yield Finding("texts", file, None, str(fault.said).removeprefix(f"{beside.path} "))
            continue
        suite, known = beside.suite, {message.id for message in found}
        for text in told(suite.text, suite=True):
            if text.english not in known:
                yield Finding("texts", file, None, f"lacks {text.english!r}, which {suite.file}:{text.line} tells")
        for message, why in catalogue.faults(found):
            yield Finding("texts", file, message.lineno, f"{message.id!r} {why}")
        strings = _strings(subject, suite)
        for message in found:
            if message.id and message.id not in strings:
                yield Finding("texts", file, message.lineno, f"{message.id!r} is told by no test: take it out")


def worded(evidence: Evidence) -> Iterator[Finding]:
    """What was said of wrong solutions has words, also where it was put together as it was said."""
    subject = evidence.subject
    for code in subject.course.languages[1:]:
        language = Language(code)
        texts = {**texts_of(subject.behind, language), **texts_of(subject.kata.folder, language)}
        missed: dict[str, tuple[str, str]] = {}
        for trial, outcome in evidence.found.items():
            for ran in outcome.tests:
                for english in _unworded([ran.said, ran.advice], language, texts):
                    missed.setdefault(english, (ran.name, str(trial.case)))
        for english, (name, case) in missed.items():
            test = subject.by_name.get(name)
            file, line = (test.file, test.line) if test else (subject.name(subject.kata.suite), None)
            why = f"{name} says {english!r} of {case}, for which there are no words in {code}: is it a text(...)?"
            yield Finding("texts", file, line, why)


def write(subject: Subject) -> None:
    """Put the texts that the catalogues lack into them, empty, for an author to fill in."""
    for beside in _catalogues(subject):
        found = catalogue.read(beside.path, beside.language)
        wanted = catalogue.template({"": told(beside.suite.text, suite=True)})
        for message in found:
            if message.id and message.id not in wanted:
                wanted.add(message.id)
        if len(wanted):
            beside.path.write_text(catalogue.written(catalogue.in_step(found, wanted)), encoding="utf-8")


def _catalogues(subject: Subject) -> Iterator[_Beside]:
    """One for each suite that is Python and each language beside English."""
    whole = [each for each in subject.suites if not isinstance(suites.parsed("texts", each.text, each.file), Finding)]
    for suite in whole:
        for language in subject.course.languages[1:]:
            path = (subject.root / suite.file).with_name(f"{language}.po")
            yield _Beside(suite, path, language)


def _strings(subject: Subject, suite: Suite) -> set[str]:
    """What may have a translation: every string of a suite, and what the stub says is to do."""
    return constants(suite.text) | constants(subject.stub or "")


def _unworded(said: list[Value], language: Language, texts: Texts) -> Iterator[str]:
    """The English of what has no words, in messages and in the values of their fields."""
    for value in said:
        if isinstance(value, list):
            yield from _unworded(value, language, texts)
        elif (
            isinstance(value, Message) and value.code != "to_do"
        ):  # which the stub says, in English like all that is in it
            says = SAYS.get(value.code)
            own = (value.code,) if says is None and value.code not in texts else ()
            yield from (english for english in says or own if not language.has(english))
            yield from _unworded([*value.args.values()], language, texts)
