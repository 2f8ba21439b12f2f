"""Catalogues of texts in other languages, as gettext has them: `make texts` keeps the harness's in step with its sources.

`grader/locale/grader.pot` has the English, `grader/locale/<language>/LC_MESSAGES/grader.po` a language, and `grader.mo`
beside it what is read when the command speaks. Suites have theirs beside them (`grader.authoring.proving.rules.texts`).
"""

from __future__ import annotations

import io
import string
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from babel.messages import Catalog
from babel.messages.catalog import Message, TranslationError
from babel.messages.checkers import num_plurals, python_format
from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, read_po, write_po

from grader.authoring.proving.texts import Text, told
from grader.errors import UsageFault
from grader.messages import text
from grader.messages.language import DOMAIN, LOCALE

PACKAGE = Path(__file__).parents[2]

# What click says here by itself, in the words of its versions.
_CLICKS = (
    Text("Usage:"),
    Text("[OPTIONS]"),
    Text("COMMAND [ARGS]..."),
    Text("Options"),
    Text("Commands"),
    Text("Show this message and exit."),
    Text("%(prog)s, version %(version)s"),
    Text("Error: {message}"),
    Text("Try '{command} {option}' for help."),
    Text("Invalid value: {message}"),
    Text("Invalid value for {param_hint}: {message}"),
    Text("No such option: {name}"),
    Text("No such option {name!r}."),
    Text("No such command {name!r}."),
    Text("Did you mean {possibility}?", "(Did you mean one of: {possibilities}?)"),
    Text("Got unexpected extra argument ({args})", "Got unexpected extra arguments ({args})"),
    Text("Option {name!r} does not take a value."),
    Text("Option {name!r} requires an argument.", "Option {name!r} requires {nargs} arguments."),
    Text("{value!r} is not a valid {number_type}."),
    Text("{value} is not in the range {range}."),
    Text("{value!r} is not {choice}.", "{value!r} is not one of {choices}."),
)


class _Plain(Catalog):
    """A catalogue whose header says nothing of when, with what and by whom it was written."""

    def _get_mime_headers(self) -> list[tuple[str, str]]:
        headers = [("Content-Type", "text/plain; charset=UTF-8"), ("Content-Transfer-Encoding", "8bit")]
        if self.locale is not None:
            headers += [("Language", str(self.locale)), ("Plural-Forms", self.plural_forms)]
        return headers

    mime_headers = property(_get_mime_headers)


def template(texts: Mapping[str, Iterable[Text]]) -> Catalog:
    """The texts of files by their names, without translations; those of a file without a name are in one place only."""
    catalog = _Plain(fuzzy=False, header_comment="")
    for file, found in texts.items():
        for each in found:
            catalog.add(
                (each.english, each.many) if each.many else each.english, locations=[(file, each.line)] if file else []
            )
    return catalog


def read(path: Path, language: str) -> Catalog:
    """The catalogue in a file; empty where there is none. Raises UsageFault where it is no catalogue."""
    catalog = _Plain(locale=language, fuzzy=False, header_comment="")
    if not path.is_file():
        return catalog
    try:
        with path.open("rb") as stream:
            found = read_po(stream, locale=language, abort_invalid=True)
    except (PoFileError, ValueError, OSError) as error:
        raise UsageFault(text("{file} is no catalogue: {error}", file=str(path), error=str(error))) from None
    for message in found:
        if message.id:
            catalog[message.id] = message
    return catalog


def in_step(catalog: Catalog, wanted: Catalog) -> Catalog:
    """The translations that are wanted, in the order of what is wanted; new ones are empty, and what is not wanted is gone."""
    catalog.update(wanted, no_fuzzy_matching=True)
    catalog.obsolete.clear()
    return catalog


def written(catalog: Catalog) -> str:
    """The catalogue as it stands in its file."""
    for message in catalog:
        message.flags &= {"fuzzy"}  # what is formatted stands in braces, and not after a per cent sign
    stream = io.BytesIO()
    write_po(stream, catalog, width=0, include_lineno=False, omit_header=True)
    header = "".join(f'"{name}: {value}\\n"\n' for name, value in catalog.mime_headers)
    return f'msgid ""\nmsgstr ""\n{header}\n{stream.getvalue().decode().rstrip()}\n'


def compiled(catalog: Catalog) -> bytes:
    """The catalogue as gettext reads it."""
    stream = io.BytesIO()
    write_mo(stream, catalog)
    return stream.getvalue()


def faults(catalog: Catalog) -> Iterator[tuple[Message, str]]:
    """The entries that are no translations, and why."""
    for message in catalog:
        if message.id:
            yield from ((message, why) for why in _faults(catalog, message))


def _faults(catalog: Catalog, message: Message) -> Iterator[str]:
    english, told = _parts(message.id), _parts(message.string)
    if message.fuzzy:
        yield "is fuzzy: read it over, and take the mark away"
    if not told or not all(told):
        yield "has no translation"
        return
    try:
        num_plurals(catalog, message)
        if "%(" in english[0]:
            python_format(catalog, message)
    except TranslationError as error:
        yield str(error)
    forms = [fields(each) for each in (english[-1:] if len(told) == 1 else english)]
    for each in told:
        if (found := fields(each)) is None:
            yield "has braces that do not close"
        elif found not in forms:
            yield f"has the fields {_listed(found)}, and its English has {_listed(forms[-1] or set())}"


def fields(template: str) -> set[str] | None:
    """The fields of a text, as `{name!r}` and `{size:.1f}`; None where its braces do not close."""
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError:
        return None
    return {
        "{" + name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "") + "}"
        for _, name, spec, conversion in parts
        if name is not None
    }


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _parts(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list | tuple) else [str(value)] if value else []


def harness() -> Catalog:
    """All that the harness says, in English."""
    files = sorted(path for path in PACKAGE.rglob("*.py") if "template" not in path.parts)
    texts = {f"grader/{path.relative_to(PACKAGE).as_posix()}": told(path.read_text("utf-8")) for path in files}
    return template({**texts, "click": _CLICKS})


def main() -> int:
    """Bring the harness's catalogues into step with its sources, and compile those that are whole."""
    wanted = harness()
    (LOCALE / f"{DOMAIN}.pot").write_text(written(wanted), encoding="utf-8")
    missing = 0
    for path in sorted(LOCALE.glob(f"*/LC_MESSAGES/{DOMAIN}.po")):
        catalog = in_step(read(path, path.parts[-3]), wanted)
        path.write_text(written(catalog), encoding="utf-8")
        found = list(faults(catalog))
        for message, why in found:
            print(f"{path}: {_parts(message.id)[0]!r} {why}", file=sys.stderr)
        if not found:
            path.with_suffix(".mo").write_bytes(compiled(catalog))
        missing += len(found)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
