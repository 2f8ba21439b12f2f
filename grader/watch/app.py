"""The application: it hears what the other two threads find, decides what is judged, and does what the keys ask for."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, TypeVar

from textual.app import App, SuspendNotSupported
from textual.binding import Binding, BindingType
from textual.message import Message as Posted

from grader.course import Course
from grader.errors import GradeError
from grader.kata import Kata
from grader.messages import Value, text
from grader.messages.language import Language
from grader.scorecard import Verdict
from grader.standing import Standing
from grader.store import Store
from grader.study import desk
from grader.study.misnamed import meant_elsewhere
from grader.watch.changes import Changes, Pulse
from grader.watch.runs import Began, Ended, News, Runs, Stands, Tested, Trouble
from grader.watch.screens import Answer, Asked, Help, Listing, Main, Statement
from grader.watch.upgrade import Upgrade
from grader.watch.view import Shown

T = TypeVar("T")

_BEAT_SECONDS = 1.0
_RESTART = text("the grader itself is another one now: quit with q, and restart")
_OUT_OF_TIME = (Verdict.TIMEOUT, Verdict.INTERNAL)  # what may come of a sleep in the midst of a run
_TAKE_LINES = frozenset(["vi", "vim", "nvim", "nano", "emacs", "kak", "micro", "gedit"])  # editors that know `+12`


class Heard(Posted):
    """Something that a run told."""

    def __init__(self, news: News) -> None:
        super().__init__()
        self.news = news


class Changed(Posted):
    """Files have another content than before."""

    def __init__(self, paths: frozenset[Path]) -> None:
        super().__init__()
        self.paths = paths


class Unannounced(Posted):
    """Events of files do not arrive."""


class Watch(App[None]):
    """The screen, from which everything is started and stopped.

    store: for the screen's own thread, as the notes of hints; the session has another one
    gone: whether there is no terminal any more
    """

    CSS_PATH = "watch.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c", "quit", show=False, priority=True)]

    def __init__(
        self,
        course: Course,
        store: Store,
        standing: Standing,
        kata: Kata,
        language: Language,
        jobs: int,
        *,
        runs: Callable[..., Runs] = Runs,
        changes: Callable[..., Changes] = Changes,
        gone: Callable[[], bool] = lambda: False,
        pulse: Pulse | None = None,
        upgrade: Upgrade | None = None,
    ) -> None:
        super().__init__(ansi_color=True)
        self._course, self._store, self._language = course, store, language
        self.state = Shown(kata, standing, language)
        self.main = Main(course.name, self.state)
        self.runs = runs(course, jobs, language, lambda news: self._post(Heard(news)))
        self.changes = changes(course.root, lambda paths: self._post(Changed(paths)), lambda: self._post(Unannounced()))
        self._gone = gone
        self._pulse = pulse or Pulse()
        self._upgrade = upgrade or Upgrade()

    def _post(self, posted: Posted) -> None:
        with suppress(RuntimeError):  # the screen is closed already
            self.post_message(posted)

    def on_mount(self) -> None:
        self.push_screen(self.main)
        self.runs.start()
        self.changes.start()
        self.set_interval(_BEAT_SECONDS, self.beat)
        self.judge(self.state.kata)

    def leave(self) -> None:
        """Quit. From a signal's handler, at any moment."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.exit)

    def stop(self) -> None:
        """End both threads, with all that they started."""
        self.changes.stop()
        self.runs.close()

    # What is found

    def judge(self, kata: Kata, *, fresh: bool = False) -> None:
        """Judge a kata, and say so at once; not where processes of two graders would have to understand each other."""
        if kata.id != self.state.kata.id:
            self.main.top()
        if self._upgraded():
            self.state.begin(kata, 0)
            self.state.checking, self.state.trouble = False, (_RESTART, "")
        else:
            self.state.begin(kata, self.runs.ask(kata.id, fresh=fresh))
        self.main.paint()

    def _upgraded(self) -> bool:
        """Whether the grader's own files are others than those of this process, which is then said for good."""
        if "upgrade" not in self.state.notices and self._upgrade.came():
            self.state.notices["upgrade"] = _RESTART
        return "upgrade" in self.state.notices

    def on_heard(self, heard: Heard) -> None:
        state, news = self.state, heard.news
        match news:
            case Stands(course, standing):
                self._course, state.standing = course, standing
            case Trouble(0, said):
                state.notices["store"] = said
            case Began(number, kata) if number == state.number:
                state.kata = kata
            case Tested(number, result) if number == state.number:
                state.tests = [*(test for test in state.tests if test.name != result.name), result]
            case Ended(number, result, killed, seconds) if number == state.number:
                state.checking, state.result, state.killed, state.seconds = False, result, killed, seconds
                state.notice("misnamed", next(meant_elsewhere(self._course, [state.kata]), None))
            case Trouble(number, said, next_step) if number == state.number:
                state.checking, state.trouble = False, (said, next_step)
        self.main.paint()

    def on_changed(self, changed: Changed) -> None:
        """Judge the kata at hand anew where it changed; or go where the learner works now."""
        kata = self.state.kata
        homes = {kata.folder, self._course.reference(kata).parent}
        if any(path.parent in homes and path.suffix != ".md" for path in changed.paths):
            self.judge(kata)
            return
        saved = [other for other in self._course.katas if other.stub in changed.paths and other.stub.is_file()]
        if len(saved) == 1:
            self.judge(saved[0])

    def on_unannounced(self) -> None:
        self.state.notices["polling"] = text(
            "this disk tells of no changes, so the files are looked at several times a second"
        )
        self.main.paint()

    def beat(self) -> None:
        """Once a second: is anybody there, was this process asleep, and is the grader the one that was started?"""
        if self._gone():
            self.exit()
        if self._pulse.beat():
            self.changes.look()
            state = self.state
            if state.checking or (state.result is not None and state.result.verdict in _OUT_OF_TIME):
                self.judge(state.kata, fresh=True)
        if self._upgraded():
            self.main.paint()

    # What the keys ask for

    def action_next(self) -> None:
        """What is to be taken up, or, where that is the kata at hand, the one after it."""
        katas, now = self._course.katas, self.state.kata
        following = self.state.standing.next([now.id] if self.state.standing.of(now).solved else ())
        if following is None or following.id == now.id:
            place = next((place for place, kata in enumerate(katas) if kata.id == now.id), -1)
            following = katas[(place + 1) % len(katas)]
        self.judge(following)

    def action_again(self) -> None:
        self.judge(self.state.kata, fresh=True)

    def action_kill(self) -> None:
        if not self.runs.kill():
            self._say(text("nothing is running"))

    def action_hint(self) -> None:
        self.state.hints = desk.hints(self._course, self._store, self.state.kata, self._language)
        self.state.hints_read = False
        self.main.top()
        self.main.paint()

    def action_list(self) -> None:
        def chosen(kata: Kata | None) -> None:
            if kata is not None:
                self.judge(kata)

        self.push_screen(Listing(self.state.standing, self.state.kata, self._language), chosen)

    def action_statement(self) -> None:
        kata = self.state.kata
        self._try(lambda: desk.statement(kata, self._language))
        if not self.state.said:
            self.push_screen(Statement(kata, self._language, self._course.languages))

    def action_solution(self) -> None:
        kata = self.state.kata
        found = self._try(lambda: desk.solution(self._course, self._store, kata))
        if found is not None:
            self.push_screen(Answer(found, self._language))

    def action_help(self) -> None:
        self.push_screen(Help(self._language))

    def action_edit(self) -> None:
        """Open the file in the learner's editor, at the line that is told of, and come back when that ends."""
        editor = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "")
        if not editor:
            self._say(text("neither `$VISUAL` nor `$EDITOR` names an editor"))
            return
        try:
            with self.suspend():
                subprocess.run([*editor, *self._line(editor[0]), str(self.state.kata.stub)], check=False)
        except (OSError, SuspendNotSupported) as error:
            self._say(text("{editor} cannot be started: {error}", editor=editor[0], error=str(error)))
        self._pulse.beat()  # this was no sleep
        self.changes.look()

    def _line(self, editor: str) -> list[str]:
        tests = self.state.result.tests if self.state.result else ()
        number = next((test.line.number for test in tests if test.line is not None), None)
        return [f"+{number}"] if number and Path(editor).name in _TAKE_LINES else []

    def action_reset(self) -> None:
        kata = self.state.kata
        same = self._try(lambda: desk.is_stub(self._course, kata))

        def answered(yes: bool | None) -> None:
            if yes:
                self._do(lambda: desk.reset(self._course, kata))

        if same:
            self._say(text("{file} is the stub already", file=desk.file_of(kata)))
        elif same is not None:
            question = self._language.text("put the stub in the place of {file}?", file=desk.file_of(kata))
            self.push_screen(Asked(question, self._language), answered)

    def action_undo(self) -> None:
        self._do(lambda: desk.undo(self._course, self.state.kata))

    def _do(self, deed: Callable[[], Value]) -> None:
        """Do something to the learner's file, and say what was done, over whatever is then judged."""
        done = self._try(deed)
        if done is not None:
            self.changes.look()
            self._say(done)
            self.state.kept = True

    def _try(self, deed: Callable[[], T]) -> T | None:
        """What the deed gives; None where it is refused, which is then said."""
        self._say()
        try:
            return deed()
        except GradeError as fault:
            self._say(*filter(None, (fault.said, fault.next_step)))
            return None

    def _say(self, *said: Value) -> None:
        self.state.said, self.state.kept = said, False
        self.main.paint()
