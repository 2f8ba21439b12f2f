"""Which language a person reads, and what the harness says in it.

The harness's catalogues are gettext's, `grader/locale/<language>/LC_MESSAGES/grader.po`, with the English sentences as
their keys. A kata's own texts stand in `<language>.po` beside its suite.
"""

from __future__ import annotations

import gettext
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from grader.messages.message import Texts, Value, Wording, is_name, text

LOCALE = Path(__file__).parents[1] / "locale"
DOMAIN = "grader"
VARIABLE = "GRADE_LANG"
SOURCE = "en"  # the language in which everything is written first


@dataclass(frozen=True)
class Language:
    """One language by its code, such as `zh`: what it has no words for is said in English."""

    code: str = SOURCE

    def text(self, english: str, /, **fields: Value) -> str:
        """One of the harness's own sentences, with the values of its fields in braces."""
        return self.say(text(english, **fields))

    def plural(self, one: str, many: str, count: int, /, **fields: Value) -> str:
        """The same, by `count`, which is a field too."""
        chosen = self._catalogue.ngettext(one, many, count)
        return self.wording().filled(chosen, text(chosen, count=count, **fields))

    def has(self, english: str) -> bool:
        """Whether one of the harness's own texts has words in it, which a name in code does not need."""
        return is_name(english) or self.code == SOURCE or self._translated(english) != english

    def say(self, value: Value, texts: Texts | None = None) -> str:
        """A message in words; `texts` are those of the kata that it comes from."""
        return self.wording(texts).say(value)

    def wording(self, texts: Texts | None = None) -> Wording:
        """How this language words what the harness and one kata say."""
        return Wording(self._translated, texts)

    def _translated(self, english: str) -> str:
        return self._catalogue.gettext(english) if english else ""

    @cached_property
    def _catalogue(self) -> gettext.NullTranslations:
        return gettext.translation(DOMAIN, LOCALE, [self.code], fallback=True)


def known() -> list[str]:
    """The languages that the harness speaks."""
    return sorted({SOURCE, *(path.parts[-3] for path in LOCALE.glob(f"*/LC_MESSAGES/{DOMAIN}.mo"))})


def of_environment(environment: Mapping[str, str]) -> Language:
    """The language that GRADE_LANG or else the locale asks for; English where the harness does not speak it."""
    names = (environment.get(name, "") for name in (VARIABLE, "LC_ALL", "LC_MESSAGES", "LANG"))
    return Language(code_of(next(filter(None, names), "")) or SOURCE)


def code_of(name: str) -> str | None:
    """`zh` for `zh_CN.UTF-8`; None for what is not spoken here."""
    code = name.replace("-", "_").partition(".")[0].partition("_")[0].lower()
    return code if code in known() else None


def texts_of(folder: Path, language: Language) -> dict[str, str]:
    """The texts of the suite in a folder, from English to this language; none where there is no such catalogue."""
    path = folder / f"{language.code}.po"
    if language.code == SOURCE or not path.is_file():
        return {}
    from babel.messages.pofile import PoFileError, read_po

    try:
        with path.open("rb") as stream:
            return {
                str(each.id): str(each.string)
                for each in read_po(stream, abort_invalid=True)
                if each.id and each.string
            }
    except (OSError, ValueError, PoFileError):
        return {}
