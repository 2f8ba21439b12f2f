"""A scorecard in a language: every sentence of it worded anew from what was said, with the catalogues of its katas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from msgspec.structs import replace

from grader.messages.language import SOURCE, Language
from grader.messages.message import Texts, Wording
from grader.scorecard import Cause, KataResult, Picture, Scorecard, TestResult, cause_of


class Told(NamedTuple):
    """What a kata has in a language: its title, the page of its statement, and its texts, from English."""

    title: str
    readme: str
    texts: Texts


def worded(card: Scorecard, language: Language, told: Mapping[str, Told]) -> Scorecard:
    """The same scorecard in this language; `told` has what is the katas' own, by id. English is how it is made."""
    if language.code == SOURCE:
        return card
    own = {kata.id: told.get(kata.id, Told(kata.title, kata.readme, {})) for kata in card.katas}
    return replace(card, katas=tuple(kata_in_language(kata, language, own[kata.id]) for kata in card.katas))


def kata_in_language(kata: KataResult, language: Language, told: Told) -> KataResult:
    """One kata in this language."""
    if language.code == SOURCE:
        return kata
    wording = language.wording(told.texts)
    message = "\n".join(map(wording.say, kata.said))
    tests = tuple(in_language(test, language, told.texts) for test in kata.tests)
    return replace(kata, title=told.title, readme=told.readme, message=message or kata.message, tests=tests)


def in_language(test: TestResult, language: Language, texts: Texts) -> TestResult:
    """One test in this language."""
    if language.code == SOURCE:
        return test
    wording = language.wording(texts)
    message = wording.say(test.said) if test.said else test.message
    pictures = tuple(_picture(picture, wording) for picture in test.pictures)
    cause = _cause(test, wording)
    return replace(test, title=wording.own(test.title), message=message, cause=cause, pictures=pictures)


def _cause(test: TestResult, wording: Wording) -> Cause | None:
    """The rows anew; what was known of the bug is there in every language, and stays."""
    if test.cause is None:
        return None
    made = cause_of(test.said, test.advice, wording) if test.said else test.cause
    named = {"diagnosis": test.cause.diagnosis, "diagnosis_zh": test.cause.diagnosis_zh}
    return replace(made or Cause(), **named)


def _picture(picture: Picture, wording: Wording) -> Picture:
    return replace(picture, name=wording.own(picture.name))
