"""Hints one at a time, the statement, the solution for who has solved it, and beginning again: the rules, in one place."""

from __future__ import annotations

import re
from dataclasses import dataclass

from grader import copies, nudges, submission
from grader.course import Course
from grader.errors import UsageFault
from grader.kata import Kata
from grader.messages import Message, message, text
from grader.messages.language import Language
from grader.standing import GIVEN_UP, standing
from grader.store import Store
from grader.stub import original, unmarked

_FENCE = re.compile(r"[\s>]*(?:```|~~~)")
_CJK = "\u3000-\u9fff\uff00-\uffef"  # Chinese characters and their punctuation
_HEADING = re.compile(r"[\s>]*#")
_FOLDED = re.compile(r"<details>\s*<summary>(?P<summary>.*?)</summary>|</details>")


@dataclass(frozen=True)
class Hints:
    """The hints for a kata that were given so far, in words, and how many there are.

    new: whether the last of them was given just now; bug: which mistake was made, given instead where a run kept it back
    """

    given: tuple[str, ...]
    count: int
    new: bool
    bug: str = ""

    @property
    def exhausted(self) -> bool:
        """Whether another one was asked for where there is none left."""
        return not self.new and not self.bug and len(self.given) == self.count


@dataclass(frozen=True)
class Solution:
    """A learner's file and the authors'. `given_up` where it is shown although the kata never passed."""

    mine: str
    theirs: str
    given_up: bool


def hints(course: Course, store: Store, kata: Kata, language: Language, *, again: bool = False) -> Hints:
    """The help for a kata, one piece more than the last time, or with `again` no more."""
    more = None if again else nudges.next_nudge(store, kata, submission.read(kata, None, course).sha256)
    words = tuple(each.words(language.code) for each in nudges.given(store, kata))
    bug = more.words(language.code) if more and not more.number else ""
    return Hints(words, len(kata.hints), more is not None and not bug, bug)


def statement(kata: Kata, language: Language) -> str:
    """The page of a kata in a language, or in English where it has none in it. Raises UsageFault where there is no page."""
    pages = (kata.statement(language.code), kata.statement())
    page = next((path for path in pages if path.is_file()), None)
    if page is None:
        raise UsageFault(text("{kata} has no statement", kata=kata.id), text("it should stand in README.md"))
    return page.read_text(encoding="utf-8", errors="replace")


def unfolded(page: str) -> str:
    """A statement for a screen on which nothing folds: what is folded away in it has a heading of its own.

    Nor does a line of Chinese end in a space there, as the end of a line in Markdown would have it.
    """
    return _joined(_FOLDED.sub(lambda found: f"\n### {found['summary']}\n" if found["summary"] else "", page))


def _joined(page: str) -> str:
    """The page, where a line that ends in Chinese goes on in the same one, if Chinese follows in the same paragraph."""
    lines: list[str] = []
    code = False
    for line in page.split("\n"):
        code ^= bool(_FENCE.match(line))
        quote = ">" if lines and lines[-1].lstrip().startswith(">") else ""
        goes_on = re.match(rf"[ ]*{quote}[ ]*(?=[{_CJK}])", line)
        if lines and not code and goes_on and re.search(rf"[{_CJK}]$", lines[-1]) and not _HEADING.match(lines[-1]):
            lines[-1] += line[goes_on.end() :]
        else:
            lines.append(line)
    return "\n".join(lines)


def solution(course: Course, store: Store, kata: Kata, *, give_up: bool = False) -> Solution:
    """The solution of a kata that passed before, or that was given up, which is noted. Raises UsageFault for any other."""
    path = course.reference(kata)
    if not path.is_file():
        raise UsageFault(
            text("this course is a release, which has no solutions"), text("ask whoever gave you the course")
        )
    place = standing(course, store).of(kata)
    if not place.solved and not give_up and not place.given_up:
        raise UsageFault(
            text("{kata} does not pass yet", kata=kata.id),
            text(
                "`grade hint {kata}` helps; `grade solution {kata} --give-up` shows the solution, and that is noted",
                kata=kata.slug,
            ),
        )
    if not place.solved:
        store.put_note(kata.id, GIVEN_UP, "yes")
    mine = kata.stub.read_text(encoding="utf-8", errors="replace") if kata.stub.is_file() else ""
    return Solution(mine, unmarked(path.read_text(encoding="utf-8")), not place.solved)


def reset(course: Course, kata: Kata) -> Message:
    """Put the stub in the place of the learner's file, of which a copy is kept; returns what was done.

    Raises UsageFault where there is no stub to be had, or the disk is in the way.
    """
    content, shown = original(course, kata), file_of(kata)
    if is_stub(course, kata):
        return text("{file} is the stub already", file=shown)
    copy = copies.replace(course, kata, content)
    if copy is None:
        return text("{file} is the stub again", file=shown)
    where = copy.relative_to(course.root).as_posix()
    kept = text("  what you had is kept in {copy}; `grade undo {kata}` brings it back", copy=where, kata=kata.slug)
    return message("lines", lines=[text("{file} is the stub again", file=shown), kept])


def is_stub(course: Course, kata: Kata) -> bool:
    """Whether nothing would be lost by beginning again. Raises UsageFault where there is no stub to be had."""
    return kata.stub.is_file() and kata.stub.read_bytes() == original(course, kata)


def undo(course: Course, kata: Kata) -> Message:
    """Bring back what was replaced; returns what was done. Raises UsageFault where there is nothing to bring back."""
    if copies.take_back(course, kata) is None:
        raise UsageFault(
            text("there is nothing to undo in {kata}", kata=kata.id), text("copies are kept by `grade reset`")
        )
    return text("{file} is as it was before", file=file_of(kata))


def file_of(kata: Kata) -> str:
    """The learner's file, as it is shown."""
    return f"katas/{kata.id}/{kata.stub.name}"
