"""Which tests are meant by `-k`: parts of their names, their numbers, or words of their titles in any language.

Numbers are those that scorecards show. Whatever else is typed picks by names, as pytest's own -k does, and where no name
matches by titles.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from grader.course import Course
from grader.errors import UsageFault
from grader.judge.choice import choice
from grader.kata import Kata
from grader.messages import Message, message, text
from grader.messages.language import Language, known, texts_of
from grader.messages.message import first_paragraph

_NUMBERS = re.compile(r"\d+(?:(?:\s*,\s*|\s+or\s+|\s+)\d+)*")
_PASTED = re.compile(r"(\d+)\. .*", re.DOTALL)  # a title with its number
_KIND = re.compile(r"[(（][^()（）]*[)）]\s*$")  # which a scorecard puts behind a title


@dataclass(frozen=True)
class Titled:
    """A test of a suite: its place among them from 1, its name, and its title in every language."""

    number: int
    name: str
    title: str
    titles: tuple[str, ...] = ()

    def says(self, words: str) -> bool:
        """Whether all of these words stand in its title in one language."""
        wanted = _plain(words).split()
        return bool(wanted) and any(
            all(word in _plain(title) for word in wanted) for title in (self.title, *self.titles)
        )


def resolved(course: Course, katas: Sequence[Kata], typed: str, language: Language) -> tuple[tuple[Kata, ...], str]:
    """The katas of which tests are meant, and an expression that `grader.judge.choice` picks them by.

    Raises UsageFault where nothing is meant, with what there is.
    """
    expression = _is_expression(typed)
    listed = {kata.id: titled(course, kata) for kata in katas}
    if expression and ("[" in typed or not all(listed.values())):  # only pytest knows all names
        return tuple(katas), typed
    pasted = _PASTED.fullmatch(typed.strip())
    numbers = pasted[1] if pasted else typed.strip()
    if _NUMBERS.fullmatch(numbers):
        return _numbered(katas, listed, [int(each) for each in re.findall(r"\d+", numbers)], language)
    if expression:
        meant = choice(typed)
        if of := tuple(kata for kata in katas if any(meant(test.name) for test in listed[kata.id])):
            return of, typed
    found = [(kata, tests) for kata in katas if (tests := _titled_so(listed[kata.id], typed))]
    if len(found) == 1:
        ((kata, tests),) = found
        return (kata,), _exactly(tests, listed[kata.id])
    if found:
        names = [kata.id for kata, _ in found]
        said = text("{words!r} stands in titles of tests of {katas}", words=typed, katas=names)
        raise UsageFault(said, text("name one of these katas"))
    none = text("no test is chosen by {expression!r}", expression=typed)
    if not expression:
        none = text("{value!r} is no expression of parts of names, and no title has these words", value=typed)
    raise UsageFault(none, _there_is(katas, listed, language))


def titled(course: Course, kata: Kata) -> list[Titled]:
    """The tests of a kata in the order of its suites, read off their sources; none where these are no Python."""
    folders = (kata.folder, course.reference(kata).parent)
    others = [texts_of(folder, Language(code)) for code in known() for folder in folders]
    found: list[Titled] = []
    for suite in filter(None, (kata.suite, kata.hidden)):
        for name, title in _tests(suite):
            titles = tuple(texts[title] for texts in others if texts.get(title))
            found.append(Titled(len(found) + 1, name, title, titles))
    return found


def _tests(suite: Path) -> Iterator[tuple[str, str]]:
    """Names and titles of the tests of one file."""
    with suppress(OSError, SyntaxError, ValueError):
        tree = ast.parse(suite.read_bytes())
        classes = [each for each in tree.body if isinstance(each, ast.ClassDef) and each.name.startswith("Test")]
        bodies = [tree.body, *(each.body for each in classes)]
        functions = (each for body in bodies for each in body if isinstance(each, ast.FunctionDef))
        for node in sorted(functions, key=lambda node: node.lineno):
            if node.name.startswith("test"):
                yield node.name, first_paragraph(ast.get_docstring(node) or "")


def _numbered(
    katas: Sequence[Kata], listed: dict[str, list[Titled]], numbers: Sequence[int], language: Language
) -> tuple[tuple[Kata, ...], str]:
    if len(katas) != 1:
        raise UsageFault(
            text("a number is that of a test of one kata"),
            text("name the kata too: `grade lstm -k {number}`", number=numbers[0]),
        )
    (kata,) = katas
    tests = listed[kata.id]
    unknown = [number for number in numbers if not 0 < number <= len(tests)]
    if unknown:
        said = text("{kata} has no test {number}", kata=kata.id, number=unknown[0])
        raise UsageFault(said, _there_is(katas, listed, language))
    return (kata,), _exactly([test for test in tests if test.number in numbers], tests)


def _titled_so(tests: Sequence[Titled], typed: str) -> list[Titled]:
    """The tests whose titles have these words, also where the kind of the test stands behind them."""
    return [test for test in tests if test.says(typed)] or [test for test in tests if test.says(_KIND.sub("", typed))]


def _exactly(meant: Sequence[Titled], tests: Sequence[Titled]) -> str:
    """An expression that picks these tests, and none whose name has theirs as a part."""
    wanted = {test.name for test in meant}
    parts = []
    for name in sorted(wanted):
        longer = [test.name for test in tests if name in test.name and test.name not in wanted]
        parts.append(f"({' and not '.join([name, *longer])})")
    return " or ".join(parts)


def _is_expression(typed: str) -> bool:
    try:
        choice(typed)
    except ValueError:
        return False
    return True


def _there_is(katas: Sequence[Kata], listed: dict[str, list[Titled]], language: Language) -> Message:
    """The tests of one kata by number and title, or how to see them."""
    if len(katas) != 1:
        return text("give a part of a test's name, or name one kata and give a test's number or words of its title")
    kata = katas[0]
    texts = texts_of(kata.folder, language)
    lines: list[Message | str] = [text("the tests of {kata} are", kata=kata.id)]
    width = len(str(len(listed[kata.id])))
    for test in listed[kata.id]:
        lines.append(f"{' ' * 9}{test.number:>{width}}. {texts.get(test.title) or test.title}  {test.name}")
    return message("lines", lines=lines)


def _plain(words: str) -> str:
    """Words without capitals and signs."""
    return " ".join(re.sub(r"[^\w]+", " ", words.casefold()).split())
