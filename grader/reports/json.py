"""The scorecard as JSON, as `grader/schemas/scorecard.schema.json` describes it."""

from __future__ import annotations

import msgspec

from grader.reports.layout import escaped
from grader.scorecard import Scorecard


def render(card: Scorecard) -> str:
    """Indented JSON, ending with a line feed."""
    text = msgspec.json.format(msgspec.json.encode(card), indent=2).decode() + "\n"
    return escaped(text, lambda character: f"\\u{ord(character):04x}")
