"""The scorecard as a page that is one file: no script, nothing from elsewhere, in light and dark, on a phone and on paper."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from grader.messages.language import Language
from grader.reports.layout import escaped
from grader.reports.page.past import Past
from grader.scorecard import Scorecard

if TYPE_CHECKING:
    from jinja2 import Template

_ROOM = Path(__file__).with_name("page")
_LANGUAGES = {"zh": "zh-Hans"}


def render(card: Scorecard, *, language: Language | None = None, past: Past | None = None) -> str:
    """The page. What `past` tells stands on it too: it is for who did all of that, and nobody else."""
    from grader.reports.page.view import view

    language = language or Language()
    page = view(card, past or Past(), language)
    text = _template().render(
        page=page,
        words=page.words,
        lang=_LANGUAGES.get(language.code, language.code),
        style=(_ROOM / "style.css").read_text(encoding="utf-8"),
    )
    return escaped(text, lambda character: f"&#{ord(character)};")


@cache
def _template() -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    room = Environment(
        loader=FileSystemLoader(_ROOM), autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
    )
    room.filters["code"] = code
    return room.get_template("page.html.jinja")


def code(text: str) -> str:
    """A sentence whose names in backticks are shown as code; nothing in it is obeyed."""
    from markupsafe import Markup, escape

    return Markup(re.sub("`([^`\n]+)`", r"<code>\1</code>", str(escape(text))))
