"""The magic: `%%grade lstm` judges its cell, `%grade lstm` the file of the course; scorecard and pictures stand below it."""

from __future__ import annotations

import atexit
import sys
from collections.abc import Mapping
from typing import Any, ClassVar

from grader.errors import GradeError
from grader.messages import Message
from grader.messages.language import Language
from grader.notebook import drawn, shown, words
from grader.notebook.desk import Desk, Found
from grader.notebook.words import Asked
from grader.scorecard import Scorecard, TestResult, Text
from grader.session import Listener
from grader.study.speaker import Speaker

NAME = "grade"


class GradeMagic:
    """Of one IPython shell. What a kernel keeps warm ends with it, or with `unregister`."""

    _of_shell: ClassVar[dict[int, GradeMagic]] = {}

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._language = Language()
        self._raw = ""  # the cell that is being run, as it was typed
        self._desk = Desk(self._note)

    def register(self) -> None:
        self.unregister(self._shell)
        self._of_shell[id(self._shell)] = self
        self._shell.register_magic_function(self.grade, "line_cell", NAME)
        self._shell.events.register("pre_run_cell", self._remember)
        atexit.register(self._desk.close)

    @classmethod
    def unregister(cls, shell: Any) -> None:
        """Nothing where there is none."""
        before = cls._of_shell.pop(id(shell), None)
        if before is None:
            return
        shell.events.unregister("pre_run_cell", before._remember)
        for kind in ("line", "cell"):
            shell.magics_manager.magics[kind].pop(NAME, None)
        atexit.unregister(before._desk.close)
        before._desk.close()

    def grade(self, line: str, cell: str | None = None) -> None:
        try:
            asked = words.read(line)
            self._language = asked.language
            if asked.help:
                print(asked.language.say(words.HELP))
                return
            found = self._judged(asked, cell)
        except GradeError as error:
            raise _usage_error(error, self._language) from None
        if not found.card.complete:
            raise KeyboardInterrupt
        if asked.define and cell is not None:
            self._shell.run_cell(self._typed(cell), store_history=False)

    grade.__doc__ = words.HELP.code  # which `%grade?` shows

    def _judged(self, asked: Asked, cell: str | None) -> Found:
        """Judge, and show what came of it in the place where its progress was shown."""
        progress = _Progress(self._language, live=getattr(self._shell, "kernel", None) is not None)
        place = f"In[{self._shell.execution_count}]"
        typed = None if cell is None else self._typed(cell)
        try:
            found = self._desk.judge(asked, typed, place, progress)
        except BaseException:
            progress.clear()
            raise
        card = Speaker(found.course, self._language).card(found.card)
        progress.replace(shown.bundle(card, asked, found.after))
        _show_pictures(card, self._language)
        return found

    def _typed(self, cell: str) -> str:
        """The cell with empty lines for those above it, so that its lines are counted as an editor counts them."""
        return "\n" * _lines_above(self._raw) + cell

    def _remember(self, info: Any) -> None:
        self._raw = info.raw_cell or ""

    def _note(self, said: Message) -> None:
        print(f"grade: {self._language.say(said)}", file=sys.stderr)


def _lines_above(raw: str) -> int:
    """How many lines of a cell, as it was typed, stand above what the magic is given: empty ones, and its own."""
    lines = raw.splitlines()
    first = next((number for number, line in enumerate(lines) if line.strip()), 0)
    return first + 1 if lines and lines[first].lstrip().startswith(f"%%{NAME}") else 0


def _usage_error(error: GradeError, language: Language) -> Exception:
    """What IPython shows as one line or two, without a traceback."""
    from IPython.core.error import UsageError

    said = [f"grade: {language.say(error.said)}"]
    said += [f"       {language.say(error.next_step)}"] * bool(error.next_step)
    return UsageError("\n".join(said))


def _show_pictures(card: Scorecard, language: Language) -> None:
    """What the tests recorded, each under its caption. Curves and the like are drawn as bitmaps; text stays text."""
    from IPython.display import display

    for kata in card.katas:
        for picture in (picture for test in kata.tests for picture in test.pictures):
            caption = drawn.caption(kata.id, picture, language)
            display(shown.plain(caption), raw=True)
            if isinstance(picture, Text):
                display(shown.lines(picture.text), raw=True)
            else:
                data = {"image/png": drawn.png(picture), "text/plain": caption}
                display(data, raw=True, metadata={"image/png": {"alt": caption}})


class _Progress(Listener):
    """One line that says how far it is, until the scorecard stands in its place; nothing where lines cannot be replaced."""

    def __init__(self, language: Language, *, live: bool) -> None:
        self._language = language
        self._live = live
        self._tests: Mapping[str, int] = {}
        self._done: dict[str, int] = {}
        self._place: Any = None

    def planned(self, tests: Mapping[str, int], expected: Mapping[str, float]) -> None:
        self._tests = tests

    def started(self, kata: str) -> None:
        self._done[kata] = 0
        self._tell(kata)

    def tested(self, kata: str, result: TestResult) -> None:
        self._done[kata] = self._done.get(kata, 0) + 1
        self._tell(kata)

    def replace(self, bundle: dict[str, str]) -> None:
        """Show this in the place of the line."""
        from IPython.display import display

        if self._place is None:
            self._place = display(bundle, raw=True, display_id=True)
        else:
            self._place.update(bundle, raw=True)

    def clear(self) -> None:
        """Show nothing, where there was a line."""
        if self._place is not None:
            self.replace(shown.plain(""))

    def _tell(self, kata: str) -> None:
        if self._live:
            told, count = "{kata}: {done} of {count} tests", self._tests.get(kata, 0)
            self.replace(shown.plain(self._language.text(told, kata=kata, done=self._done[kata], count=count)))
