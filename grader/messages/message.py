"""A message before anybody has worded it: what travels from a check to a report, and what diagnosis compares.

A *code* such as `value.off` is the harness's; its wordings stand in `grader.messages.english` and in the catalogues
of other languages. A kata's own texts have no codes: their English is their name, with fields in braces, and the
catalogue beside the suite has them in other languages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

Value = Any  # None, bool, int, float, str (in nobody's language: an identifier, or the learner's own words), a Message, a list of these


class Message(msgspec.Struct, frozen=True):
    """A code, or an English sentence with fields in braces, and the values of its fields."""

    code: str
    args: Mapping[str, Value] = msgspec.field(default_factory=dict)

    def __str__(self) -> str:
        return self.code.format_map(self.args) if self.args else self.code


def text(english: str, /, **fields: Value) -> Message:
    """A sentence or a name of a suite's own, with the values of its fields in braces: `text("{part} of lstm_step", part="h")`.

    A field may be a string that needs no translation (an identifier), a number, or a text again.
    """
    return Message(english, fields)
