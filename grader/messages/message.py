"""A message before anybody has worded it: what travels from a check to a report, and what diagnosis compares; and how it is
worded: a message and a language in, text out.

A *code* such as `value.off` has its wordings in `grader.messages.english` and in the catalogues of other languages. What
has no code is its own English, with fields in braces: sentences of the command, and a kata's own, which have their other
languages in a catalogue beside the suite.
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from grader.messages.english import SAYS, Says

# What a check may give: a number, also of numpy; str, which is in nobody's language (an identifier, or the learner's own
# words); a Message; a list of these. What a message holds of it is `Plain`, and passes through JSON and msgpack.
Value = Any
LONGEST = 4_000  # characters of one string
_MOST_BITS = 63
_FIELD = re.compile(r"\{[^{}]*\}")
_WIDE = "\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef"
_SET_OFF = rf"[{_WIDE}](?: \0|\0 )[{_WIDE}]"  # compiled by `re` where Chinese is spoken: that takes milliseconds
_WORD = r"[\w.]*(?:\([^()]*\)|\[[^\[\]]*\])*[\w.]*"
_NAME = re.compile(rf"{_WORD}(?: [-+*/@] {_WORD})*")


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A code, or an English sentence with fields in braces, and the values of its fields."""

    code: str
    args: dict[str, Plain | list[Plain | list[Plain]]] = {}

    def __str__(self) -> str:
        """In English."""
        return ENGLISH.say(self)


def text(english: str, /, **fields: Value) -> Message:
    """A sentence or a name by its English, with the values of its fields: `text("{part} of lstm_step", part="h")`.

    A field may be a string that needs no translation (an identifier), a number, a text again, or a list of these.
    """
    return message(english, **fields)


def message(code: str, /, **args: Value) -> Message:
    """The message of this code, its arguments made plain: numbers of Python's own, and nothing that JSON cannot hold."""
    return Message(code, {name: _plain(value) for name, value in args.items()})


def said(value: Value) -> Value:
    """A text of a suite's own as a message: its English is its name."""
    return Message(value) if type(value) is str else value


def is_name(english: str) -> bool:
    """Whether it is code, such as `w_ih`, `states[:, 0]`, `{part}.forward` or `b_ih + b_hh`, and the same in every language."""
    return bool(_NAME.fullmatch(_FIELD.sub("x", english)))


def first_paragraph(documented: str) -> str:
    """What a docstring says at first, as one line: of a test, its title."""
    return " ".join(documented.strip().partition("\n\n")[0].split())


def _plain(value: Value) -> Value:
    if value is None or isinstance(value, Message):
        return value
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, str):
        return str(value) if len(value) <= LONGEST else value[: LONGEST - 3] + "..."
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if value.bit_length() <= _MOST_BITS else str(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    return _plain(str(value))


Plain = None | bool | int | float | str | Message


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
    """How one language words what the harness says, and what one kata's suite says.

    texts: of the kata; without one, all that has no code is the harness's.
    """

    translated: Translator
    texts: Texts | None = None

    def say(self, value: Value) -> str:
        """A message in words; any other value as it is shown in the midst of a sentence."""
        if not isinstance(value, Message):
            return _Formatter(self).format_field(value, "")
        says = SAYS.get(value.code)
        template = self.translated(says.head) if says else self.own(value.code)
        return self.filled(template, value) if says or value.args else template  # with whatever braces it has

    def own(self, english: str) -> str:
        """A text that has no code: the kata's or else the harness's, of whose words none stands for a name in code."""
        if self.texts is None:
            return self.translated(english)
        return self.texts.get(english) or (english if is_name(english) else self.translated(english))

    def rows(self, message: Message) -> Rows:
        """The rows under a message."""
        says = SAYS.get(message.code, Says(""))
        return Rows(*(self._row(row, message) for row in (says.where, says.got, says.expected)))

    def _row(self, template: str, message: Message) -> str:
        fields = [name for _, name, _, _ in string.Formatter().parse(template) if name]
        if not template or any(message.args.get(name) in (None, "") for name in fields):
            return ""
        return self.filled(self.translated(template), message)

    def filled(self, template: str, message: Message) -> str:
        """The template with the values of its fields."""
        try:
            return _Formatter(self).vformat(template, (), message.args)
        except (KeyError, ValueError, IndexError):
            return template  # a translation, or a suite, that names what there is not


class _Formatter(string.Formatter):
    """Python's format strings, for the values that a message may have.

    A catalogue sets its fields off by spaces, since a number or a name in code may stand there; where a value is of the
    same script as what is around it, as Chinese in Chinese, the space goes.
    """

    def __init__(self, wording: Wording) -> None:
        self._wording = wording

    def vformat(self, template: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
        filled = ""
        for literal, name, spec, conversion in self.parse(template):
            filled = _joined(filled, literal)
            if name is not None:
                value = self.convert_field(self.get_field(name, args, kwargs)[0], conversion)
                filled = _joined(filled, self.format_field(value, spec or ""))
        return filled

    def format_field(self, value: Any, spec: str) -> str:
        if isinstance(value, Message):
            return self._wording.say(value)
        if value is None:
            return ""
        if isinstance(value, Sequence) and not isinstance(value, str):
            if spec == "lines":
                return "\n".join(self.format_field(each, "") for each in value)
            if spec == "at" or not all(type(each) is int for each in value):
                between = ", " if spec == "at" else self._wording.translated(SAYS["and"].head)
                inner = between.join(self.format_field(each, "") for each in value)
                return f"({inner})" if spec == "at" else inner
            return str(tuple(value))
        if isinstance(value, float):
            return format(value, spec) if spec else shortest(value)
        return format(value, spec) if spec and not isinstance(value, str) else str(value)


def _joined(left: str, right: str) -> str:
    """Both, without the one space between two signs that are written without."""
    if left.isascii() or right.isascii():
        return left + right
    return (
        left + right if not re.search(_SET_OFF, f"{left[-2:]}\0{right[:2]}") else left.rstrip(" ") + right.lstrip(" ")
    )


def shortest(value: float) -> str:
    """A float in as few digits as tell it from all others."""
    return next(shown for digits in range(6, 18) if float(shown := f"{value:.{digits}g}") == value or digits == 17)


ENGLISH = Wording(lambda english: english)
