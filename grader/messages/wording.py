"""Wording: a message and a language in, text out. Reports speak through this, and `str(message)` does in English."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from grader.messages.english import SAYS, Says
from grader.messages.message import Message, Value

Texts = Mapping[str, str]  # a kata's own texts: English to another language


class Translator(Protocol):
    """What gives a harness's English sentence in another language, or back as it is."""

    def __call__(self, english: str, /) -> str: ...


@dataclass(frozen=True)
class Rows:
    """What stands under a sentence; "" for what there is not."""

    where: str = ""
    got: str = ""
    expected: str = ""


@dataclass(frozen=True)
class Wording:
    """How one language words what the harness says, and what one kata's suite says."""

    translated: Translator
    texts: Texts

    def say(self, value: Value) -> str:
        """A message in words; any other value as it is shown in the midst of a sentence."""
        if not isinstance(value, Message):
            return _Formatter(self).format_field(value, "")
        says = SAYS.get(value.code)
        return self._filled(says.head if says else value.code, value, own=says is None)

    def rows(self, message: Message) -> Rows:
        """The rows under a message."""
        says = SAYS.get(message.code, Says(""))
        return Rows(*(self._row(row, message) for row in (says.where, says.got, says.expected)))

    def _row(self, template: str, message: Message) -> str:
        fields = [name for _, name, _, _ in string.Formatter().parse(template) if name]
        if not template or any(message.args.get(name) in (None, "") for name in fields):
            return ""
        return self._filled(template, message, own=False)

    def _filled(self, english: str, message: Message, *, own: bool) -> str:
        template = self.texts.get(english, "") if own else ""
        template = template or self.translated(english)
        if own and not message.args:
            return template  # with whatever braces it has
        try:
            return _Formatter(self).vformat(template, (), message.args)
        except (KeyError, ValueError, IndexError):
            return template  # a translation, or a suite, that names what there is not


class _Formatter(string.Formatter):
    """Python's format strings, for the values that a message may have."""

    def __init__(self, wording: Wording) -> None:
        self._wording = wording

    def format_field(self, value: Any, spec: str) -> str:
        if isinstance(value, Message):
            return self._wording.say(value)
        if value is None:
            return ""
        if isinstance(value, Sequence) and not isinstance(value, str):
            if spec == "at" or not all(type(each) is int for each in value):
                inner = ", ".join(self.format_field(each, "") for each in value)
                return f"({inner})" if spec == "at" else inner
            return str(tuple(value))
        if isinstance(value, float):
            return format(value, spec) if spec else shortest(value)
        return format(value, spec) if spec and not isinstance(value, str) else str(value)


def shortest(value: float) -> str:
    """A float in as few digits as tell it from all others."""
    return next(shown for digits in range(1, 18) if float(shown := f"{value:.{digits}g}") == value or digits == 17)


ENGLISH = Wording(lambda english: english, {})
