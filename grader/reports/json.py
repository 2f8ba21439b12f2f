"""The scorecard as JSON, as `grader/schemas/scorecard.schema.json` describes it."""

from __future__ import annotations

import msgspec

from grader.messages.language import Language
from grader.reports.layout import escaped
from grader.scorecard import Scorecard


def render(card: Scorecard, *, language: Language | None = None) -> str:
    """Indented JSON, ending with a line feed. Its keys are the same in every language."""
    text = msgspec.json.format(msgspec.json.encode(card), indent=2).decode() + "\n"
    return escaped(text, lambda character: f"\\u{ord(character):04x}")
