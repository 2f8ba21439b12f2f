"""`mistakes.toml`: named wrong solutions, each an exact edit of the reference, and mutants that are excused."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grader.authoring.finding import Finding
from grader.errors import did_you_mean

_NEEDED = {
    "mistake": ("id", "find", "replace", "caught_by", "says"),
    "equivalent": ("mutant", "reason"),
    "again": ("mistake", "variant", "find", "replace"),
}
_KNOWN = {**_NEEDED, "mistake": (*_NEEDED["mistake"], "says_zh", "source", "ablation")}
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_LINE = re.compile(r"at line (\d+)")


@dataclass(frozen=True)
class Mistake:
    """One wrong solution: its whole text, the test that it names, where it stands, and what its learner is told.

    An ablation takes away what the task needs: nothing that lacks it may reach the bars of the convergence tests.
    """

    id: str
    text: str
    caught_by: str
    line: int
    says: str
    says_zh: str
    ablation: bool = False


@dataclass(frozen=True)
class Again:
    """A mistake once more, in the style of a variant: an exact edit of that file."""

    mistake: str
    variant: str
    text: str
    line: int


@dataclass(frozen=True)
class Excuse:
    """A mutant that no test can see, by name, and why not."""

    mutant: str
    reason: str
    line: int


@dataclass(frozen=True)
class Mistakes:
    """Everything of one file that can be used, and everything that is wrong with it."""

    mistakes: tuple[Mistake, ...] = ()
    excuses: tuple[Excuse, ...] = ()
    again: tuple[Again, ...] = ()
    findings: tuple[Finding, ...] = ()


def read(
    text: str,
    file: str,
    reference: str,
    languages: Sequence[str] = (),
    variants: Mapping[str, str] | None = None,
) -> Mistakes:
    """The mistakes that `text` describes as edits of the source `reference`; `file` is its name in messages.

    languages: those beside English in which each says what its learner is told; variants: sources by name, into which
    mistakes may be written once more.
    """
    needed = _NEEDED | {"mistake": (*_NEEDED["mistake"], *(f"says_{language}" for language in languages))}
    try:
        fields = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        at = _LINE.search(str(error))
        line = int(at[1]) if at else len(text.splitlines())
        return Mistakes(findings=(Finding("mistakes", file, line, f"is not valid TOML: {error}"),))
    findings = [
        Finding("mistakes", file, 1, f"{name} is not a known table; {did_you_mean(name, _KNOWN)}".rstrip("; "))
        for name in fields
        if name not in _KNOWN
    ]
    mistakes: list[Mistake] = []
    for line, entry in _entries(fields, "mistake", text):
        complete = _complete(entry, needed["mistake"])
        faults = [*_shape("mistake", entry, needed), *(_edit(entry, reference) if complete else ())]
        name = entry.get("id", "a mistake without an id")
        findings += [Finding("mistakes", file, line, f"{name}: {fault}") for fault in faults]
        if not faults:
            edited = reference.replace(entry["find"], entry["replace"])
            told = entry["says"], entry.get("says_zh", ""), entry.get("ablation", False)
            mistakes.append(Mistake(entry["id"], edited, entry["caught_by"], line, *told))
    findings += [Finding("mistakes", file, line, message) for line, message in _twice(mistakes)]
    excuses: list[Excuse] = []
    for line, entry in _entries(fields, "equivalent", text):
        faults = list(_shape("equivalent", entry, needed))
        findings += [Finding("mistakes", file, line, f"an excused mutant: {fault}") for fault in faults]
        if not faults:
            excuses.append(Excuse(entry["mutant"], entry["reason"], line))
    again: list[Again] = []
    for line, entry in _entries(fields, "again", text):
        faults = [
            *_shape("again", entry, needed),
            *(_once_more(entry, mistakes, variants or {}) if _complete(entry, needed["again"]) else ()),
        ]
        findings += [Finding("mistakes", file, line, f"a mistake again: {fault}") for fault in faults]
        if not faults:
            edited = (variants or {})[entry["variant"]].replace(entry["find"], entry["replace"])
            again.append(Again(entry["mistake"], entry["variant"], edited, line))
    return Mistakes(tuple(mistakes), tuple(excuses), tuple(again), tuple(findings))


def _once_more(entry: Mapping[str, Any], mistakes: list[Mistake], variants: Mapping[str, str]) -> Iterator[str]:
    ids = [each.id for each in mistakes]
    if entry["mistake"] not in ids:
        yield f"there is no mistake {entry['mistake']!r}; {did_you_mean(entry['mistake'], ids)}".rstrip("; ")
    if entry["variant"] not in variants:
        yield f"there is no variant {entry['variant']!r}; {did_you_mean(entry['variant'], variants)}".rstrip("; ")
    else:
        yield from _edit(entry, variants[entry["variant"]])


def _entries(fields: Mapping[str, Any], table: str, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The entries of `[[table]]`, each with the line of its header."""
    entries = fields.get(table, [])
    header = re.compile(rf"[ \t]*\[\[[ \t]*{table}[ \t]*\]\]")
    lines = [number for number, line in enumerate(text.splitlines(), 1) if header.match(line)]
    for index, entry in enumerate(entries if isinstance(entries, list) else [entries]):
        yield lines[index] if index < len(lines) else 1, entry if isinstance(entry, dict) else {}


def _complete(entry: Mapping[str, Any], needed: Sequence[str]) -> bool:
    return all(isinstance(entry.get(name), str) for name in needed)


def _shape(table: str, entry: Mapping[str, Any], needed: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """What is missing, unknown, empty or of another type."""
    for name in needed[table]:
        if name not in entry:
            yield f"{name} is missing"
    for name, value in entry.items():
        if name not in _KNOWN[table]:
            yield f"{name} is not a known field; {did_you_mean(name, _KNOWN[table])}".rstrip("; ")
        elif name == "ablation":
            if not isinstance(value, bool):
                yield "ablation must be true or false"
        elif not isinstance(value, str):
            yield f"{name} must be text"
        elif not value.strip() and name != "replace":
            yield f"{name} is empty"
        elif name == "id" and not _ID.fullmatch(value):
            yield "id must be words of a-z and 0-9 with hyphens between them, like cell-state-as-output"


def _edit(entry: Mapping[str, Any], reference: str) -> Iterator[str]:
    """What is wrong with the edit itself: it must be exact, unique, and change what Python reads."""
    found = reference.count(entry["find"]) if entry["find"] else 0
    if found != 1:
        lines = [str(line) for line in _lines(entry["find"], reference)]
        where = f" (lines {', '.join(lines)})" if lines else ": it must stand there exactly as written, spaces included"
        yield f"the text to find occurs {found} times in the reference{where}"
        return
    try:
        tree = ast.parse(reference.replace(entry["find"], entry["replace"]))
    except (SyntaxError, ValueError) as error:
        at = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        yield f"the edit leaves what is not valid Python{at}: {getattr(error, 'msg', error)}"
        return
    if ast.dump(tree) == ast.dump(ast.parse(reference)):
        yield "the edit equals the reference: it changes nothing that Python reads"


def _lines(find: str, reference: str) -> Iterator[int]:
    """The lines on which the text begins."""
    start = reference.find(find) if find else -1
    while start >= 0:
        yield reference.count("\n", 0, start) + 1
        start = reference.find(find, start + len(find))


def _twice(mistakes: list[Mistake]) -> Iterator[tuple[int, str]]:
    ids: dict[str, Mistake] = {}
    texts: dict[str, Mistake] = {}
    for mistake in mistakes:
        if (first := ids.setdefault(mistake.id, mistake)) is not mistake:
            yield mistake.line, f"{mistake.id}: line {first.line} has the same id"
        elif (first := texts.setdefault(mistake.text, mistake)) is not mistake:
            yield mistake.line, f"{mistake.id}: is the same edit as {first.id} on line {first.line}"
