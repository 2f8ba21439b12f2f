"""A message before anybody has worded it: what travels from a check to a report, and what diagnosis compares.

A *code* such as `value.off` has its wordings in `grader.messages.english` and in the catalogues of other languages. What
has no code is its own English, with fields in braces: sentences of the command, and a kata's own, which have their other
languages in a catalogue beside the suite.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

# None, bool, int, float; str, which is in nobody's language: an identifier, or the learner's own words; a Message, or a list.
Value = Any
LONGEST = 4_000  # characters of one string
_MOST_BITS = 63


class Message(msgspec.Struct, frozen=True):
    """A code, or an English sentence with fields in braces, and the values of its fields."""

    code: str
    args: Mapping[str, Value] = msgspec.field(default_factory=dict)

    def __str__(self) -> str:
        """In English."""
        from grader.messages.wording import ENGLISH

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


def decoded(fields: Any) -> Value:
    """A value as it was before it went through JSON or msgpack, which know no messages: `{"code": ..., "args": ...}`."""
    if isinstance(fields, dict) and "code" in fields:
        return Message(fields["code"], {name: decoded(each) for name, each in (fields.get("args") or {}).items()})
    return [decoded(each) for each in fields] if isinstance(fields, list) else fields
