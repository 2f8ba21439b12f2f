"""The thread that owns the session: one kata at a time, and the newest request wins."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from grader import machine
from grader.course import Course, find
from grader.engine.brake import Brake
from grader.engine.shared import offered
from grader.engine.shares import Memory
from grader.errors import GradeError
from grader.kata import Kata
from grader.messages import Value, text
from grader.messages.language import Language
from grader.scorecard import KataResult, TestResult
from grader.session import Listener, Session
from grader.standing import Standing, standing
from grader.store import Store
from grader.study.speaker import Speaker

# Whatever of a course is read into memory; suites, stubs and statements are read from the disk each time.
_READ = ("course.toml", "katas/*/kata.toml", "katas/*/*.po", "reference/*/*.po", "reference/*/test_hidden.py")


@dataclass(frozen=True)
class Began:
    """A judge will take up the kata; `number` tells one run from another, as in all that follows."""

    number: int
    kata: Kata


@dataclass(frozen=True)
class Tested:
    """One of its tests has ended."""

    number: int
    result: TestResult


@dataclass(frozen=True)
class Ended:
    """What was found in all; where the run was killed, until then, and None where nothing was. `seconds`: from its begin."""

    number: int
    result: KataResult | None
    killed: bool
    seconds: float = 0.0


@dataclass(frozen=True)
class Stands:
    """The course as it is read now, and where the learner stands in it."""

    course: Course
    standing: Standing


@dataclass(frozen=True)
class Trouble:
    """The run cannot be: the course, the machine or the grader is at fault. `number` is 0 where it is by the way."""

    number: int
    said: Value
    next_step: Value = ""


News = Began | Tested | Ended | Stands | Trouble


@dataclass(frozen=True)
class _Request:
    """`kata` by any name that it has."""

    number: int
    kata: str
    fresh: bool
    brake: Brake


class Runs:
    """Judges what is asked for. `tell` hears the news, in this thread, in the learner's language."""

    def __init__(self, course: Course, jobs: int, language: Language, tell: Callable[[News], None]) -> None:
        self._course = course
        self._jobs, self._language, self._tell = jobs, language, tell
        self._wake = threading.Condition()
        self._number = 0
        self._wanted: _Request | None = None
        self._running: _Request | None = None
        self._closing = False
        self._stamps = _stamps(course.root)
        self._speaker = Speaker(course, language)
        self._thread = threading.Thread(target=self._work, name="runs", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def ask(self, kata: str, *, fresh: bool = False) -> int:
        """Judge a kata, and nothing else any more; with `fresh`, also what is known. Returns the number of the run."""
        with self._wake:
            self._number += 1
            self._wanted = _Request(self._number, kata, fresh, Brake())
            self._hold()
            self._wake.notify()
            return self._number

    def kill(self) -> bool:
        """End the run that is going on, if any; returns whether there was one."""
        with self._wake:
            going = self._running is not None or self._wanted is not None
            if self._wanted is not None:
                self._wanted.brake.pull()
            self._hold()
            return going

    def close(self) -> None:
        """End it all, the ladder too, and wait for that."""
        with self._wake:
            self._closing = True
            self._hold()
            self._wake.notify()
        if self._thread.ident is not None:
            self._thread.join()

    def _hold(self) -> None:
        if self._running is not None:
            self._running.brake.pull()

    def _work(self) -> None:
        store = Store(self._course.root, lambda said: self._tell(Trouble(0, said)))
        session = Session(self._course, store, jobs=self._jobs, memory=Memory(store))
        with closing(session), offered(session.keeper, self._course.root, by="grade watch"):
            while (request := self._next()) is not None:
                try:
                    self._judge(session, request)
                except GradeError as fault:
                    self._tell(Trouble(request.number, fault.said, fault.next_step))
                except Exception as error:
                    refused = machine.refusal(error)
                    said = text("a fault of ours: {error}", error=f"{type(error).__name__}: {error}")
                    self._tell(Trouble(request.number, *((refused.said, refused.next_step) if refused else (said, ""))))

    def _next(self) -> _Request | None:
        with self._wake:
            self._running = None
            while self._wanted is None and not self._closing:
                self._wake.wait()
            self._running, self._wanted = self._wanted, None
            return None if self._closing else self._running

    def _judge(self, session: Session, request: _Request) -> None:
        self._refresh(session)
        (kata,) = session.course.select([request.kata])
        self._tell(Began(request.number, kata))
        listener = _Listener(request.number, self._speaker, self._tell)
        card = session.grade([kata], fresh=request.fresh, listener=listener, brake=request.brake)
        found = self._speaker.kata(card.katas[0]) if card.katas else None
        self._tell(Ended(request.number, found, not card.complete, card.seconds))
        self._tell(Stands(session.course, standing(session.course, session.store)))
        if session.keeper.current is None and not request.brake.pulled:
            session.warm([kata])

    def _refresh(self, session: Session) -> None:
        """Read the course again where that is another one since. Raises CourseFault where it cannot be read now."""
        stamps, root = _stamps(self._course.root), self._course.root
        if stamps != self._stamps:
            store = session.store
            session.course = find(root, root, known_good=store.known_good, on_good=store.on_good)
            self._stamps, self._speaker = stamps, Speaker(session.course, self._language)


class _Listener(Listener):
    """Hands on what a run tells."""

    def __init__(self, number: int, speaker: Speaker, tell: Callable[[News], None]) -> None:
        self._number, self._speaker, self._tell = number, speaker, tell

    def tested(self, kata: str, result: TestResult) -> None:
        self._tell(Tested(self._number, self._speaker.test(kata, result)))


def _stamps(root: Path) -> Mapping[str, tuple[int, int, int]]:
    """By which it is told that what is read into memory has changed."""
    found = {}
    for path in (path for pattern in _READ for path in root.glob(pattern)):
        try:
            stat = path.stat()
        except OSError:
            continue
        found[str(path)] = stat.st_mtime_ns, stat.st_size, stat.st_ino
    return found
